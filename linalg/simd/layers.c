/* What stands between the matrix products of a transformer block. */
#include "linalg/simd/vec.h"

void SIMD(rmsnorm)(float *y, const float *x, const float *weight, float epsilon, int n)
{
    float factor = 1.0f / sqrtf(SIMD(dot)(x, x, n) / (float)n + epsilon);
    VF by = v_all(factor);
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_load(x + i) * by * v_load(weight + i));
    for (; i < n; i++)
        y[i] = x[i] * factor * weight[i];
}

/* sum (x - shift), or, with `squares`, sum (x - shift)^2 */
static inline float sum_from(const float *x, float shift, int squares, int n)
{
    VF by = v_all(shift), first = v_all(0), second = v_all(0);
    int i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        VF a = v_load(x + i) - by, b = v_load(x + i + LANES) - by;
        first = squares ? v_fma(a, a, first) : first + a;
        second = squares ? v_fma(b, b, second) : second + b;
    }
    for (; i < n; i += LANES) {
        int left = n - i < LANES ? n - i : LANES;
        VF a = v_load_part(x + i, left, shift) - by;
        first = squares ? v_fma(a, a, first) : first + a;
    }
    return v_sum(first + second);
}

void SIMD(layernorm)(float *y, const float *x, const float *weight, const float *bias,
                     float epsilon, int n)
{
    float mean = sum_from(x, 0.0f, 0, n) / (float)n;
    float factor = 1.0f / sqrtf(sum_from(x, mean, 1, n) / (float)n + epsilon);
    VF from = v_all(mean), by = v_all(factor);
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_fma((v_load(x + i) - from) * by, v_load(weight + i), v_load(bias + i)));
    for (; i < n; i++)
        y[i] = (x[i] - mean) * factor * weight[i] + bias[i];
}

void SIMD(relu)(float *y, const float *x, int n)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_max(v_all(0.0f), v_load(x + i))); /* NaN, the second, stays */
    for (; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

void SIMD(rope)(float *x, const float *cosine, const float *sine, int n)
{
    int half = n / 2, i = 0;
    for (; i + LANES <= half; i += LANES) {
        VF a = v_load(x + i), b = v_load(x + half + i), c = v_load(cosine + i),
           s = v_load(sine + i);
        v_store(x + i, v_fma(a, c, -(b * s)));
        v_store(x + half + i, v_fma(b, c, a * s));
    }
    for (; i < half; i++) {
        float a = x[i], b = x[half + i];
        x[i] = a * cosine[i] - b * sine[i];
        x[half + i] = b * cosine[i] + a * sine[i];
    }
}

static inline VF silu_times(VF gate, VF up)
{
    return gate / (v_all(1.0f) + v_exp(-gate)) * up;
}

void SIMD(silu_mul)(float *y, const float *gate, const float *up, int n)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, silu_times(v_load(gate + i), v_load(up + i)));
    if (i < n)
        v_store_part(
            y + i, silu_times(v_load_part(gate + i, n - i, 0.0f), v_load_part(up + i, n - i, 0.0f)),
            n - i);
}
