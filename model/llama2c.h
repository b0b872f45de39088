/* Checkpoints of llama2.c (Karpathy): seven numbers, then the weights as float32 in a fixed order.
 * Version 0, without a header that names the format, and version 1 ("ak42"); rotary positions turn
 * neighbouring pairs, as in Meta's own checkpoints. */
#ifndef MODEL_LLAMA2C_H
#define MODEL_LLAMA2C_H

#include "model/tensor_table.h"

#include <jansson.h>

/* *config = a configuration in the words of config.json (json_decref), *tensors = the weights under
 * Hugging Face's names (tensor_table_free). */
int llama2c_open(const char *path, json_t **config, struct tensor_table **tensors);

#endif
