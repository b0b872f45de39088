/* Between gguf.c, which opens a file, gguf_tensors.c, which finds its tensors, and gguf_metadata.c,
 * which reads its values. */
#ifndef MODEL_GGUF_INTERNAL_H
#define MODEL_GGUF_INTERNAL_H

#include "core/arena.h"
#include "core/file.h"
#include "model/gguf.h"

enum gguf_type {
    GGUF_U8,
    GGUF_I8,
    GGUF_U16,
    GGUF_I16,
    GGUF_U32,
    GGUF_I32,
    GGUF_F32,
    GGUF_BOOL,
    GGUF_STRING,
    GGUF_ARRAY,
    GGUF_U64,
    GGUF_I64,
    GGUF_F64,
    GGUF_TYPES
};

/* The bytes of a value; 0 for strings and arrays, which differ. */
size_t gguf_type_size(enum gguf_type type);
const char *gguf_type_name(enum gguf_type type);

/* One pair. Of an array, type is that of the elements. */
struct gguf_entry {
    const char *key;
    enum gguf_type type;
    bool array;
    uint64_t count;      /* elements; 1 when it is no array */
    const uint8_t *data; /* of the first one, checked to be complete */
};

struct gguf {
    char *path;
    struct file_map map; /* empty when the bytes are borrowed */
    const uint8_t *data;
    size_t size, at; /* at: where parsing stands */
    struct arena names;
    struct gguf_entry *entries;        /* in the order of the file */
    size_t entries_start, entries_end; /* their bytes */
    size_t entry_count;
    struct tensor *tensors;
    size_t tensor_count;
};

/* Little-endian, whatever the machine. */
uint64_t gguf_bits(const uint8_t *bytes, size_t size);

/* *bytes = the next `size` bytes, which are part of `what`; ERR_FORMAT where the file ends. */
int gguf_take(struct gguf *file, uint64_t size, const char *what, const uint8_t **bytes);
int gguf_take_number(struct gguf *file, size_t size, const char *what, uint64_t *value);
/* *out = a name, with a NUL behind it. */
int gguf_take_name(struct gguf *file, const char *what, const char **out);
/* The table of tensors, with the data found, behind the metadata. */
int gguf_take_tensors(struct gguf *file, uint64_t count);

#endif
