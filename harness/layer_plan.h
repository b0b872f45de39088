/* What a point does with each linear layer: the rules of its `layers`, else its own method. The one
 * place that decides it. */
#ifndef HARNESS_LAYER_PLAN_H
#define HARNESS_LAYER_PLAN_H

#include "harness/spec.h"

struct layer_choice {
    const struct quant_method *method; /* NULL: the layer is left alone */
    const void *options;               /* of the method; borrowed from the point */
    const struct quant_method *after;  /* prunes the layer before; NULL: nothing does */
    const void *after_options;
    int rule; /* number of the rule that decided, or -1: the point's own method */
};

/* The layer's choice. `blocks`: of the model; name: within the block, "self_attn.q_proj". Layers
 * outside min_layer, max_layer, quant_only and invert are left alone whatever the rules say; of the
 * rules the first that matches decides. */
struct layer_choice layer_plan_find(const struct point *point, int blocks, int block,
                                    const char *name);

/* enum method_caps of all methods that the point may apply, joined: QM_NEEDS_HESSIAN where any of
 * them does. 0 for full precision. */
unsigned layer_plan_caps(const struct point *point);

/* Every rule decides for a layer of such a model, and some layer is quantized. ERR_USAGE names the
 * rule that does not, or the settings that leave nothing. */
int layer_plan_check(const struct point *point, int blocks, const char *const *names);

/* Patterns of one or more parts with | between them: a part with one of * ? [ must match the whole
 * name as in the shell, another one a piece of it. "" matches every name. */
bool layer_plan_matches(const char *patterns, const char *name);

#endif
