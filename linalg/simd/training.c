/* Backward passes of the elementwise steps, dropout and the AdamW update. Loops without a vector
 * type are left to the compiler: their elements do not depend on each other. */
#include "linalg/adam.h"
#include "linalg/simd/vec.h"

/* y = w x s with s = (mean x^2 + e)^(-1/2): dx += s (w dy) - x s^3 / n sum(w dy x), dw += dy x s.
 */
void SIMD(rmsnorm_back)(float *restrict dx, float *restrict dw, const float *x, const float *weight,
                        const float *dy, float epsilon, int n)
{
    float s = 1.0f / sqrtf(SIMD(dot)(x, x, n) / (float)n + epsilon), along = 0.0f;
    VF sum = v_all(0.0f);
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        sum = v_fma(v_load(weight + i) * v_load(dy + i), v_load(x + i), sum);
    for (; i < n; i++)
        along += weight[i] * dy[i] * x[i];
    along = (along + v_sum(sum)) * s * s * s / (float)n;
    for (i = 0; i < n; i++) {
        dx[i] += s * weight[i] * dy[i] - along * x[i];
        dw[i] += dy[i] * x[i] * s;
    }
}

/* y = g u s(g) with s the logistic function: dg = dy u s (1 + g (1 - s)), du = dy g s. */
static inline void silu_parts(VF gate, VF up, VF dy, VF *dgate, VF *dup)
{
    VF one = v_all(1.0f), s = one / (one + v_exp(-gate));
    *dgate = dy * up * s * (one + gate * (one - s));
    *dup = dy * gate * s;
}

void SIMD(silu_mul_back)(float *dgate, float *dup, const float *gate, const float *up,
                         const float *dy, int n)
{
    VF a, b;
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        silu_parts(v_load(gate + i), v_load(up + i), v_load(dy + i), &a, &b);
        v_store(dgate + i, a);
        v_store(dup + i, b);
    }
    if (i < n) {
        silu_parts(v_load_part(gate + i, n - i, 0.0f), v_load_part(up + i, n - i, 0.0f),
                   v_load_part(dy + i, n - i, 0.0f), &a, &b);
        v_store_part(dgate + i, a, n - i);
        v_store_part(dup + i, b, n - i);
    }
}

void SIMD(softmax_back)(float *dx, const float *y, const float *dy, int n)
{
    float mean = SIMD(dot)(y, dy, n);
    for (int i = 0; i < n; i++)
        dx[i] = y[i] * (dy[i] - mean);
}

/* The hash is two rounds of multiplication and xor with shifted self: every bit of the place
 * reaches every bit of the result. */
void SIMD(dropout_add)(float *restrict y, const float *restrict base, const float *restrict x,
                       uint32_t key, uint32_t place, uint32_t keep, int n)
{
    float scale = 65536.0f / (float)keep;
    for (int i = 0; i < n; i++) {
        uint32_t h = (place + (uint32_t)i) * 0x9e3779b1u ^ key;
        h = (h ^ (h >> 16)) * 0x7feb352du;
        h = (h ^ (h >> 15)) * 0x846ca68bu;
        h ^= h >> 16;
        y[i] = base[i] + ((h & 0xffffu) < keep ? x[i] * scale : 0.0f);
    }
}

void SIMD(adam)(float *restrict w, float *restrict g, float *restrict m, float *restrict v,
                const struct adam_step *step, int n)
{
    struct adam_step a = *step;
    for (int i = 0; i < n; i++) {
        float gradient = g[i] * a.scale;
        float first = a.beta1 * m[i] + (1.0f - a.beta1) * gradient;
        float second = a.beta2 * v[i] + (1.0f - a.beta2) * (gradient * gradient);
        m[i] = first;
        v[i] = second;
        w[i] = a.shrink * w[i] -
               a.rate * (first * a.correct1) / (sqrtf(second * a.correct2) + a.epsilon);
        g[i] = 0.0f;
    }
}
