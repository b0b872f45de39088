/* The plain twins of the kernels that the quantizers use. */
#include "linalg/simd.h"

#include <math.h>

enum { ROWS = 16 };

static double sign(double x)
{
    return (x > 0) - (x < 0);
}

void binary_error_ref(const float *x, int count, const double *sum, int order, float *error)
{
    for (int l = 0; l < ROWS; l++) {
        double mean = count > 0 ? sum[l] / count : 0, left = 0, spread = 0, second = 0, rest = 0;
        for (int i = 0; i < count; i++)
            spread += fabs((double)x[ROWS * i + l] - mean);
        double scale = count > 0 ? spread / count : 0;
        for (int i = 0; i < count; i++) {
            double r = (double)x[ROWS * i + l] - mean;
            rest += (r - sign(r) * scale) / count;
            left += (r - sign(r) * scale) * (r - sign(r) * scale);
        }
        for (int i = 0; order > 1 && i < count; i++) {
            double r = (double)x[ROWS * i + l] - mean;
            second += fabs(r - sign(r) * scale - rest) / count;
        }
        for (int i = 0; order > 1 && i < count; i++) {
            double r = (double)x[ROWS * i + l] - mean, u = r - sign(r) * scale - rest;
            left += (u - sign(u) * second) * (u - sign(u) * second) -
                    (r - sign(r) * scale) * (r - sign(r) * scale);
        }
        error[l] = (float)left;
    }
}

void split_error_ref(const float *x, int count, float split, float *error)
{
    for (int l = 0; l < ROWS; l++) {
        double left = 0;
        for (int inner = 0; inner < 2; inner++) {
            double sum = 0, spread = 0;
            int n = 0;
            for (int i = 0; i < count; i++)
                if ((fabsf(x[ROWS * i + l]) < split) == inner) {
                    sum += (double)x[ROWS * i + l];
                    n++;
                }
            double mean = n > 0 ? sum / n : 0;
            for (int i = 0; i < count; i++)
                if ((fabsf(x[ROWS * i + l]) < split) == inner)
                    spread += fabs((double)x[ROWS * i + l] - mean) / n;
            for (int i = 0; i < count; i++)
                if ((fabsf(x[ROWS * i + l]) < split) == inner) {
                    double u = (double)x[ROWS * i + l] - mean;
                    left += (u - sign(u) * spread) * (u - sign(u) * spread);
                }
        }
        error[l] = (float)left;
    }
}

void feed_back_ref(double *w, const double *error, const float *u, int count)
{
    for (int j = 0; j < count; j++)
        for (int l = 0; l < 32; l++)
            w[32 * j + l] -= error[l] * (double)u[j];
}

float mask_dot_ref(const uint8_t *mask, const float *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += mask[i / 8] >> (i % 8) & 1 ? (double)x[i] : 0;
    return (float)sum;
}

int mask_split_ref(const uint8_t *mask, const float *x, int n, float *set, float *clear)
{
    int sets = 0, clears = 0;
    for (int i = 0; i < n; i++) {
        if (mask[i / 8] >> (i % 8) & 1)
            set[sets++] = x[i];
        else
            clear[clears++] = x[i];
    }
    return sets;
}

float code_dot_ref(int bits, const uint8_t *codes, const float *x, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        unsigned code = 0;
        for (int b = 0; b < bits; b++)
            code |= (codes[(i * bits + b) / 8] >> ((i * bits + b) % 8) & 1u) << b;
        sum += (double)code * (double)x[i];
    }
    return (float)sum;
}

float trit_dot_ref(const uint8_t *codes, const float *x, int n)
{
    static const int powers[] = {1, 3, 9, 27, 81};
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)(codes[i / 5] / powers[i % 5] % 3) * (double)x[i];
    return (float)sum;
}
