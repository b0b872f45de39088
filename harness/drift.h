/* How far the activations of a quantized model have drifted from the full model's. */
#ifndef HARNESS_DRIFT_H
#define HARNESS_DRIFT_H

#include "harness/states.h"

/* Between two streams of hidden states of the same rows and width: *drift = |quantized - full| over
 * |full| (Frobenius norms over all tokens, so the largest activations weigh most), *cosine = the
 * mean over the tokens of the cosine between their two vectors (all tokens weigh the same; 1 for
 * two zeros). NaN for states that are not finite or all 0. Not from within a pool task. */
int drift_between(struct states *quantized, struct states *full, double *drift, double *cosine);

#endif
