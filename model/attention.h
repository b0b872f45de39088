/* Causal attention in blocks: the scores exist for one tile of queries and keys at a time, so
 * memory grows with the length of a sequence and not with its square. */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "model/model.h"

#include <stddef.h>

struct attention_shape {
    int heads, kv_heads, head_size;   /* heads / kv_heads query heads share a key-value head */
    int q_stride, k_stride, v_stride; /* floats from a row to the next */
    int window; /* a row sees itself and the window - 1 positions before it; 0: all before it */
};

/* Floats of working memory for a batch, with the pool's present number of threads. */
size_t attention_floats(const struct attention_shape *shape, const struct batch *batch);

/* q (rows x heads head_size) is replaced by softmax(q k^T / sqrt(head_size)) v within each sequence
 * of the batch, each row seeing itself and the rows before it. memory: attention_floats of them,
 * 64-byte aligned. On the pool: a task is a tile of one sequence's queries with all heads of one
 * key-value head. */
int attention_causal(const struct attention_shape *shape, const struct batch *batch, float *q,
                     const float *k, const float *v, float *memory);

#endif
