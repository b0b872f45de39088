/* The forward pass of the LLaMA family, for its descriptor in llama.c. */
#ifndef MODEL_LLAMA_FORWARD_H
#define MODEL_LLAMA_FORWARD_H

#include "model/model.h"

/* See struct architecture. */
int llama_block_forward(const struct model *model, const struct block *block,
                        const struct batch *batch, float *x, block_tap *tap, void *tap_context);
int llama_final_norm(const struct model *model, const float *x, int rows, float *y);

#endif
