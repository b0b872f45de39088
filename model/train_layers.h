/* Inside of the trainer: what one block saves for its backward pass, and the pieces of the passes.
 */
#ifndef MODEL_TRAIN_LAYERS_H
#define MODEL_TRAIN_LAYERS_H

#include "model/train.h"

enum {
    TRAIN_TILE = 64,       /* rows of elementwise work and of attention that one task takes */
    TRAIN_LOGIT_ROWS = 512 /* rows whose logits exist at a time */
};

struct train_layer {
    size_t norm1_at, norm2_at; /* elements from the start of the flat arrays */
    size_t linear_at[TRAIN_LINEARS], extra_at[TRAIN_LINEARS], extra_count[TRAIN_LINEARS];
    struct train_linear linears[TRAIN_LINEARS];
    /* all rows x ...; q and k as they are after the rotation */
    float *x, *normed1, *q, *k, *v, *attended, *middle, *normed2, *gate, *up, *active;
    float *probabilities; /* sequences x heads x context x context; above the diagonal undefined or
                             0 */
};

/* layer->attended from q, k, v (rotates q and k in place). */
int train_attention_forward(struct train_model *model, struct train_layer *layer);
/* dq, dk, dv (of q, k, v before the rotation) from the gradient of layer->attended. */
int train_attention_backward(struct train_model *model, const struct train_layer *layer,
                             const float *dattended, float *dq, float *dk, float *dv);

/* The same model once more: borrows the weights of `original`, has its own gradients and
 * activations. */
int train_model_twin(struct train_model *model, const struct train_model *original);

/* Checks a batch; *counted = rows with a target. */
int train_check_batch(const struct train_model *model, const int32_t *tokens,
                      const int32_t *targets, int *counted);

/* *sum = the sum of the rows' losses; with backward, gradients of that sum / divisor are added. */
int train_model_pass(struct train_model *model, const int32_t *tokens, const int32_t *targets,
                     bool backward, double divisor, double *sum);

#endif
