/* What BiLLM makes of a group of weights in a row of a block: residual binary approximations
 * (arXiv:2402.04291, equations 6 to 9; the code subtracts a mean at each order), and the plainer
 * quantizers of its code. */
#include "methods/billm.h"

#include "methods/uniform.h"

#include <math.h>
#include <string.h>

static float stored(const struct billm_form *form, float value)
{
    if (!form->half || value == 0)
        return value;
    return value < 0 ? -uniform_half(-value) : uniform_half(value);
}

float billm_value(const struct billm_form *form, int group, int code, const float *scale,
                  const float *mean)
{
    float sum = 0;
    switch (form->options->low_method) {
    case BILLM_BRAQ:
    case BILLM_XNOR:
        for (int o = 0; o < form->orders[group]; o++) {
            float sign = code >> (4 + o) & 1 ? 0.0f : code >> o & 1 ? 1.0f : -1.0f;
            sum += sign * scale[o] + mean[o];
        }
        return sum;
    case BILLM_SIGN:
    case BILLM_RTN: return (float)(code & 1) * scale[0];
    }
    return 0;
}

/* Each order binarizes what the orders before have left. */
static void residual_group(const struct billm_form *form, const float *w, int count, int orders,
                           float *q, uint8_t *codes, float *scale, float *mean)
{
    memset(codes, 0, (size_t)count);
    for (int i = 0; i < count; i++)
        q[i] = 0;
    for (int o = 0; o < orders; o++) {
        double sum = 0, spread = 0;
        for (int i = 0; i < count; i++)
            sum += (double)(w[i] - q[i]);
        float m = stored(form, count > 0 ? (float)(sum / count) : 0);
        for (int i = 0; i < count; i++)
            spread += (double)fabsf(w[i] - q[i] - m);
        float s = stored(form, count > 0 ? (float)(spread / count) : 0);
        for (int i = 0; i < count; i++) {
            float left = w[i] - q[i] - m, sign = (float)((left > 0) - (left < 0));
            codes[i] = (uint8_t)(codes[i] | (left > 0) << o | (left == 0 && s != 0) << (4 + o));
            q[i] += sign * s + m;
        }
        scale[o] = s;
        mean[o] = m;
    }
}

/* Two values, 0 and s: the mean of the positive weights (sign), or the mean size (rtn). */
static void one_sided_group(const struct billm_form *form, const float *w, int count, float *q,
                            uint8_t *codes, float *scale)
{
    bool sign = form->options->low_method == BILLM_SIGN;
    double sum = 0;
    int n = 0;
    for (int i = 0; i < count; i++)
        if (!sign || w[i] > 0) {
            sum += (double)fabsf(w[i]);
            n++;
        }
    *scale = stored(form, (float)(n > 0 ? sum / n : 0) + (sign ? 0 : 1e-5f));
    for (int i = 0; i < count; i++) {
        codes[i] = w[i] > 0 && (sign || w[i] / *scale > 0.5f);
        q[i] = codes[i] * *scale;
    }
}

/* The methods that know no groups. */
static bool ungrouped(const struct billm_form *form, const float *w, int width, float *q,
                      uint8_t *codes, float *scale, float *zero)
{
    int low = form->options->low_method;
    struct uniform u = {.bits = low == BILLM_2BIT ? 2 : 4, .half = form->half};
    switch (low) {
    case BILLM_2BIT:
    case BILLM_4BIT:
        uniform_fit(&u, w, width, scale, zero);
        uniform_quantize(&u, w, width, *scale, *zero, codes, q);
        return true;
    case BILLM_PRUNE:
    case BILLM_NO:
        for (int i = 0; i < width; i++) {
            q[i] = low == BILLM_NO ? w[i] : 0;
            codes[i] = 0;
        }
        return true;
    }
    return false;
}

void billm_quantize_row(const struct billm_form *form, const float *w, const uint8_t *group,
                        const uint8_t *kept, int width, float *q, uint8_t *codes, float *scale,
                        float *mean)
{
    float members[BILLM_MAX_BLOCK], values[BILLM_MAX_BLOCK];
    uint8_t member_codes[BILLM_MAX_BLOCK];
    bool grouped = !ungrouped(form, w, width, q, codes, scale, mean);
    for (int i = 0; kept && i < width; i++)
        if (!kept[i])
            q[i] = codes[i] = 0;
    if (!grouped)
        return;
    for (int g = 0; g < form->groups; g++) {
        int count = 0, first = form->first[g];
        for (int i = 0; i < width; i++)
            if (group[i] == g && (!kept || kept[i]))
                members[count++] = w[i];
        if (form->options->low_method == BILLM_BRAQ || form->options->low_method == BILLM_XNOR)
            residual_group(form, members, count, form->orders[g], values, member_codes,
                           scale + first, mean + first);
        else
            one_sided_group(form, members, count, values, member_codes, scale + first);
        count = 0;
        for (int i = 0; i < width; i++)
            if (group[i] == g && (!kept || kept[i])) {
                q[i] = values[count];
                codes[i] = member_codes[count++];
            }
    }
}
