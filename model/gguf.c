#include "core/err.h"
#include "core/mem.h"
#include "model/gguf_internal.h"
#include "model/tensor_part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Arrays within arrays are skipped over, so deep. */
enum { NESTING = 4 };

uint64_t gguf_bits(const uint8_t *bytes, size_t size)
{
    uint64_t value = 0;
    for (size_t i = size; i > 0; i--)
        value = value << 8 | bytes[i - 1];
    return value;
}

int gguf_take(struct gguf *file, uint64_t size, const char *what, const uint8_t **bytes)
{
    if (size > file->size - file->at)
        return err_set(ERR_FORMAT,
                       "%s: %s at byte %zu takes %" PRIu64 " bytes, but the file ends after %zu "
                       "(truncated?)",
                       file->path, what, file->at, size, file->size - file->at);
    *bytes = file->data + file->at;
    file->at += (size_t)size;
    return 0;
}

int gguf_take_number(struct gguf *file, size_t size, const char *what, uint64_t *value)
{
    const uint8_t *bytes = NULL;
    int rc = gguf_take(file, size, what, &bytes);
    if (rc == 0)
        *value = gguf_bits(bytes, size);
    return rc;
}

static int gguf_take_text(struct gguf *file, const char *what, const uint8_t **text, uint64_t *size)
{
    int rc = gguf_take_number(file, 8, what, size);
    return rc ? rc : gguf_take(file, *size, what, text);
}

int gguf_take_name(struct gguf *file, const char *what, const char **out)
{
    const uint8_t *text = NULL;
    uint64_t size = 0;
    int rc = gguf_take_text(file, what, &text, &size);
    if (rc == 0)
        rc = tensor_name_copy(&file->names, file->path, what, (const char *)text, (size_t)size,
                              out);
    return rc;
}

/* How often `what` of at least `least` bytes follows: never more often than there is room for. */
static int gguf_take_count(struct gguf *file, size_t least, const char *what, uint64_t *count)
{
    int rc = gguf_take_number(file, 8, what, count);
    if (rc == 0 && *count > (file->size - file->at) / least)
        return err_set(ERR_FORMAT,
                       "%s: the number of %s, %" PRIu64
                       " at byte %zu, is more than the file's %zu bytes can hold (truncated?)",
                       file->path, what, *count, file->at - 8, file->size);
    return rc;
}

/* ---- metadata ---- */

