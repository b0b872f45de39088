/* The statistics of PB-LLM's low weights: one row of a group, with the mask of the low ones. */
#include "methods/pbllm.h"

#include "methods/uniform.h"

#include <math.h>

int pbllm_group(const struct pbllm_options *o, int columns)
{
    return o->group_size < 0 || o->group_size > columns ? columns : o->group_size;
}

/* Float16 as it will be read back, for a mean of either sign. */
static float stored(const struct pbllm_options *o, float value)
{
    if (o->scale_bits != 1 || value == 0)
        return value;
    return value < 0 ? -uniform_half(-value) : uniform_half(value);
}

/* xnor: mean and mean |w - mean| over the group, salient weights counting as 0 in the code, not at
 * all in the paper. */
void pbllm_fit_xnor(const struct pbllm_options *o, const float *w, const uint8_t *mask, int width,
                    float *scale, float *mean)
{
    bool only_low = o->follow == PBLLM_PAPER;
    double sum = 0, spread = 0;
    long count = 0;
    for (int i = 0; i < width; i++) {
        sum += mask[i] ? (double)w[i] : 0;
        count += mask[i];
    }
    if (!only_low)
        count = width;
    float m = count > 0 ? stored(o, (float)(sum / (double)count)) : 0;
    for (int i = 0; i < width; i++) {
        float difference = (mask[i] ? w[i] : 0) - m;
        spread += only_low && !mask[i] ? 0 : (double)fabsf(difference);
    }
    *mean = m;
    *scale = count > 0 ? stored(o, (float)(spread / (double)count)) : 0;
}

/* sign: mean max(w, 0); rtn: mean |w| + 1e-5. */
void pbllm_fit_one_sided(const struct pbllm_options *o, const float *w, const uint8_t *mask,
                         int width, float *scale)
{
    bool only_low = o->follow == PBLLM_PAPER, relu = o->low_method == LOW_SIGN;
    double sum = 0;
    long count = 0;
    for (int i = 0; i < width; i++) {
        float value = mask[i] ? w[i] : 0;
        sum += (double)(relu ? (value > 0 ? value : 0) : fabsf(value));
        count += only_low ? (relu ? mask[i] && value > 0 : mask[i]) : 1;
    }
    *scale = (float)(count > 0 ? sum / (double)count : 0);
    *scale = stored(o, relu ? *scale : *scale + 1e-5f);
}

void pbllm_fit_range(const struct pbllm_options *o, const float *w, const uint8_t *mask, int width,
                     float *scale, float *low)
{
    float top = o->low_method == LOW_2BIT ? 3 : 7, high = 0;
    *low = 0;
    for (int i = 0; i < width; i++) {
        float value = mask[i] ? w[i] : 0;
        *low = value < *low ? value : *low;
        high = value > high ? value : high;
    }
    if (*low == 0 && high == 0) {
        *low = -1;
        high = 1;
    }
    float s = (high - *low) / top;
    *scale = stored(o, s > 0 ? s : 1e-38f);
}
