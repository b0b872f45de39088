/* safetensors files: a table of named tensors over a read-only map, and a writer. Every number of
 * the header is checked against the file before use: opening never trusts a length, an offset or a
 * shape. */
#ifndef MODEL_SAFETENSORS_H
#define MODEL_SAFETENSORS_H

#include "model/dtype.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

enum { TENSOR_MAX_RANK = 8 };

/* One stored tensor: a view into the map, valid until safetensors_free. */
struct tensor {
    const char *name;
    enum dtype dtype;
    int rank;                      /* 0: a scalar */
    size_t shape[TENSOR_MAX_RANK]; /* outermost first; row-major */
    size_t count;                  /* product of shape: elements */
    size_t bytes;
    const void *data; /* little-endian, not necessarily aligned */
    const char *file; /* the path of its file, for messages */
};

struct safetensors; /* opaque; immutable after opening */

/* Opens one file. *out is the caller's (safetensors_free). */
int safetensors_open_file(struct safetensors **out, const char *path);

/* Opens a model's folder: model.safetensors, or the shards named by model.safetensors.index.json,
 * as one table. */
int safetensors_open_folder(struct safetensors **out, const char *folder);

void safetensors_free(struct safetensors *tensors);

/* What was opened, for messages. */
const char *safetensors_path(const struct safetensors *tensors);

/* Tensors in the order of their names (bytewise). */
size_t safetensors_count(const struct safetensors *tensors);
const struct tensor *safetensors_at(const struct safetensors *tensors, size_t index);

/* The files behind the table, in the order of their names. */
size_t safetensors_file_count(const struct safetensors *tensors);
const char *safetensors_file(const struct safetensors *tensors, size_t index);

/* NULL when there is no such tensor (no error text is set). */
const struct tensor *safetensors_find(const struct safetensors *tensors, const char *name);

/* The same, but ERR_MISSING with a line that names the file and the tensor. */
int safetensors_get(const struct safetensors *tensors, const char *name, const struct tensor **out);

/* The value of a key of __metadata__ (the first file's that has it), or NULL. */
const char *safetensors_metadata(const struct safetensors *tensors, const char *key);

/* ERR_FORMAT unless the tensor has exactly this shape: rows x columns, or, with columns 0, a vector
 * of `rows`. */
int tensor_check_shape(const struct tensor *tensor, size_t rows, size_t columns);

/* out (tensor->count floats) = the values as float32, for F32, F16, BF16, F64; ERR_FORMAT for other
 * types. */
int tensor_to_float(const struct tensor *tensor, float *out);

/* out (tensor->count) = the values as int32, for BOOL, U8, I8, U16, I16, U32, I32, U64, I64;
 * ERR_FORMAT for other types and for values out of range. */
int tensor_to_int32(const struct tensor *tensor, int32_t *out);

/* Finds by name, checks the shape as tensor_check_shape does, converts, and refuses NaN and
 * infinities (ERR_NUMERIC). */
int safetensors_read(const struct safetensors *tensors, const char *name, size_t rows,
                     size_t columns, float *out);

/* One tensor to write. With from_float, data is float32 and is converted to dtype (F32, F16, BF16,
 * F64) on the way, rounding to nearest even; otherwise data holds elements of dtype. */
struct tensor_source {
    const char *name;
    enum dtype dtype;
    int rank;
    size_t shape[TENSOR_MAX_RANK];
    const void *data;
    int from_float;
};

/* Writes path, whole or not at all. Laid out as Hugging Face's writer does (widest elements first,
 * then by name; header padded with spaces to a multiple of 8 bytes), so the same tensors give the
 * same bytes. metadata: an object of strings, or NULL (borrowed). */
int safetensors_write(const char *path, const struct tensor_source *sources, size_t count,
                      const json_t *metadata);

#endif
