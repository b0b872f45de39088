#include "harness/model_size.h"

#include "model/safetensors.h"

void model_size(const struct model *model, size_t *parameters, size_t *bytes)
{
    *parameters = *bytes = 0;
    for (size_t i = 0; i < safetensors_count(model->tensors); i++) {
        const struct tensor *tensor = safetensors_at(model->tensors, i);
        *parameters += tensor->count;
        *bytes += tensor->bytes;
    }
}
