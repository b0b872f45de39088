/* One linear layer through what the plan chose for it: pruned where `after` says so, quantized,
 * packed. */
#ifndef HARNESS_LAYER_APPLY_H
#define HARNESS_LAYER_APPLY_H

#include "harness/layer_plan.h"

/* result = the layer as problem gives it, by choice->method. With choice->after, *step (which the
 * method saw) has the pruned weights and the mask of those that are left, both in problem->arena,
 * and what was pruned is 0 in result->quantized; else it is *problem. */
int layer_apply(const struct layer_choice *choice, const struct layer_problem *problem,
                struct layer_problem *step, struct layer_result *result);

/* packed = everything that rebuilds result->quantized, the mask included. */
int layer_apply_pack(const struct layer_choice *choice, const struct layer_problem *step,
                     const struct layer_result *result, struct packed *packed);

/* The weights from the arrays, as they were packed by method and options; masked: an array of the
 * weights that are left is among them. */
int layer_apply_unpack(const struct quant_method *method, const void *options, bool masked,
                       const struct packed *packed, int rows, int columns, float *weight);

#endif
