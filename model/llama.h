/* The LLaMA family: RMSNorm, rotary positions, grouped-query attention, SwiGLU; what its relatives
 * share with it, and the trainer with the forward pass. Tensors are named as in Hugging Face's
 * checkpoints. */
#ifndef MODEL_LLAMA_H
#define MODEL_LLAMA_H

#include "model/model.h"

/* block.linears, in this order. */
enum { LLAMA_Q, LLAMA_K, LLAMA_V, LLAMA_O, LLAMA_GATE, LLAMA_UP, LLAMA_DOWN, LLAMA_LINEARS };
/* model_config.biases */
enum {
    LLAMA_QKV_BIASES = 1 << LLAMA_Q | 1 << LLAMA_K | 1 << LLAMA_V,
    LLAMA_ATTENTION_BIASES = LLAMA_QKV_BIASES | 1 << LLAMA_O,
    LLAMA_MLP_BIASES = 1 << LLAMA_GATE | 1 << LLAMA_UP | 1 << LLAMA_DOWN
};

/* *out = the config.json of this configuration (of llama, mistral or qwen2), as Hugging Face reads
 * it; the caller's (json_decref). dtype: "float16", "float32". The reverse is the architecture's
 * read_config. */
int llama_config_to_json(const struct model_config *config, const char *dtype, json_t **out);

/* ---- for the descriptors of the family ---- */

extern const char *const llama_linear_names[];

/* What all relatives have in their config.json. defaults: architecture, max_positions and kv_heads
 * (0: as many as heads) where the keys are absent, and what the family is in itself. */
int llama_read_shared(const json_t *json, const struct model_config *defaults,
                      struct model_config *config, const char *where);

/* See struct architecture. */
bool llama_tensor_at(const struct model_config *config, int layer, int index,
                     struct model_tensor *out);
int llama_load_outer(struct model *model);

/* What the families of this kind share of their descriptors: all but name, version and config. */
/* clang-format off */
#define LLAMA_SHARED                                                                               \
    .blocks = "model.layers",                                                                      \
    .linear_names = llama_linear_names,                                                            \
    .tensor_at = llama_tensor_at,                                                                  \
    .check_tensors = layout_check_tensors,                                                         \
    .load_outer = llama_load_outer,                                                                \
    .load_block = layout_load_block,                                                               \
    .embed = transformer_embed,                                                                    \
    .block_forward = transformer_block_forward,                                                    \
    .final_norm = transformer_final_norm
/* clang-format on */

#endif
