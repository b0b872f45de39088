/* Sums of floats chosen by bits. */
#include "linalg/simd/vec.h"

#if defined(SIMD_AVX512)
static inline VF chosen(const uint8_t *mask, const float *x)
{
    uint16_t bits;
    memcpy(&bits, mask, sizeof bits);
    return _mm512_maskz_loadu_ps(bits, x);
}
#else
/* Lanes of -1 where the mask's bits are 1, from bit `first` of the byte on. */
static inline VF chosen(const uint8_t *mask, const float *x)
{
    VI bits = {0}, position;
    for (int l = 0; l < LANES; l++) {
        bits[l] = mask[0];
        position[l] = 1 << l;
    }
    return (VF)(((bits & position) != 0) & (VI)v_load(x));
}
#endif

float SIMD(mask_dot)(const uint8_t *mask, const float *x, int n)
{
    VF sum[4] = {{0}};
    int i = 0;
#if defined(SIMD_AVX512)
    for (; i + 64 <= n; i += 64) {
        for (int j = 0; j < 4; j++)
            sum[j] += chosen(mask + i / 8 + 2 * j, x + i + 16 * j);
    }
#elif defined(SIMD_AVX2)
    for (; i + 32 <= n; i += 32) {
        for (int j = 0; j < 4; j++)
            sum[j] += chosen(mask + i / 8 + j, x + i + 8 * j);
    }
#else
    for (; i + 8 <= n; i += 8) {
        uint8_t high = mask[i / 8] >> 4;
        sum[0] += chosen(mask + i / 8, x + i);
        sum[1] += chosen(&high, x + i + 4);
    }
#endif
    float total = v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
    for (; i < n; i++)
        total += mask[i / 8] >> (i % 8) & 1 ? x[i] : 0;
    return total;
}
