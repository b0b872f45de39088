/* The LLaMA family: RMSNorm, rotary positions, grouped-query attention, SwiGLU; what the trainer
 * shares with the forward pass. Tensors are named as in Hugging Face's checkpoints. */
#ifndef MODEL_LLAMA_H
#define MODEL_LLAMA_H

#include "model/model.h"

/* block.linears, and block.vectors, in this order. */
enum { LLAMA_Q, LLAMA_K, LLAMA_V, LLAMA_O, LLAMA_GATE, LLAMA_UP, LLAMA_DOWN, LLAMA_LINEARS };
enum { LLAMA_ATTENTION_NORM, LLAMA_MLP_NORM, LLAMA_VECTORS };

/* One tensor of the checkpoint: rows x columns, or a vector of rows when columns is 0. */
struct llama_tensor {
    char name[96];
    int rows, columns;
};

/* Tensors of a block: attention norm, q, k, v, o, MLP norm, gate, up, down. */
enum { LLAMA_BLOCK_TENSORS = LLAMA_LINEARS + LLAMA_VECTORS };

/* How many tensors a checkpoint of this configuration has, and the index-th of them: the embedding,
 * the blocks' (each LLAMA_BLOCK_TENSORS, as above), the final norm, and, unless the head is tied,
 * the head. */
int llama_tensor_count(const struct model_config *config);
void llama_tensor_at(const struct model_config *config, int index, struct llama_tensor *out);

/* *out = the config.json of this configuration, as Hugging Face reads it; the caller's
 * (json_decref). dtype: "float16", "float32". The reverse is the architecture's read_config. */
int llama_config_to_json(const struct model_config *config, const char *dtype, json_t **out);

/* cosine and sine (positions x head_size / 2): of position * theta^(-2 i / head_size), the
 * frequency and the angle in float32 as in the reference, the functions exact. */
void llama_rope_table(int positions, int head_size, double theta, float *cosine, float *sine);

#endif
