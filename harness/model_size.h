/* How large a model is as stored. */
#ifndef HARNESS_MODEL_SIZE_H
#define HARNESS_MODEL_SIZE_H

#include "model/model.h"

/* Parameters of all tensors in the checkpoint, and their bytes as they lie
 * there (headers left out). */
void model_size(const struct model *model, size_t *parameters, size_t *bytes);

#endif