size_t gguf_type_size(enum gguf_type type)
{
    static const uint8_t sizes[GGUF_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return sizes[type];
}

const char *gguf_type_name(enum gguf_type type)
{
    static const char *const names[GGUF_TYPES] = {"uint8",  "int8",    "uint16",  "int16", "uint32",
                                                  "int32",  "float32", "boolean", "text",  "array",
                                                  "uint64", "int64",   "float64"};
    return names[type];
}

static int take_type(struct gguf *file, const char *key, enum gguf_type *type)
{
    uint64_t number = 0;
    int rc = gguf_take_number(file, 4, "a value's type", &number);
    if (rc == 0 && number >= GGUF_TYPES)
        return err_set(ERR_FORMAT, "%s: key '%s': %" PRIu64 " at byte %zu is no type of a value",
                       file->path, key, number, file->at - 4);
    *type = (enum gguf_type)number;
    return rc;
}

/* Steps over `count` values of a type, checking that they are complete. */
static int skip_values(struct gguf *file, const char *key, enum gguf_type type, uint64_t count,
                       int depth)
{
    int rc = 0;
    const uint8_t *bytes = NULL;
    size_t size = gguf_type_size(type);
    if (size) { /* take_count has seen that there is room */
        TRY(gguf_take(file, count * size, "a value", &bytes));
        for (uint64_t i = 0; type == GGUF_BOOL && i < count; i++)
            if (bytes[i] > 1)
                return err_set(ERR_FORMAT, "%s: key '%s': %d is neither true nor false", file->path,
                               key, bytes[i]);
        return 0;
    }
    for (uint64_t i = 0; i < count; i++) {
        uint64_t inner = 0;
        if (type == GGUF_STRING) {
            TRY(gguf_take_text(file, "a text", &bytes, &inner));
            continue;
        }
        enum gguf_type element;
        if (depth == NESTING)
            return err_set(ERR_FORMAT, "%s: key '%s': arrays are more than %d deep", file->path,
                           key, NESTING);
        TRY(take_type(file, key, &element));
        size = gguf_type_size(element);
        TRY(gguf_take_count(file, size ? size : 8, "an array's elements", &inner));
        TRY(skip_values(file, key, element, inner, depth + 1));
    }
out:
    return rc;
}

static int take_entry(struct gguf *file, struct gguf_entry *entry)
{
    int rc;
    enum gguf_type type;
    entry->count = 1;
    TRY(gguf_take_name(file, "a key", &entry->key));
    TRY(take_type(file, entry->key, &type));
    if (type == GGUF_ARRAY) {
        entry->array = true;
        TRY(take_type(file, entry->key, &type));
        size_t size = gguf_type_size(type);
        TRY(gguf_take_count(file, size ? size : 8, "an array's elements", &entry->count));
    }
    entry->type = type;
    entry->data = file->data + file->at;
    TRY(skip_values(file, entry->key, type, entry->count, entry->array));
out:
    return rc;
}

/* The pairs are few in an honest file, but a dishonest one must not cost the square of its size. */
static int by_key(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

static int check_keys(const struct gguf *file)
{
    int rc;
    const char **keys = NULL;
    TRY(mem_calloc(&keys, file->entry_count, sizeof *keys));
    for (size_t i = 0; i < file->entry_count; i++)
        keys[i] = file->entries[i].key;
    if (file->entry_count)
        qsort(keys, file->entry_count, sizeof *keys, by_key);
    for (size_t i = 1; rc == 0 && i < file->entry_count; i++)
        if (strcmp(keys[i - 1], keys[i]) == 0)
            rc = err_set(ERR_FORMAT, "%s: key '%s' is there twice", file->path, keys[i]);
out:
    mem_free(keys);
    return rc;
}

/* ---- the file ---- */

static int check_magic(struct gguf *file)
{
    uint64_t version;
    if (file->size < 4 || memcmp(file->data, "GGUF", 4) != 0)
        return err_set(ERR_FORMAT, "%s: does not begin with \"GGUF\": no GGUF file", file->path);
    file->at = 4;
    int rc = gguf_take_number(file, 4, "the version", &version);
    if (rc)
        return rc;
    if (version == 2 || version == 3)
        return 0;
    if (version >> 16 && !(version & 0xffff))
        return err_set(ERR_FORMAT,
                       "%s: a GGUF file with the bytes of its numbers in big-endian "
                       "order, which is not read here",
                       file->path);
    return err_set(ERR_FORMAT, "%s: GGUF of version %" PRIu64 ", where 2 and 3 are known%s",
                   file->path, version,
                   version < 2 ? "; convert the model anew with a recent llama.cpp" : "");
}

static int parse(struct gguf *file)
{
    int rc;
    uint64_t tensors, pairs;
    TRY(check_magic(file));
    TRY(gguf_take_count(file, 24, "tensors", &tensors));
    TRY(gguf_take_count(file, 13, "metadata pairs", &pairs));
    TRY(mem_calloc(&file->entries, (size_t)pairs, sizeof *file->entries));
    file->entries_start = file->at;
    for (; file->entry_count < pairs; file->entry_count++)
        TRY(take_entry(file, &file->entries[file->entry_count]));
    file->entries_end = file->at;
    TRY(check_keys(file));
    TRY(gguf_take_tensors(file, tensors));
out:
    return rc;
}

int gguf_open_memory(struct gguf **out, const void *bytes, size_t size, const char *name)
{
    int rc;
    struct gguf *file = NULL;
    TRY(mem_calloc(&file, 1, sizeof *file));
    TRY(mem_strdup(&file->path, name));
    file->data = bytes;
    file->size = size;
    TRY(parse(file));
    *out = file;
    file = NULL;
out:
    gguf_free(file);
    return rc;
}

int gguf_open(struct gguf **out, const char *path)
{
    struct file_map map = {0};
    int rc = file_map_open(&map, path);
    if (rc == 0)
        rc = gguf_open_memory(out, map.data, map.size, path);
    if (rc == 0)
        (*out)->map = map;
    else
        file_unmap(&map);
    return rc;
}

void gguf_free(struct gguf *file)
{
    if (!file)
        return;
    mem_free(file->entries);
    mem_free(file->tensors);
    arena_release(&file->names);
    file_unmap(&file->map);
    mem_free(file->path);
    mem_free(file);
}

int gguf_write_metadata(const struct gguf *file, const char *path)
{
    int rc;
    struct file_writer writer = {0};
    uint8_t head[24] = {'G', 'G', 'U', 'F', 3}; /* no tensors */
    for (int i = 0; i < 8; i++)
        head[16 + i] = (uint8_t)((uint64_t)file->entry_count >> 8 * i & 255);
    TRY(file_write_begin(&writer, path));
    TRY(file_write(&writer, head, sizeof head));
    TRY(file_write(&writer, file->data + file->entries_start,
                   file->entries_end - file->entries_start));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    return rc;
}
