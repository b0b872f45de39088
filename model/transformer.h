/* The forward pass that the families share: a block of causal attention and an MLP with norms and
 * residual branches, in the variants that struct model_config names; for struct architecture.
 *
 * block.linears: q, k, v, o, then the MLP's: gate, up, down, or, with config.relu, up, down.
 * Distinct inputs: 0 feeds q, k and v, 1 feeds o, 2 the MLP, 3 its last layer. */
#ifndef MODEL_TRANSFORMER_H
#define MODEL_TRANSFORMER_H

#include "model/model.h"

/* block.vectors; the biases with config.layer_norm. */
enum { NORM_ATTENTION, NORM_MLP, NORM_ATTENTION_BIAS, NORM_MLP_BIAS };

int transformer_block_forward(const struct model *model, const struct block *block,
                              const struct batch *batch, float *x, block_tap *tap,
                              void *tap_context);
int transformer_final_norm(const struct model *model, const float *x, int rows, float *y);

/* x (rows x width) = the rows of model->embedding, plus those of model->extra (max_positions x
 * width) with config.learned_positions. */
int transformer_embed(const struct model *model, const struct batch *batch, float *x);

/* y (rows x width) = the configuration's norm of x; y may be x. bias: with layer_norm. */
void transformer_norm(const struct model_config *config, const float *weight, const float *bias,
                      const float *x, int rows, float *y);

#endif
