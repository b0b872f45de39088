#include "linalg/bitpack.h"

size_t bitpack_row_bytes(int bits, size_t count)
{
    return bits == BITPACK_TERNARY ? (count + 4) / 5 : (count * (size_t)bits + 7) / 8;
}

void bitpack_row(int bits, const uint8_t *codes, size_t count, uint8_t *packed)
{
    if (bits == BITPACK_TERNARY) {
        for (size_t start = 0; start < count; start += 5) {
            size_t end = start + 5 < count ? start + 5 : count;
            unsigned value = 0;
            for (size_t i = end; i-- > start;)
                value = value * 3 + codes[i];
            packed[start / 5] = (uint8_t)value;
        }
        return;
    }
    uint32_t window = 0;
    int filled = 0;
    for (size_t i = 0; i < count; i++) {
        window |= (uint32_t)codes[i] << filled;
        for (filled += bits; filled >= 8; filled -= 8, window >>= 8)
            *packed++ = (uint8_t)window;
    }
    if (filled > 0)
        *packed = (uint8_t)window;
}

void bitunpack_row(int bits, const uint8_t *packed, size_t count, uint8_t *codes)
{
    if (bits == BITPACK_TERNARY) {
        unsigned value = 0;
        for (size_t i = 0; i < count; i++) {
            if (i % 5 == 0)
                value = packed[i / 5];
            codes[i] = (uint8_t)(value % 3);
            value /= 3;
        }
        return;
    }
    uint32_t window = 0, mask = (1u << bits) - 1;
    int filled = 0;
    for (size_t i = 0; i < count; i++) {
        for (; filled < bits; filled += 8)
            window |= (uint32_t)*packed++ << filled;
        codes[i] = (uint8_t)(window & mask);
        window >>= bits;
        filled -= bits;
    }
}
