/* Causal attention in blocks: the scores exist for one tile of queries and keys at a time, so memory does not grow with the
 * square of a sequence's length. */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "model/model.h"

#include <stddef.h>

struct attention_shape {
    int heads, kv_heads, head_size; /* heads / kv_heads query heads share a key-value head */
    int q_stride, k_stride, v_stride; /* floats from a row to the next */
};

/* Floats of scratch that each thread needs. */
size_t attention_scratch(const struct attention_shape *shape);

/* q (rows x heads head_size) is replaced by softmax(q k^T / sqrt(head_size)) v within each sequence of the batch, each row
 * seeing itself and the rows before it. scratch: attention_scratch floats for each thread of the pool. On the pool: a task
 * is a tile of one sequence's queries with all heads of one key-value head. */
int attention_causal(const struct attention_shape *shape, const struct batch *batch, float *q, const float *k,
                     const float *v, float *scratch);

#endif
