/* A model as it lies on the disk: its configuration and its weights, whatever the containers.
 *
 * folder      config.json, with model.safetensors or pytorch_model.bin, or the index and the shards
 *             of either
 * FILE.gguf   both in one (model/gguf_model.h)
 * FILE        llama2.c's checkpoints, both in one (model/llama2c.h) */
#ifndef MODEL_CHECKPOINT_H
#define MODEL_CHECKPOINT_H

#include "model/tensor_table.h"

#include <jansson.h>

struct checkpoint {
    char *path;
    json_t *config; /* an object in the words of config.json */
    char *where;    /* the file that says so: for messages, and part of what is hashed */
    struct tensor_table *tensors; /* under Hugging Face's names; of a folder NULL at first */
};

/* *out = path, or, of a folder without config.json that holds one GGUF file, that file; the
 * caller's. ERR_USAGE where it holds several. */
int checkpoint_resolve(char **out, const char *path);

/* Reads the configuration. checkpoint_close frees it; of a zeroed struct it is legal. */
int checkpoint_open(struct checkpoint *out, const char *path);
/* *out = the weights, handed over: called once. */
int checkpoint_tensors(struct checkpoint *checkpoint, struct tensor_table **out);
/* *out = the text of config.json, byte for byte, or the configuration as such a text where there is
 * none; the caller's. */
int checkpoint_config_text(const char *path, char **out, size_t *size);
void checkpoint_close(struct checkpoint *checkpoint);

#endif
