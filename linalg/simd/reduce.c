/* Sums and maxima. Four accumulators hide the latency of an addition. */
#include "linalg/simd/vec.h"

float SIMD(max)(const float *x, int n)
{
    VF best[4];
    int i = 0;
    for (int j = 0; j < 4; j++)
        best[j] = v_all(-INFINITY);
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        for (int j = 0; j < 4; j++)
            best[j] = v_max(v_load(x + i + j * LANES), best[j]);
    }
    for (; i + LANES <= n; i += LANES)
        best[0] = v_max(v_load(x + i), best[0]);
    if (i < n)
        best[1] = v_max(v_load_part(x + i, n - i, -INFINITY), best[1]);
    return v_max_of(v_max(v_max(best[0], best[1]), v_max(best[2], best[3])));
}

int SIMD(argmax)(const float *x, int n)
{
    float best = SIMD(max)(x, n);
    for (int i = 0; i < n; i++) {
        if (x[i] == best)
            return i;
    }
    return 0;
}

float SIMD(dot)(const float *x, const float *y, int n)
{
    VF sum[4] = {{0}};
    int i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        for (int j = 0; j < 4; j++)
            sum[j] = v_fma(v_load(x + i + j * LANES), v_load(y + i + j * LANES), sum[j]);
    }
    for (; i + LANES <= n; i += LANES)
        sum[0] = v_fma(v_load(x + i), v_load(y + i), sum[0]);
    if (i < n)
        sum[1] = v_fma(v_load_part(x + i, n - i, 0.0f), v_load_part(y + i, n - i, 0.0f), sum[1]);
    return v_sum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

void SIMD(axpy)(float *y, float a, const float *x, int n)
{
    VF factor = v_all(a);
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_fma(factor, v_load(x + i), v_load(y + i)));
    if (i < n)
        v_store_part(
            y + i, v_fma(factor, v_load_part(x + i, n - i, 0.0f), v_load_part(y + i, n - i, 0.0f)),
            n - i);
}

void SIMD(scale)(float *y, float a, const float *x, int n)
{
    VF factor = v_all(a);
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, factor * v_load(x + i));
    if (i < n)
        v_store_part(y + i, factor * v_load_part(x + i, n - i, 0.0f), n - i);
}
