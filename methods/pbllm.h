/* PB-LLM's parts: the quantizer in pbllm.c, the packed form in pbllm_pack.c. */
#ifndef METHODS_PBLLM_H
#define METHODS_PBLLM_H

#include "methods/method.h"

#include <math.h>
#include <stdbool.h>

enum low_method { LOW_XNOR, LOW_SIGN, LOW_RTN, LOW_2BIT, LOW_4BIT, LOW_PRUNE, LOW_NO };

struct pbllm_options {
    int low_method, salient_metric, high_bits, group_size, block_size, scale_bits, follow;
    double low_frac, percdamp;
    bool gptq;
};

enum pbllm_follow { PBLLM_CODE, PBLLM_PAPER };

/* pbllm_fit.c. Columns that share low scales. */
int pbllm_group(const struct pbllm_options *options, int columns);

/* From the weights w of one row and group and their mask (1: low). */
void pbllm_fit_xnor(const struct pbllm_options *options, const float *w, const uint8_t *mask,
                    int width, float *scale, float *mean);
void pbllm_fit_one_sided(const struct pbllm_options *options, const float *w, const uint8_t *mask,
                         int width, float *scale);
/* low: the smallest weight, which makes the zero point. */
void pbllm_fit_range(const struct pbllm_options *options, const float *w, const uint8_t *mask,
                     int width, float *scale, float *low);

/* Bits of a low code: 0 where nothing is stored (prune) or floats are (no). */
int pbllm_low_bits(const struct pbllm_options *options);

/* The weight that a low code stands for. xnor: 0 and 1 are mean - scale and mean + scale, 2 is mean
 * itself, which only a weight equal to the mean gets. */
static inline float pbllm_low_value(int low_method, int code, float scale, float mean, float zero)
{
    switch (low_method) {
    case LOW_XNOR: return (float)(code == 2 ? 0 : 2 * code - 1) * scale + mean;
    case LOW_SIGN:
    case LOW_RTN: return (float)code * scale;
    case LOW_2BIT:
    case LOW_4BIT: return scale * ((float)code - zero);
    }
    return 0;
}

/* The code of a low weight, by the methods other than xnor. */
static inline int pbllm_low_code(const struct pbllm_options *options, float w, float scale,
                                 float zero)
{
    float q, top = options->low_method == LOW_2BIT ? 3 : 7;
    switch (options->low_method) {
    case LOW_SIGN: return w > 0;
    case LOW_RTN: /* round half to even: 0.5 goes to 0 */ return w > 0 && w / scale > 0.5f;
    case LOW_2BIT:
    case LOW_4BIT: q = rintf(w / scale) + zero; return (int)(q < 0 ? 0 : q > top ? top : q);
    }
    return 0;
}

int pbllm_pack(const void *options, const struct layer_problem *problem,
               const struct layer_result *result, struct packed *packed);
int pbllm_unpack(const void *options, const struct packed *packed, int rows, int columns,
                 float *weight);
int pbllm_matvec(const void *options, const struct packed *packed, int rows, int columns,
                 const float *x, float *y);

#endif
