#include "linalg/packed_gemv.h"

#include "linalg/bitpack.h"
#include "linalg/simd.h"

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

float packed_dot_ref(int bits, const uint8_t *row, size_t first, size_t count, const float *x)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (double)code_at(bits, row, first + i) * (double)x[i];
    return (float)sum;
}

float packed_dot(int bits, const uint8_t *row, size_t first, size_t count, const float *x)
{
    size_t before = 0, per_byte = bits == BITPACK_TERNARY ? 5 : 8;
    /* the kernels start on a byte: the codes before the next that does are taken one by one */
    while (before < count && (bits == BITPACK_TERNARY ? (first + before) % 5
                                                      : (first + before) * (size_t)bits % 8) != 0)
        before++;
    float sum = before > 0 ? packed_dot_ref(bits, row, first, before, x) : 0;
    if (before == count)
        return sum;
    first += before;
    row += bits == BITPACK_TERNARY ? first / per_byte : first * (size_t)bits / per_byte;
    if (bits == BITPACK_TERNARY)
        return sum + simd.trit_dot(row, x + before, (int)(count - before));
    return sum + simd.code_dot(bits, row, x + before, (int)(count - before));
}

float plain_sum(const float *x, size_t count)
{
    double sums[8] = {0};
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (int l = 0; l < 8; l++)
            sums[l] += (double)x[i + l];
    for (; i < count; i++)
        sums[0] += (double)x[i];
    return (float)(((sums[0] + sums[4]) + (sums[1] + sums[5])) +
                   ((sums[2] + sums[6]) + (sums[3] + sums[7])));
}
