#include "methods/uniform.h"

#include "model/dtype.h"

#include <float.h>
#include <math.h>

float uniform_half(float scale)
{
    float rounded = half_to_float(float_to_half(scale));
    return rounded > 65504.0f ? 65504.0f : rounded > 0 || scale == 0 ? rounded : 5.9604645e-8f;
}

/* Round half to even by the float format itself. What lies beyond 2^22 is cut there: every such
 * code is clamped anyway. */
static inline float round_even(float x)
{
    const float shift = 12582912.0f, limit = 4194304.0f;
    x = x > limit ? limit : x;
    x = x < -limit ? -limit : x;
    return (x + shift) - shift;
}

static inline float code_of(float w, float scale, float zero, float top)
{
    float q = round_even(w / scale) + zero;
    q = q < 0 ? 0 : q;
    return q > top ? top : q;
}

/* Minimum and maximum of w and 0, in lanes so that the loop becomes vector code; the order does not
 * matter. */
static void range_of(const float *w, int count, float *low, float *high)
{
    enum { LANES = 16 };
    float lows[LANES] = {0}, highs[LANES] = {0};
    int i = 0;
    for (; i + LANES <= count; i += LANES)
        for (int l = 0; l < LANES; l++) {
            lows[l] = w[i + l] < lows[l] ? w[i + l] : lows[l];
            highs[l] = w[i + l] > highs[l] ? w[i + l] : highs[l];
        }
    for (; i < count; i++) {
        lows[0] = w[i] < lows[0] ? w[i] : lows[0];
        highs[0] = w[i] > highs[0] ? w[i] : highs[0];
    }
    *low = *high = 0;
    for (int l = 0; l < LANES; l++) {
        *low = lows[l] < *low ? lows[l] : *low;
        *high = highs[l] > *high ? highs[l] : *high;
    }
}

/* (high - low) / top, never 0 and never infinite. */
static float scale_of(const struct uniform *u, float low, float high, float top)
{
    float scale = (high - low) / top;
    if (!(scale > 0))
        scale = FLT_MIN;
    if (scale > FLT_MAX)
        scale = FLT_MAX;
    return u->half ? uniform_half(scale) : scale;
}

static float zero_of(const struct uniform *u, float low, float scale, float top)
{
    if (u->symmetric)
        return (top + 1) / 2;
    float zero = round_even(-low / scale);
    return zero > top ? top : zero;
}

static double range_error(const float *w, int count, float scale, float zero, float top)
{
    double error = 0;
    for (int i = 0; i < count; i++) {
        float difference = scale * (code_of(w[i], scale, zero, top) - zero) - w[i];
        error += (double)powf(fabsf(difference), 2.4f);
    }
    return error;
}

void uniform_fit(const struct uniform *u, const float *w, int count, float *scale, float *zero)
{
    float low, high, top = (float)((1 << u->bits) - 1);
    range_of(w, count, &low, &high);
    if (u->symmetric) {
        high = -low > high ? -low : high;
        if (low < 0)
            low = -high;
    }
    if (low == 0 && high == 0) {
        low = -1;
        high = 1;
    }
    if (u->trits) {
        *scale = u->half ? uniform_half(high) : high;
        *zero = u->half ? -uniform_half(-low) : low;
        return;
    }
    *scale = scale_of(u, low, high, top);
    *zero = zero_of(u, low, *scale, top);
    float best = INFINITY;
    for (int i = 0; u->mse && i < 80; i++) {
        float share = (float)(1 - i / 100.0);
        float shrunk_scale = scale_of(u, share * low, share * high, top);
        float shrunk_zero = zero_of(u, share * low, shrunk_scale, top);
        float error = (float)range_error(w, count, shrunk_scale, shrunk_zero, top);
        if (error < best) {
            best = error;
            *scale = shrunk_scale;
            *zero = shrunk_zero;
        }
    }
}

void uniform_quantize(const struct uniform *u, const float *w, int count, float scale, float zero,
                      uint8_t *codes, float *values)
{
    float top = (float)((1 << u->bits) - 1);
    for (int i = 0; u->trits && i < count; i++) {
        values[i] = w[i] > scale / 2 ? scale : w[i] < zero / 2 ? zero : 0;
        codes[i] = w[i] > scale / 2 ? 2 : w[i] < zero / 2 ? 0 : 1;
    }
    for (int i = 0; !u->trits && i < count; i++) {
        float q = code_of(w[i], scale, zero, top);
        codes[i] = (uint8_t)(int)q;
        values[i] = scale * (q - zero);
    }
}

void uniform_quantize_each(const struct uniform *u, const float *w, int count, const float *scale,
                           const float *zero, uint8_t *codes, float *values)
{
    float top = (float)((1 << u->bits) - 1);
    for (int i = 0; i < count; i++) {
        float q = code_of(w[i], scale[i], zero[i], top);
        codes[i] = (uint8_t)(int)q;
        values[i] = scale[i] * (q - zero[i]);
    }
}
