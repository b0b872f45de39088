/* Exponentials, and the rows that are made of them. */
#include "linalg/simd/vec.h"

void SIMD(exp)(float *y, const float *x, int n)
{
    int i = 0;
    for (; i + LANES <= n; i += LANES)
        v_store(y + i, v_exp(v_load(x + i)));
    if (i < n)
        v_store_part(y + i, v_exp(v_load_part(x + i, n - i, 0.0f)), n - i);
}

float SIMD(exp_sum)(float *y, const float *x, float shift, int n)
{
    VF sum[2] = {{0}}, by = v_all(shift);
    int i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        for (int j = 0; j < 2; j++) {
            VF e = v_exp(v_load(x + i + j * LANES) - by);
            v_store(y + i + j * LANES, e);
            sum[j] += e;
        }
    }
    for (; i < n; i += LANES) {
        int part = n - i < LANES ? n - i : LANES;
        VF e = v_exp((part < LANES ? v_load_part(x + i, part, -INFINITY) : v_load(x + i)) - by);
        v_store_part(y + i, e, part);
        sum[0] += e;
    }
    return v_sum(sum[0] + sum[1]);
}

float SIMD(sum_exp)(const float *x, float shift, int n)
{
    VF sum[2] = {{0}}, by = v_all(shift);
    int i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        for (int j = 0; j < 2; j++)
            sum[j] += v_exp(v_load(x + i + j * LANES) - by);
    }
    for (; i < n; i += LANES) {
        int part = n - i < LANES ? n - i : LANES;
        sum[0] += v_exp((part < LANES ? v_load_part(x + i, part, -INFINITY) : v_load(x + i)) - by);
    }
    return v_sum(sum[0] + sum[1]);
}

float SIMD(sum_exp_gap)(const float *x, const float *y, float shift, int n, float *gap)
{
    VF sum[2] = {{0}}, gaps[2] = {{0}}, by = v_all(shift);
    int i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        for (int j = 0; j < 2; j++) {
            VF at = v_load(x + i + j * LANES), e = v_exp(at - by);
            sum[j] += e;
            gaps[j] += e * (at - v_load(y + i + j * LANES));
        }
    }
    for (; i < n; i += LANES) {
        int part = n - i < LANES ? n - i : LANES;
        VF at = v_load_part(x + i, part, 0.0f), other = v_load_part(y + i, part, 0.0f);
        VF e = v_exp(v_load_part(x + i, part, -INFINITY) - by);
        sum[0] += e;
        gaps[0] += e * (at - other);
    }
    *gap = v_sum(gaps[0] + gaps[1]);
    return v_sum(sum[0] + sum[1]);
}

void SIMD(softmax)(float *y, const float *x, int n)
{
    float sum = SIMD(exp_sum)(y, x, SIMD(max)(x, n), n);
    SIMD(scale)(y, 1.0f / sum, y, n);
}

float SIMD(log_sum_exp)(const float *x, int n)
{
    float shift = SIMD(max)(x, n);
    return shift + logf(SIMD(sum_exp)(x, shift, n));
}
