/* GGUF's quantized types: what a block's bytes stand for, in float32, rounded at each operation as
 * ggml's reference code does (d * q, then - or + the offset). */
#ifndef MODEL_DTYPE_BLOCKS_H
#define MODEL_DTYPE_BLOCKS_H

#include "model/dtype.h"

/* out (blocks * dtype_block floats) = the values of so many blocks; dtype is one with blocks. */
void dtype_blocks_to_float(enum dtype dtype, const void *source, size_t blocks, float *out);

#endif
