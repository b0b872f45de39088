/* Element types of stored tensors, and conversions between them and float32. */
#ifndef MODEL_DTYPE_H
#define MODEL_DTYPE_H

#include <stddef.h>
#include <stdint.h>

enum dtype {
    DTYPE_BOOL,
    DTYPE_U8,
    DTYPE_I8,
    DTYPE_F8_E4M3,
    DTYPE_F8_E5M2,
    DTYPE_F8_E8M0,
    DTYPE_U16,
    DTYPE_I16,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_U32,
    DTYPE_I32,
    DTYPE_F32,
    DTYPE_U64,
    DTYPE_I64,
    DTYPE_F64,
    DTYPE_C64,
    /* GGUF's quantized types: neighbouring elements share a block with scales of its own. */
    DTYPE_Q4_0,
    DTYPE_Q4_1,
    DTYPE_Q5_0,
    DTYPE_Q5_1,
    DTYPE_Q8_0,
    DTYPE_Q2_K,
    DTYPE_Q3_K,
    DTYPE_Q4_K,
    DTYPE_Q5_K,
    DTYPE_Q6_K,
    DTYPE_TQ1_0,
    DTYPE_TQ2_0,
    DTYPES,
    DTYPE_FIRST_BLOCK = DTYPE_Q4_0
};

/* Elements of a block, and its bytes; for types without blocks 1 and the bytes of one element. */
size_t dtype_block(enum dtype dtype);
size_t dtype_size(enum dtype dtype);
/* Spelled as safetensors and GGUF do: "F32", "BF16", "Q4_K", ... */
const char *dtype_name(enum dtype dtype);
/* 0 and *dtype, or ERR_FORMAT that lists what is known: the types without blocks. */
int dtype_parse(enum dtype *dtype, const char *name);

/* IEEE binary16 and bfloat16, as bits. To float32 is exact; from float32 rounds to nearest, ties to
 * even, overflows to infinity, keeps subnormals, and keeps NaN a (quiet) NaN. */
float half_to_float(uint16_t half);
uint16_t float_to_half(float value);
float bfloat_to_float(uint16_t bfloat);
uint16_t float_to_bfloat(float value);

/* out[i] = the value of source[i] as float32, for F32, F16, BF16, F64 (rounded to nearest) and the
 * types with blocks (count a multiple of dtype_block). source may have any alignment. ERR_FORMAT
 * for other types. */
int dtype_to_float(enum dtype dtype, const void *source, size_t count, float *out);

/* The other way, for F32, F16, BF16 and F64. */
int dtype_from_float(enum dtype dtype, const float *source, size_t count, void *out);

#endif
