/* Plain twins of linalg/simd/training.c. */
#include "linalg/adam.h"
#include "linalg/simd.h"

#include <math.h>

void rmsnorm_back_ref(float *dx, float *dw, const float *x, const float *weight, const float *dy,
                      float epsilon, int n)
{
    double squares = 0, along = 0;
    for (int i = 0; i < n; i++) {
        squares += (double)x[i] * x[i];
        along += (double)weight[i] * dy[i] * x[i];
    }
    double s = 1 / sqrt(squares / n + epsilon);
    for (int i = 0; i < n; i++) {
        dx[i] = (float)(dx[i] + s * weight[i] * dy[i] - x[i] * s * s * s / n * along);
        dw[i] = (float)(dw[i] + dy[i] * s * x[i]);
    }
}

void silu_mul_back_ref(float *dgate, float *dup, const float *gate, const float *up,
                       const float *dy, int n)
{
    for (int i = 0; i < n; i++) {
        double s = 1 / (1 + exp(-(double)gate[i]));
        double slope = s + gate[i] * s * (1 - s);
        dgate[i] = (float)(dy[i] * up[i] * slope);
        dup[i] = (float)(dy[i] * gate[i] * s);
    }
}

void softmax_back_ref(float *dx, const float *y, const float *dy, int n)
{
    double mean = 0;
    for (int i = 0; i < n; i++)
        mean += (double)y[i] * dy[i];
    for (int i = 0; i < n; i++)
        dx[i] = (float)(y[i] * (dy[i] - mean));
}

void dropout_add_ref(float *y, const float *base, const float *x, uint32_t key, uint32_t place,
                     uint32_t keep, int n)
{
    for (int i = 0; i < n; i++) {
        uint32_t h = ((place + (uint32_t)i) * 0x9e3779b1u) ^ key;
        h ^= h >> 16;
        h *= 0x7feb352du;
        h ^= h >> 15;
        h *= 0x846ca68bu;
        h ^= h >> 16;
        y[i] = base[i];
        if (h % 65536 < keep)
            y[i] = (float)(y[i] + x[i] * (65536.0 / keep));
    }
}

void adam_ref(float *w, float *g, float *m, float *v, const struct adam_step *a, int n)
{
    for (int i = 0; i < n; i++) {
        double gradient = (double)g[i] * a->scale;
        double first = a->beta1 * (double)m[i] + (1.0 - a->beta1) * gradient;
        double second = a->beta2 * (double)v[i] + (1.0 - a->beta2) * gradient * gradient;
        m[i] = (float)first;
        v[i] = (float)second;
        w[i] = (float)(a->shrink * (double)w[i] -
                       a->rate * first * a->correct1 / (sqrt(second * a->correct2) + a->epsilon));
        g[i] = 0.0f;
    }
}
