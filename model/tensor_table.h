/* A table of named tensors over read-only maps, whatever file format they lie in. Names, shapes and
 * values are those of Hugging Face's checkpoints: a reader of another format renames and reorders
 * while it opens, so that the model families see no difference. */
#ifndef MODEL_TENSOR_TABLE_H
#define MODEL_TENSOR_TABLE_H

#include "model/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TENSOR_MAX_RANK = 8 };

/* The order of a tensor's elements where they do not lie in that of its shape: a shape of the same
 * count, with the step in elements from an index to the next in each dimension. */
struct tensor_view {
    int rank; /* 1 at least */
    size_t shape[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK];
};

/* One stored tensor: a part of the map, valid until tensor_table_free. Unless tensor_is_plain, only
 * tensor_to_float knows how the elements lie in data. */
struct tensor {
    const char *name;
    enum dtype dtype;
    int rank;                      /* 0: a scalar */
    size_t shape[TENSOR_MAX_RANK]; /* outermost first; row-major */
    size_t count;                  /* product of shape: elements */
    size_t bytes;
    const void *data;               /* little-endian, not necessarily aligned */
    const char *file;               /* the path of its file, for messages */
    const struct tensor_view *view; /* NULL: the elements lie in the order of the shape */
};

/* Whether data holds count elements of dtype in the order of the shape. */
bool tensor_is_plain(const struct tensor *tensor);

struct tensor_table; /* opaque; immutable after opening */

/* Opens the weights of a model's folder as one table: model.safetensors, or the shards that
 * model.safetensors.index.json names, or pytorch_model.bin, or pytorch_model.bin.index.json's. *out
 * is the caller's (tensor_table_free). */
int tensor_table_open_folder(struct tensor_table **out, const char *folder);

void tensor_table_free(struct tensor_table *table);

/* What was opened, for messages. */
const char *tensor_table_path(const struct tensor_table *table);

/* Tensors in the order of their names (bytewise). */
size_t tensor_table_count(const struct tensor_table *table);
const struct tensor *tensor_table_at(const struct tensor_table *table, size_t index);

/* Every tensor but the one named `except` gets the prefix in front of its name. For those who open
 * models: names found earlier are no longer valid. */
int tensor_table_prefix(struct tensor_table *table, const char *prefix, const char *except);

/* The files behind the table, in the order of their names. */
size_t tensor_table_file_count(const struct tensor_table *table);
const char *tensor_table_file(const struct tensor_table *table, size_t index);

/* NULL when there is no such tensor (no error text is set). */
const struct tensor *tensor_table_find(const struct tensor_table *table, const char *name);

/* The same, but ERR_MISSING with a line that names the file and the tensor. */
int tensor_table_get(const struct tensor_table *table, const char *name, const struct tensor **out);

/* The value of a key of a safetensors file's __metadata__ (the first file's that has it), or
 * NULL. */
const char *tensor_table_metadata(const struct tensor_table *table, const char *key);

/* Finds by name, checks the shape as tensor_check_shape does, converts, and refuses NaN and
 * infinities (ERR_NUMERIC). */
int tensor_table_read(const struct tensor_table *table, const char *name, size_t rows,
                      size_t columns, float *out);

/* ERR_FORMAT unless the tensor has exactly this shape: rows x columns, or, with columns 0, a vector
 * of `rows`. */
int tensor_check_shape(const struct tensor *tensor, size_t rows, size_t columns);

/* out (tensor->count floats) = the values as float32, in the order of the shape, for F32, F16,
 * BF16, F64 and GGUF's types with blocks; ERR_FORMAT for other types. */
int tensor_to_float(const struct tensor *tensor, float *out);

/* out (tensor->bytes) = the elements as they are stored, in the order of the shape. ERR_FORMAT when
 * the order cuts blocks apart. */
int tensor_to_bytes(const struct tensor *tensor, void *out);

/* out (tensor->count) = the values as int32, for BOOL, U8, I8, U16, I16, U32, I32, U64, I64;
 * ERR_FORMAT for other types and for values out of range. */
int tensor_to_int32(const struct tensor *tensor, int32_t *out);

#endif
