/* One vector type and its few operations, for whichever instruction set this file is being
 * compiled. The arithmetic operators work on VF as on float. */
#ifndef LINALG_SIMD_VEC_H
#define LINALG_SIMD_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#if defined(SIMD_AVX512)
enum { LANES = 16 };
#define SIMD(name) name##_avx512
#elif defined(SIMD_AVX2)
enum { LANES = 8 };
#define SIMD(name) name##_avx2
#else
enum { LANES = 4 };
#define SIMD(name) name##_base
#endif

typedef float VF __attribute__((vector_size(4 * LANES)));
typedef int32_t VI __attribute__((vector_size(4 * LANES)));

struct adam_step; /* linalg/adam.h */
#define KERNEL(result, kernel, arguments) result SIMD(kernel) arguments;
#include "linalg/simd/kernels.def"
#undef KERNEL

static inline VF v_load(const float *from)
{
    VF v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline void v_store(float *to, VF v)
{
    memcpy(to, &v, sizeof v);
}

/* The first n < LANES elements; the others are fill. */
static inline VF v_load_part(const float *from, int n, float fill)
{
    float all[LANES];
    for (int i = 0; i < LANES; i++)
        all[i] = fill;
    memcpy(all, from, (size_t)n * sizeof *from);
    return v_load(all);
}

static inline void v_store_part(float *to, VF v, int n)
{
    memcpy(to, &v, (size_t)n * sizeof *to);
}

static inline VF v_all(float value)
{
#if defined(SIMD_AVX512)
    return _mm512_set1_ps(value);
#elif defined(SIMD_AVX2)
    return _mm256_set1_ps(value);
#else
    return (VF){value, value, value, value};
#endif
}

/* a b + c, in one rounding where the set has it */
static inline VF v_fma(VF a, VF b, VF c)
{
#if defined(SIMD_AVX512)
    return _mm512_fmadd_ps(a, b, c);
#elif defined(SIMD_AVX2)
    return _mm256_fmadd_ps(a, b, c);
#else
    return a * b + c;
#endif
}

static inline VF v_select(VI mask, VF yes, VF no)
{
    return (VF)((mask & (VI)yes) | (~mask & (VI)no));
}

/* The larger; b where one is NaN. */
static inline VF v_max(VF a, VF b)
{
#if defined(SIMD_AVX512)
    return _mm512_max_ps(a, b);
#elif defined(SIMD_AVX2)
    return _mm256_max_ps(a, b);
#else
    return v_select(a > b, a, b);
#endif
}

static inline VF v_min(VF a, VF b)
{
#if defined(SIMD_AVX512)
    return _mm512_min_ps(a, b);
#elif defined(SIMD_AVX2)
    return _mm256_min_ps(a, b);
#else
    return v_select(a < b, a, b);
#endif
}

/* In pairs, halves first: an order of its own, the same at every call. */
static inline float v_sum(VF v)
{
    float part[LANES];
    v_store(part, v);
    for (int width = LANES / 2; width > 0; width /= 2) {
        for (int i = 0; i < width; i++)
            part[i] += part[i + width];
    }
    return part[0];
}

static inline float v_max_of(VF v)
{
    float part[LANES];
    v_store(part, v);
    float best = part[0];
    for (int i = 1; i < LANES; i++)
        best = part[i] > best ? part[i] : best;
    return best;
}

/* exp(x) to about 1 unit in the last place: x = n ln 2 + r, a polynomial in r, times 2^n. 0 below
 * the normal numbers, infinity above 88, NaN stays. */
static inline VF v_exp(VF x)
{
    const VF low = v_all(-87.3365f), high = v_all(88.0f), magic = v_all(0x1.8p23f);
    VF bounded = v_min(high, v_max(low, x)); /* this order of arguments lets NaN through */
    VF shifted = v_fma(bounded, v_all(0x1.715476p0f), magic); /* the sum with 1.5 * 2^23 rounds to a
                                                                 whole number */
    VF whole = shifted - magic;
    VF r = v_fma(whole, v_all(-0x1.62e4p-1f), bounded); /* ln 2 in two parts */
    r = v_fma(whole, v_all(-0x1.7f7d1cp-20f), r);
    VF p = v_fma(r, v_all(0x1.6d117cp-10f), v_all(0x1.120be2p-7f)); /* near 1/720, 1/120, ... */
    p = v_fma(p, r, v_all(0x1.555518p-5f));
    p = v_fma(p, r, v_all(0x1.5554dcp-3f));
    p = v_fma(p, r, v_all(0.5f));
    p = v_fma(p, r * r, r);
    VI power = (((VI)shifted - (VI)magic) + 127) << 23;
    VF result = v_fma(p, (VF)power, (VF)power);
    result = v_select(x < low, v_all(0.0f), result);
    return v_select(x > high, v_all(INFINITY), result);
}

#endif
