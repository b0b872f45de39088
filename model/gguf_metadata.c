#include "core/err.h"
#include "core/mem.h"
#include "model/gguf_internal.h"
#include "model/tensor_part.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *gguf_path(const struct gguf *file)
{
    return file->path;
}

bool gguf_is(const char *path)
{
    return tensor_file_begins(path, "GGUF", 4);
}

size_t gguf_key_count(const struct gguf *file)
{
    return file->entry_count;
}

const char *gguf_key_at(const struct gguf *file, size_t index)
{
    return file->entries[index].key;
}

size_t gguf_tensor_count(const struct gguf *file)
{
    return file->tensor_count;
}

const struct tensor *gguf_tensor_at(const struct gguf *file, size_t index)
{
    return &file->tensors[index];
}

/* NULL when there is no such key. */
static const struct gguf_entry *gguf_find(const struct gguf *file, const char *key)
{
    for (size_t i = 0; i < file->entry_count; i++)
        if (strcmp(file->entries[i].key, key) == 0)
            return &file->entries[i];
    return NULL;
}

bool gguf_has(const struct gguf *file, const char *key)
{
    return gguf_find(file, key) != NULL;
}

static int missing(const struct gguf *file, const char *key, const char *what)
{
    return err_set(ERR_MISSING, "%s: key '%s' is missing: %s is needed", file->path, key, what);
}

static int wrong_type(const struct gguf *file, const struct gguf_entry *entry, const char *what)
{
    return err_set(ERR_FORMAT, "%s: key '%s' is %s%s, where %s is needed", file->path, entry->key,
                   entry->array ? "an array of " : "", gguf_type_name(entry->type), what);
}

static bool is_whole(enum gguf_type type)
{
    return type != GGUF_F32 && type != GGUF_F64 && gguf_type_size(type) && type != GGUF_BOOL;
}

/* Element `index` as a whole number; unsigned ones beyond int64 come out as INT64_MAX. */
static int64_t whole_at(const struct gguf_entry *entry, uint64_t index)
{
    size_t size = gguf_type_size(entry->type);
    uint64_t bits = gguf_bits(entry->data + index * size, size);
    switch (entry->type) {
    case GGUF_I8: return (int8_t)bits;
    case GGUF_I16: return (int16_t)bits;
    case GGUF_I32: return (int32_t)bits;
    case GGUF_I64: return (int64_t)bits;
    default: return bits > INT64_MAX ? INT64_MAX : (int64_t)bits;
    }
}

static double real_at(const struct gguf_entry *entry, uint64_t index)
{
    const uint8_t *at = entry->data + index * gguf_type_size(entry->type);
    float narrow;
    double wide;
    if (entry->type == GGUF_F32) {
        memcpy(&narrow, at, sizeof narrow);
        return (double)narrow;
    }
    if (entry->type == GGUF_F64) {
        memcpy(&wide, at, sizeof wide);
        return wide;
    }
    return (double)whole_at(entry, index);
}

int gguf_int(const struct gguf *file, const char *key, int64_t low, int64_t high, int64_t fallback,
             int64_t *value)
{
    const struct gguf_entry *entry = gguf_find(file, key);
    if (!entry && fallback == GGUF_REQUIRED)
        return missing(file, key, "a whole number");
    if (!entry) {
        *value = fallback;
        return 0;
    }
    if (entry->array || !is_whole(entry->type))
        return wrong_type(file, entry, "a whole number");
    int64_t number = whole_at(entry, 0);
    if (number < low || number > high)
        return err_set(ERR_FORMAT,
                       "%s: key '%s' is %" PRId64 ": %" PRId64 " to %" PRId64 " is possible",
                       file->path, key, number, low, high);
    *value = number;
    return 0;
}

int gguf_real(const struct gguf *file, const char *key, double low, double high, double fallback,
              double *value)
{
    const struct gguf_entry *entry = gguf_find(file, key);
    if (!entry && isnan(fallback))
        return missing(file, key, "a number");
    if (!entry) {
        *value = fallback;
        return 0;
    }
    if (entry->array || entry->type == GGUF_BOOL || !gguf_type_size(entry->type))
        return wrong_type(file, entry, "a number");
    double number = real_at(entry, 0);
    if (!(number >= low && number <= high))
        return err_set(ERR_FORMAT, "%s: key '%s' is %g: %g to %g is possible", file->path, key,
                       number, low, high);
    *value = number;
    return 0;
}

int gguf_bool(const struct gguf *file, const char *key, bool fallback, bool *value)
{
    const struct gguf_entry *entry = gguf_find(file, key);
    if (entry && (entry->array || entry->type != GGUF_BOOL))
        return wrong_type(file, entry, "true or false");
    *value = entry ? *entry->data : fallback;
    return 0;
}

/* The text that begins at `at`, and where the next one would. */
static struct gguf_text text_at(const uint8_t **at)
{
    struct gguf_text text = {(const char *)*at + 8, (size_t)gguf_bits(*at, 8)};
    *at += 8 + text.size;
    return text;
}

int gguf_text(const struct gguf *file, const char *key, struct gguf_text *value)
{
    const struct gguf_entry *entry = gguf_find(file, key);
    if (!entry)
        return missing(file, key, "a text");
    if (entry->array || entry->type != GGUF_STRING)
        return wrong_type(file, entry, "a text");
    const uint8_t *at = entry->data;
    *value = text_at(&at);
    return 0;
}

/* *out = an array as long as that of the key, of which fits(type) is true. */
static int open_array(const struct gguf *file, const char *key, bool (*fits)(enum gguf_type),
                      const char *what, size_t size, const struct gguf_entry **entry, void *out)
{
    *entry = gguf_find(file, key);
    if (!*entry)
        return missing(file, key, what);
    if (!(*entry)->array || !fits((*entry)->type))
        return wrong_type(file, *entry, what);
    return mem_alloc(out, (size_t)(*entry)->count ? (size_t)(*entry)->count : 1, size);
}

static bool is_text(enum gguf_type type)
{
    return type == GGUF_STRING;
}

static bool is_number(enum gguf_type type)
{
    return gguf_type_size(type) && type != GGUF_BOOL;
}

int gguf_texts(const struct gguf *file, const char *key, struct gguf_text **out, size_t *count)
{
    const struct gguf_entry *entry;
    struct gguf_text *texts;
    int rc = open_array(file, key, is_text, "an array of texts", sizeof *texts, &entry, &texts);
    if (rc)
        return rc;
    const uint8_t *at = entry->data;
    for (uint64_t i = 0; i < entry->count; i++)
        texts[i] = text_at(&at);
    *out = texts;
    *count = (size_t)entry->count;
    return 0;
}

int gguf_ints(const struct gguf *file, const char *key, int64_t **out, size_t *count)
{
    const struct gguf_entry *entry;
    int64_t *values;
    int rc = open_array(file, key, is_whole, "an array of whole numbers", sizeof *values, &entry,
                        &values);
    if (rc)
        return rc;
    for (uint64_t i = 0; i < entry->count; i++)
        values[i] = whole_at(entry, i);
    *out = values;
    *count = (size_t)entry->count;
    return 0;
}

int gguf_reals(const struct gguf *file, const char *key, float **out, size_t *count)
{
    const struct gguf_entry *entry;
    float *values;
    int rc = open_array(file, key, is_number, "an array of numbers", sizeof *values, &entry,
                        &values);
    if (rc)
        return rc;
    for (uint64_t i = 0; i < entry->count; i++)
        values[i] = (float)real_at(entry, i);
    *out = values;
    *count = (size_t)entry->count;
    return 0;
}
