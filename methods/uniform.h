/* The uniform quantizer that RTN, GPTQ and PB-LLM share: q = clamp(round(w / s) + z, 0, 2^bits -
 * 1), w_q = s (q - z), with s and z from a range of weights (GPTQ, arXiv:2210.17323, section 3 and
 * its code's Quantizer). Float32, true division and ties to even, since the largest weight of a
 * symmetric range lies exactly on a tie. */
#ifndef METHODS_UNIFORM_H
#define METHODS_UNIFORM_H

#include <stdbool.h>
#include <stdint.h>

struct uniform {
    int bits;       /* 1..8 */
    bool symmetric; /* range -m..m and z = 2^(bits - 1) */
    bool mse;       /* try 80 shrunken ranges, keep the smallest sum |w_q - w|^2.4 */
    bool trits;     /* three values: the minimum, 0, the maximum; scale and zero hold maximum and
                       minimum */
    bool half;      /* round scales to float16 */
};

/* *scale, *zero for the weights w[0..count). */
void uniform_fit(const struct uniform *u, const float *w, int count, float *scale, float *zero);

/* codes[i] and values[i] of w[i] with one scale and zero for all. */
void uniform_quantize(const struct uniform *u, const float *w, int count, float scale, float zero,
                      uint8_t *codes, float *values);

/* The same where element i has scale[i] and zero[i] (not for trits). */
void uniform_quantize_each(const struct uniform *u, const float *w, int count, const float *scale,
                           const float *zero, uint8_t *codes, float *values);

/* The nearest float16 that is positive and finite, as float32: how a stored scale reads back. */
float uniform_half(float scale);

#endif
