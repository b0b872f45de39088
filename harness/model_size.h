/* How large a model is as stored. */
#ifndef HARNESS_MODEL_SIZE_H
#define HARNESS_MODEL_SIZE_H

#include "model/model.h"

/* Parameters of the checkpoint, and the bytes of all its tensors as they lie there (headers left
 * out). A packed layer counts as many parameters as it stands for. */
void model_size(const struct model *model, size_t *parameters, size_t *bytes);

/* The same bytes by what they are for: linear layers of the blocks (plain or packed), matrices
 * outside the blocks (embeddings, head, projections), and the rest: norms, biases, other vectors.
 */
struct model_shares {
    size_t linear, outer, vectors;
    size_t linear_weights; /* how many the linear layers have */
};
void model_shares(const struct model *model, struct model_shares *shares);

/* Bytes of the tensors that store a linear layer's weights: "model.layers.0.self_attn.q_proj". */
size_t model_layer_bytes(const struct model *model, const char *layer);

#endif
