#include "harness/model_size.h"

#include "harness/packed_model.h"
#include "model/safetensors.h"

#include <string.h>

static bool is_packed(const struct packed_model *packed, const char *tensor)
{
    const char *array;
    for (int i = 0; packed && i < packed->layer_count; i++)
        if (packed_is_array(tensor, packed->layers[i].name, &array))
            return true;
    return false;
}

void model_size(const struct model *model, size_t *parameters, size_t *bytes)
{
    const struct packed_model *packed = packed_model_of(model);
    *parameters = *bytes = 0;
    for (size_t i = 0; i < tensor_table_count(model->tensors); i++) {
        const struct tensor *tensor = tensor_table_at(model->tensors, i);
        *parameters += is_packed(packed, tensor->name) ? 0 : tensor->count;
        *bytes += tensor->bytes;
    }
    for (int i = 0; packed && i < packed->layer_count; i++)
        *parameters += (size_t)packed->layers[i].rows * (size_t)packed->layers[i].columns;
}

void model_shares(const struct model *model, struct model_shares *shares)
{
    const struct packed_model *packed = packed_model_of(model);
    const char *blocks = model->architecture->blocks;
    const size_t length = strlen(blocks);
    *shares = (struct model_shares){0};
    for (size_t i = 0; i < tensor_table_count(model->tensors); i++) {
        const struct tensor *tensor = tensor_table_at(model->tensors, i);
        bool inside = strncmp(tensor->name, blocks, length) == 0 && tensor->name[length] == '.';
        size_t *share = is_packed(packed, tensor->name) || (inside && tensor->rank > 1)
                            ? &shares->linear
                        : tensor->rank > 1 ? &shares->outer
                                           : &shares->vectors;
        *share += tensor->bytes;
        if (share == &shares->linear && !is_packed(packed, tensor->name))
            shares->linear_weights += tensor->count;
    }
    for (int i = 0; packed && i < packed->layer_count; i++)
        shares->linear_weights += (size_t)packed->layers[i].rows *
                                  (size_t)packed->layers[i].columns;
}

size_t model_layer_bytes(const struct model *model, const char *layer)
{
    size_t bytes = 0, length = strlen(layer);
    for (size_t i = 0; i < tensor_table_count(model->tensors); i++) {
        const struct tensor *tensor = tensor_table_at(model->tensors, i);
        const char *array;
        bool plain = strncmp(tensor->name, layer, length) == 0 &&
                     strcmp(tensor->name + length, ".weight") == 0;
        if (plain || packed_is_array(tensor->name, layer, &array))
            bytes += tensor->bytes;
    }
    return bytes;
}
