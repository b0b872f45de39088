/* The plain twins of the vector kernels. */
#include "linalg/simd.h"

#include <math.h>

float max_ref(const float *x, int n)
{
    float best = -INFINITY;
    for (int i = 0; i < n; i++)
        best = x[i] > best ? x[i] : best;
    return best;
}

int argmax_ref(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        if (x[i] > x[best] || isnan(x[best]))
            best = i;
    }
    return isnan(x[best]) ? 0 : best;
}

float dot_ref(const float *x, const float *y, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)x[i] * y[i];
    return (float)sum;
}

void axpy_ref(float *y, float a, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = (float)(y[i] + (double)a * x[i]);
}

void scale_ref(float *y, float a, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = a * x[i];
}

static float bounded_exp(float x)
{
    return x < -87.3365f ? 0.0f : x > 88.0f ? INFINITY : (float)exp((double)x);
}

void exp_ref(float *y, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = bounded_exp(x[i]);
}

float exp_sum_ref(float *y, const float *x, float shift, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        y[i] = bounded_exp(x[i] - shift);
        sum += y[i];
    }
    return (float)sum;
}

float sum_exp_ref(const float *x, float shift, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += bounded_exp(x[i] - shift);
    return (float)sum;
}

float sum_exp_gap_ref(const float *x, const float *y, float shift, int n, float *gap)
{
    double sum = 0, gaps = 0;
    for (int i = 0; i < n; i++) {
        double e = bounded_exp(x[i] - shift);
        sum += e;
        gaps += e * ((double)x[i] - y[i]);
    }
    *gap = (float)gaps;
    return (float)sum;
}

void softmax_ref(float *y, const float *x, int n)
{
    float sum = exp_sum_ref(y, x, max_ref(x, n), n);
    for (int i = 0; i < n; i++)
        y[i] /= sum;
}

float log_sum_exp_ref(const float *x, int n)
{
    double sum = 0, shift = max_ref(x, n);
    for (int i = 0; i < n; i++)
        sum += exp(x[i] - shift);
    return (float)(shift + log(sum));
}

void rmsnorm_ref(float *y, const float *x, const float *weight, float epsilon, int n)
{
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += (double)x[i] * x[i];
    double factor = 1 / sqrt(squares / n + epsilon);
    for (int i = 0; i < n; i++)
        y[i] = (float)(x[i] * factor * weight[i]);
}

void layernorm_ref(float *y, const float *x, const float *weight, const float *bias, float epsilon,
                   int n)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < n; i++)
        mean += (double)x[i] / n;
    for (int i = 0; i < n; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double factor = 1 / sqrt(squares / n + epsilon);
    for (int i = 0; i < n; i++)
        y[i] = (float)((x[i] - mean) * factor * weight[i] + bias[i]);
}

void relu_ref(float *y, const float *x, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

void rope_ref(float *x, const float *cosine, const float *sine, int n)
{
    for (int i = 0, half = n / 2; i < half; i++) {
        double a = x[i], b = x[half + i];
        x[i] = (float)(a * cosine[i] - b * sine[i]);
        x[half + i] = (float)(b * cosine[i] + a * sine[i]);
    }
}

void silu_mul_ref(float *y, const float *gate, const float *up, int n)
{
    for (int i = 0; i < n; i++)
        y[i] = (float)(gate[i] / (1 + exp(-(double)gate[i])) * up[i]);
}

void panel_multiply_ref(const float *x, long x_row, int rows, const float *panel, int k, float *y,
                        long y_row, int columns, int add)
{
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
            double sum = add ? y[i * y_row + j] : 0;
            for (int p = 0; p < k; p++)
                sum += (double)x[i * x_row + p] * panel[p * 32L + j];
            y[i * y_row + j] = (float)sum;
        }
    }
}

void panel_transpose_ref(const float *w, long w_row, int columns, int k, float *panel)
{
    for (int p = 0; p < k; p++) {
        for (int j = 0; j < 32; j++)
            panel[p * 32L + j] = j < columns ? w[j * w_row + p] : 0.0f;
    }
}
