#include "linalg/packed_gemv.h"

#include "linalg/bitpack.h"

static unsigned code_at(int bits, const uint8_t *row, size_t index)
{
    if (bits == BITPACK_TERNARY) {
        static const unsigned powers[5] = {1, 3, 9, 27, 81};
        return row[index / 5] / powers[index % 5] % 3;
    }
    size_t bit = index * (size_t)bits, shift = bit % 8;
    unsigned window = row[bit / 8];
    if (shift + (size_t)bits > 8)
        window |= (unsigned)row[bit / 8 + 1] << 8;
    return window >> shift & ((1u << bits) - 1);
}

float code_dot_ref(int bits, const uint8_t *row, size_t first, size_t count, const float *x)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)code_at(bits, row, first + i) * (double)x[i];
    return (float)sum;
}

float code_dot(int bits, const uint8_t *row, size_t first, size_t count, const float *x)
{
    return code_dot_ref(bits, row, first, count, x);
}

float plain_sum(const float *x, size_t count)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)x[i];
    return (float)sum;
}

size_t mask_split_ref(const uint8_t *mask, const float *x, size_t count, float *set, float *clear)
{
    size_t s = 0, c = 0;
    for (size_t i = 0; i < count; i++) {
        if (mask[i / 8] >> (i % 8) & 1)
            set[s++] = x[i];
        else
            clear[c++] = x[i];
    }
    return s;
}

size_t mask_split(const uint8_t *mask, const float *x, size_t count, float *set, float *clear)
{
    return mask_split_ref(mask, x, count, set, clear);
}
