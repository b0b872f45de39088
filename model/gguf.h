/* GGUF files, versions 2 and 3: the header, its metadata and its table of tensors, as the file
 * names them. model/checkpoint.h opens one as a model; tokenizers read the metadata here. Every
 * count, length, type and offset is checked when the file is opened, so that nothing read later
 * can lie outside of it. */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include "model/tensor_table.h"

#include <stdbool.h>

struct gguf; /* opaque; immutable after opening */

/* Opens path. *out is the caller's (gguf_free). */
int gguf_open(struct gguf **out, const char *path);
/* The same from memory, which is borrowed until gguf_free; name stands for it in messages. */
int gguf_open_memory(struct gguf **out, const void *bytes, size_t size, const char *name);
void gguf_free(struct gguf *file);
const char *gguf_path(const struct gguf *file);

/* Whether the file begins as a GGUF file does; false where it cannot be read. */
bool gguf_is(const char *path);

/* ---- metadata: pairs of a key and a typed value ---- */

/* Text within the file: no NUL behind it, any bytes in it. */
struct gguf_text {
    const char *text;
    size_t size;
};

size_t gguf_key_count(const struct gguf *file);
/* In the order of the file. */
const char *gguf_key_at(const struct gguf *file, size_t index);
bool gguf_has(const struct gguf *file, const char *key);

/* *value = the key's whole number (of any integer type) within low..high; a key that is absent
 * gives the fallback, and GGUF_REQUIRED as fallback makes that ERR_MISSING. Errors name file and
 * key. */
#define GGUF_REQUIRED INT64_MIN
int gguf_int(const struct gguf *file, const char *key, int64_t low, int64_t high, int64_t fallback,
             int64_t *value);
/* The same for a number of any type; a NaN as fallback makes an absent key an error. */
int gguf_real(const struct gguf *file, const char *key, double low, double high, double fallback,
              double *value);
int gguf_bool(const struct gguf *file, const char *key, bool fallback, bool *value);
/* *value = the text, within the file; ERR_MISSING when the key is absent. */
int gguf_text(const struct gguf *file, const char *key, struct gguf_text *value);

/* Arrays, ERR_MISSING when the key is absent; *out is the caller's (mem_free), with one element at
 * least allocated. Texts lie within the file. */
int gguf_texts(const struct gguf *file, const char *key, struct gguf_text **out, size_t *count);
int gguf_ints(const struct gguf *file, const char *key, int64_t **out, size_t *count);
int gguf_reals(const struct gguf *file, const char *key, float **out, size_t *count);

/* Writes a GGUF file with the same metadata and no tensors: the tokenizer is in it. */
int gguf_write_metadata(const struct gguf *file, const char *path);

/* ---- tensors ---- */

/* In the order of the file, with the file's names, shapes outermost first. */
size_t gguf_tensor_count(const struct gguf *file);
const struct tensor *gguf_tensor_at(const struct gguf *file, size_t index);

#endif
