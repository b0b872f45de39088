#include "model/train_kernels.h"

#include <math.h>
#include <string.h>

/* Compiled once for each instruction set and picked at load time. Contraction is off and sums have a fixed shape, so
 * the versions agree to the last bit. Sanitizers start after the resolvers run, hence the exception. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && defined(__GNUC__) && !defined(__clang__)
#define KERNEL __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define KERNEL
#endif
#define INLINE static inline __attribute__((always_inline))

enum { LANES = 16 };
typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4)));

INLINE float lanes_sum(const lanes *v)
{
    float s[LANES];
    memcpy(s, v, sizeof s);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            s[i] += s[i + width];
    return s[0];
}

/* sum x * y */
INLINE float dot(const float *x, const float *y, int n)
{
    lanes a = {0}, b = {0};
    int i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        a += *(const lanes *)(x + i) * *(const lanes *)(y + i);
        b += *(const lanes *)(x + i + LANES) * *(const lanes *)(y + i + LANES);
    }
    a += b;
    float tail = 0.0f;
    for (; i < n; i++)
        tail += x[i] * y[i];
    return lanes_sum(&a) + tail;
}

INLINE float sum(const float *x, int n)
{
    lanes a = {0};
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        a += *(const lanes *)(x + i);
    float tail = 0.0f;
    for (; i < n; i++)
        tail += x[i];
    return lanes_sum(&a) + tail;
}

INLINE float largest(const float *x, int n)
{
    float m[LANES], top = x[0];
    int i = 0;
    for (int j = 0; j < LANES; j++)
        m[j] = x[0];
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++)
            m[j] = x[i + j] > m[j] ? x[i + j] : m[j];
    for (; i < n; i++)
        top = x[i] > top ? x[i] : top;
    for (int j = 0; j < LANES; j++)
        top = m[j] > top ? m[j] : top;
    return top;
}

/* e^x within 2 units in the last place, for vectorised loops: x = n ln 2 + r, |r| <= ln 2 / 2, and a polynomial of degree
 * 6 for e^r. Arguments are limited to [-87, 88], where the result is a normal number. */
INLINE float exponential(float x)
{
    x = x > -87.0f ? x : -87.0f;
    x = x < 88.0f ? x : 88.0f;
    float n = (x * 1.44269504f + 12582912.0f) - 12582912.0f; /* rounds to the nearest integer */
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    union {
        int32_t bits;
        float value;
    } power = {.bits = ((int32_t)n + 127) * (1 << 23)};
    return p * power.value;
}

KERNEL float train_rmsnorm(const float *x, const float *w, int n, float epsilon, float *y)
{
    float inverse = 1.0f / sqrtf(dot(x, x, n) / (float)n + epsilon);
    for (int i = 0; i < n; i++)
        y[i] = w[i] * (x[i] * inverse);
    return inverse;
}

/* y = w x s with s = (mean x^2 + e)^(-1/2): dx = s (w dy) - x s^3 / n sum(w dy x). */
KERNEL void train_rmsnorm_backward(const float *x, const float *w, const float *dy, int n, float inverse, float *dx,
                                   float *dw)
{
    lanes a = {0};
    float tail = 0.0f;
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        a += *(const lanes *)(x + i) * *(const lanes *)(w + i) * *(const lanes *)(dy + i);
    for (; i < n; i++)
        tail += x[i] * w[i] * dy[i];
    float along = (lanes_sum(&a) + tail) * inverse * inverse * inverse / (float)n;
    for (i = 0; i < n; i++)
        dx[i] += inverse * w[i] * dy[i] - along * x[i];
    for (i = 0; i < n; i++)
        dw[i] += dy[i] * x[i] * inverse;
}

KERNEL void train_swiglu(const float *gate, const float *up, int n, float *y)
{
    for (int i = 0; i < n; i++)
        y[i] = gate[i] / (1.0f + exponential(-gate[i])) * up[i];
}

KERNEL void train_swiglu_backward(const float *gate, const float *up, const float *dy, int n, float *dgate, float *dup)
{
    for (int i = 0; i < n; i++) {
        float s = 1.0f / (1.0f + exponential(-gate[i])), d = dy[i];
        dgate[i] = d * up[i] * s * (1.0f + gate[i] * (1.0f - s));
        dup[i] = d * gate[i] * s;
    }
}

KERNEL void train_softmax(float *x, int n, float scale)
{
    float top = largest(x, n) * scale;
    for (int i = 0; i < n; i++)
        x[i] = exponential(x[i] * scale - top);
    float inverse = 1.0f / sum(x, n);
    for (int i = 0; i < n; i++)
        x[i] *= inverse;
}

KERNEL void train_softmax_backward(const float *p, float *dp, int n, float scale)
{
    float mean = dot(p, dp, n);
    for (int i = 0; i < n; i++)
        dp[i] = p[i] * (dp[i] - mean) * scale;
}

KERNEL float train_cross_entropy(float *logits, int n, int target, float scale)
{
    float top = largest(logits, n), aim = logits[target] - top;
    for (int i = 0; i < n; i++)
        logits[i] = exponential(logits[i] - top);
    float total = sum(logits, n), factor = scale / total;
    for (int i = 0; i < n; i++)
        logits[i] *= factor;
    logits[target] -= scale;
    return logf(total) - aim;
}

KERNEL void train_rope(float *x, int size, const float *cosine, const float *sine, float direction)
{
    int half = size / 2;
    for (int i = 0; i < half; i++) {
        float a = x[i], b = x[i + half], c = cosine[i], s = sine[i] * direction;
        x[i] = a * c - b * s;
        x[i + half] = b * c + a * s;
    }
}

KERNEL void train_dropout_add(const float *base, const float *x, int n, uint32_t key, uint32_t place, double keep,
                              float *y)
{
    uint32_t limit = (uint32_t)(keep * 65536.0);
    float scale = (float)(65536.0 / (double)limit);
    for (int i = 0; i < n; i++) {
        uint32_t h = (place + (uint32_t)i) * 0x9e3779b1u ^ key; /* an integer hash of two multiply-xorshift rounds */
        h ^= h >> 16;
        h *= 0x7feb352du;
        h ^= h >> 15;
        h *= 0x846ca68bu;
        h ^= h >> 16;
        float kept = (h & 0xffffu) < limit ? x[i] * scale : 0.0f;
        y[i] = base ? base[i] + kept : kept;
    }
}

KERNEL void train_add(const float *x, int n, float *y)
{
    for (int i = 0; i < n; i++)
        y[i] += x[i];
}

KERNEL double train_square_sum(const float *x, size_t n)
{
    double total = 0.0;
    for (size_t at = 0; at < n; at += 4096) {
        int count = n - at < 4096 ? (int)(n - at) : 4096;
        total += (double)dot(x + at, x + at, count);
    }
    return total;
}

KERNEL void train_adam_update(const struct train_adam *a, size_t n, float *restrict w, float *restrict g,
                              float *restrict m, float *restrict v)
{
    float b1 = a->beta1, b2 = a->beta2, c1 = a->correct1, c2 = a->correct2, rate = a->rate, shrink = a->shrink;
    float scale = a->scale, epsilon = a->epsilon;
    for (size_t i = 0; i < n; i++) {
        float gradient = g[i] * scale;
        float first = b1 * m[i] + (1.0f - b1) * gradient;
        float second = b2 * v[i] + (1.0f - b2) * (gradient * gradient);
        m[i] = first;
        v[i] = second;
        w[i] = shrink * w[i] - rate * (first * c1) / (sqrtf(second * c2) + epsilon);
        g[i] = 0.0f;
    }
}
