/* safetensors files: opening one as a table of tensors, and a writer. Every number of the header is
 * checked against the file before use: opening never trusts a length, an offset or a shape. */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "model/tensor_part.h"

/* A key of the metadata, with a tensor's name behind it, says that the tensor's bytes (U8, the last
 * dimension in bytes) are blocks of one of GGUF's types: {"blocks:NAME": "Q8_0"}. Ours. */
#define SAFETENSORS_BLOCKS "blocks:"

/* Opens one file. *out is the caller's (tensor_table_free). */
int safetensors_open_file(struct tensor_table **out, const char *path);

/* Maps path and checks: the header's length and JSON, each tensor's type, shape and offsets, and
 * that the tensors cover the data without gap or overlap. */
tensor_part_open safetensors_part_open;

/* One tensor to write. With from_float, data is float32 and is converted to dtype (F32, F16, BF16,
 * F64) on the way, rounding to nearest even; otherwise data holds elements of dtype. With fill (and
 * from_float) the floats are made while they are written, from the first element to the last;
 * with a file, data lies in it from byte `at` on; without any of these the tensor is zeros that
 * take no room on the disk. */
struct tensor_source {
    const char *name;
    enum dtype dtype;
    int rank;
    size_t shape[TENSOR_MAX_RANK];
    const void *data;
    int from_float;
    void (*fill)(void *context, const struct tensor_source *source, size_t first, size_t count,
                 float *values);
    void *context; /* of fill */
    int file;      /* open for reading; 0: none */
    size_t at;
};

/* Writes path, whole or not at all. Laid out as Hugging Face's writer does (widest elements first,
 * then by name; header padded with spaces to a multiple of 8 bytes), so the same tensors give the
 * same bytes. metadata: an object of strings, or NULL (borrowed). */
int safetensors_write(const char *path, const struct tensor_source *sources, size_t count,
                      const json_t *metadata);

#endif
