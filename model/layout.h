/* What all families do with the tensors that their tensor_at lists: check that a checkpoint has
 * them and no others, and load a block of them. For struct architecture. */
#ifndef MODEL_LAYOUT_H
#define MODEL_LAYOUT_H

#include "model/model.h"

/* First, where the checkpoint is of the family without its head, whose tensors begin with "layers."
 * or "decoder." (as OPT's first ones do), puts the missing "model." in front of all names. Then:
 * every tensor is there with its shape. A surplus one is an error, but for what old checkpoints
 * carry along: the frequencies of rotary positions, a version number, and the head's copy beside a
 * tied embedding. */
int layout_check_tensors(const struct model *model);

/* Whether a tensor is one of those that are left alone. */
bool layout_ignores(const struct model_config *config, const char *tensor);

int layout_load_block(const struct model *model, int layer, struct block *block);

/* *out = the tensor of that name outside the blocks, rows x columns, allocated (the caller's). */
int layout_read(const struct model *model, const char *name, size_t rows, size_t columns,
                float **out);

/* Which tensors come first to last: outside the blocks, then block after block; false behind the
 * last. *layer is -1 outside. */
bool layout_tensor_at(const struct model_config *config, const struct architecture *architecture,
                      int index, int *layer, struct model_tensor *out);

#endif
