/* A GGUF file as a model: what its metadata says in the words of config.json, and its tensors under
 * the names and in the order of rows that Hugging Face's checkpoints have. */
#ifndef MODEL_GGUF_MODEL_H
#define MODEL_GGUF_MODEL_H

#include "model/gguf.h"

#include <jansson.h>

/* Takes file over, also when it fails. *config (json_decref) and *tensors (tensor_table_free) are
 * the caller's. ERR_FORMAT for families other than llama and qwen2. */
int gguf_model(struct gguf *file, json_t **config, struct tensor_table **tensors);

#endif
