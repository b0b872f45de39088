/* Weights as torch.save writes them (pytorch_model.bin): a zip file with a pickle, which says what
 * tensors there are, and an entry for each storage. The pickle is read by a machine that knows
 * tensors, storages and dictionaries and runs nothing; anything else in it is refused. */
#ifndef MODEL_TORCH_H
#define MODEL_TORCH_H

#include "model/tensor_part.h"

#include <stdbool.h>

tensor_part_open torch_part_open;

/* Whether the file begins as those of torch.save do; false where it cannot be read. */
bool torch_is(const char *path);

#endif
