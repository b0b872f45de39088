/* Products of packed codes with floats. */
#include "linalg/simd/vec.h"

static float scalar_codes(int bits, const uint8_t *codes, const float *x, int n)
{
    uint32_t window = 0, mask = (1u << bits) - 1;
    int filled = 0;
    float sum = 0;
    for (int i = 0; i < n; i++) {
        for (; filled < bits; filled += 8)
            window |= (uint32_t)*codes++ << filled;
        sum += (float)(window & mask) * x[i];
        window >>= bits;
        filled -= bits;
    }
    return sum;
}

#if defined(SIMD_AVX512) || defined(SIMD_AVX2)

/* Each lane takes the two bytes that hold its code, shifts them and masks: how, for codes of `bits`
 * bits. */
struct places {
    uint8_t bytes[4 * LANES]; /* for the byte shuffle, which works within 16 bytes */
    int32_t shifts[LANES];
};

static void find_places(int bits, struct places *p)
{
    memset(p->bytes, 0x80, sizeof p->bytes); /* 0 */
    for (int l = 0; l < LANES; l++) {
        int first = l * bits / 8, last = (l * bits + bits - 1) / 8;
        p->bytes[4 * l] = (uint8_t)first;
        if (last > first)
            p->bytes[4 * l + 1] = (uint8_t)last;
        p->shifts[l] = l * bits % 8;
    }
}

#if defined(SIMD_AVX512)
static inline VF expand(const uint8_t *codes, __m512i bytes, __m512i shifts, __m512i mask)
{
    __m512i v = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)codes));
    v = _mm512_srlv_epi32(_mm512_shuffle_epi8(v, bytes), shifts);
    return _mm512_cvtepi32_ps(_mm512_and_si512(v, mask));
}
typedef __m512i whole;
#define WHOLE_LOAD(from) _mm512_loadu_si512(from)
#define WHOLE_ALL(value) _mm512_set1_epi32(value)
#else
static inline VF expand(const uint8_t *codes, __m256i bytes, __m256i shifts, __m256i mask)
{
    __m256i v = _mm256_broadcastsi128_si256(_mm_loadl_epi64((const __m128i *)codes));
    v = _mm256_srlv_epi32(_mm256_shuffle_epi8(v, bytes), shifts);
    return _mm256_cvtepi32_ps(_mm256_and_si256(v, mask));
}
typedef __m256i whole;
#define WHOLE_LOAD(from) _mm256_loadu_si256((const __m256i *)(from))
#define WHOLE_ALL(value) _mm256_set1_epi32(value)
#endif

float SIMD(code_dot)(int bits, const uint8_t *codes, const float *x, int n)
{
    struct places p;
    VF sum[2] = {{0}};
    int i = 0, step = LANES * bits / 8, all = (n * bits + 7) / 8;
    find_places(bits, &p);
    whole bytes = WHOLE_LOAD(p.bytes), shifts = WHOLE_LOAD(p.shifts),
          mask = WHOLE_ALL((1 << bits) - 1);
    /* a load takes LANES bytes, of which the codes fill `step` */
    for (int at = 0; i + LANES <= n && at + LANES <= all; i += LANES, at += step)
        sum[i / LANES & 1] = v_fma(expand(codes + at, bytes, shifts, mask), v_load(x + i),
                                   sum[i / LANES & 1]);
    return v_sum(sum[0] + sum[1]) + scalar_codes(bits, codes + i * bits / 8, x + i, n - i);
}

#else

float SIMD(code_dot)(int bits, const uint8_t *codes, const float *x, int n)
{
    return scalar_codes(bits, codes, x, n);
}

#endif

#define D1(v)                                                                                      \
    {                                                                                              \
        (v) % 3, (v) / 3 % 3, (v) / 9 % 3, (v) / 27 % 3, (v) / 81 % 3                              \
    }
#define D4(v)  D1(v), D1((v) + 1), D1((v) + 2), D1((v) + 3)
#define D16(v) D4(v), D4((v) + 4), D4((v) + 8), D4((v) + 12)
#define D64(v) D16(v), D16((v) + 16), D16((v) + 32), D16((v) + 48)
static const uint8_t digits[256][8] = {D64(0), D64(64), D64(128), D64(192)}; /* of each byte, the
                                                                                lowest first */

float SIMD(trit_dot)(const uint8_t *codes, const float *x, int n)
{
    enum { BYTES = 16, COUNT = 5 * BYTES };
    uint8_t room[COUNT + 8];
    float values[COUNT];
    VF sum = v_all(0);
    int i = 0;
    for (; i + COUNT <= n; i += COUNT, codes += BYTES) {
        for (int k = 0; k < BYTES; k++)
            memcpy(room + 5 * k, digits[codes[k]], 8);
        for (int k = 0; k < COUNT; k++)
            values[k] = (float)room[k];
        for (int k = 0; k < COUNT; k += LANES)
            sum = v_fma(v_load(values + k), v_load(x + i + k), sum);
    }
    float total = v_sum(sum);
    for (int k = 0; i + k < n; k++)
        total += (float)digits[codes[k / 5]][k % 5] * x[i + k];
    return total;
}

int SIMD(mask_split)(const uint8_t *mask, const float *x, int n, float *set, float *clear)
{
    int i = 0, sets = 0, clears = 0;
#if defined(SIMD_AVX512)
    for (; i + LANES <= n; i += LANES) { /* whole vectors are stored: sets and clears are at most i
                                          */
        uint16_t bits;
        memcpy(&bits, mask + i / 8, sizeof bits);
        __m512 v = _mm512_loadu_ps(x + i);
        _mm512_storeu_ps(set + sets, _mm512_maskz_compress_ps(bits, v));
        _mm512_storeu_ps(clear + clears, _mm512_maskz_compress_ps((__mmask16)~bits, v));
        int count = __builtin_popcount(bits);
        sets += count;
        clears += LANES - count;
    }
#endif
    for (; i < n; i++) { /* both are written, one stays */
        int bit = mask[i / 8] >> (i % 8) & 1;
        set[sets] = x[i];
        clear[clears] = x[i];
        sets += bit;
        clears += !bit;
    }
    return sets;
}
