#include "model/safetensors.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "linalg/finite.h"
#include "model/safetensors_header.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct safetensors {
    char *path;
    struct safetensors_part *parts; /* in the order of their names */
    size_t part_count;
    struct tensor *items; /* of all parts, in the order of their names */
    size_t count;
};

static int by_name(const void *left, const void *right)
{
    const struct tensor *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* Gathers the parts' tensors into one sorted table. */
static int gather(struct safetensors *tensors)
{
    size_t total = 0;
    for (size_t i = 0; i < tensors->part_count; i++)
        total += tensors->parts[i].count;
    int rc = mem_calloc(&tensors->items, total, sizeof *tensors->items);
    if (rc)
        return rc;
    for (size_t i = 0; i < tensors->part_count; i++) {
        for (size_t j = 0; j < tensors->parts[i].count; j++)
            tensors->items[tensors->count++] = tensors->parts[i].items[j];
    }
    if (total)
        qsort(tensors->items, total, sizeof *tensors->items, by_name);
    for (size_t i = 1; i < total; i++) {
        const struct tensor *a = &tensors->items[i - 1], *b = &tensors->items[i];
        if (strcmp(a->name, b->name) == 0)
            return err_set(ERR_FORMAT, "tensor '%s' is in two files: %s and %s", a->name, a->file,
                           b->file);
    }
    return 0;
}

int safetensors_open_file(struct safetensors **out, const char *path)
{
    int rc;
    struct safetensors *tensors = NULL;
    TRY(mem_calloc(&tensors, 1, sizeof *tensors));
    TRY(mem_strdup(&tensors->path, path));
    TRY(mem_calloc(&tensors->parts, 1, sizeof *tensors->parts));
    TRY(safetensors_part_open(&tensors->parts[0], path));
    tensors->part_count = 1;
    TRY(gather(tensors));
    *out = tensors;
    tensors = NULL;
out:
    safetensors_free(tensors);
    return rc;
}

static int by_text(const void *left, const void *right)
{
    const char *const *a = left, *const *b = right;
    return strcmp(*a, *b);
}

/* names = the distinct files of the weight map, sorted, borrowed from it. */
static int list_shards(const char *index_path, const json_t *map, const char ***out, size_t *count)
{
    int rc;
    const char *key;
    json_t *value;
    const char **names = NULL;
    size_t used = 0, distinct = 0;
    TRY(mem_calloc(&names, json_object_size(map), sizeof *names));
    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        const char *name = json_string_value(value);
        if (!name || !*name || strchr(name, '/')) {
            rc = err_set(ERR_FORMAT,
                         "%s: the shard of tensor '%.200s' is not the name of a file beside it",
                         index_path, key);
            goto out;
        }
        names[used++] = name;
    }
    if (used)
        qsort(names, used, sizeof *names, by_text);
    for (size_t i = 0; i < used; i++) {
        if (distinct == 0 || strcmp(names[distinct - 1], names[i]) != 0)
            names[distinct++] = names[i];
    }
    *out = names;
    *count = distinct;
    names = NULL;
out:
    mem_free(names);
    return rc;
}

/* Every tensor of the index is in the shard that it names, and the shards hold no others. */
static int check_index(const struct safetensors *tensors, const char *index_path, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        const struct tensor *tensor = safetensors_find(tensors, key);
        const char *shard = json_string_value(value);
        const char *name = tensor ? strrchr(tensor->file, '/') : NULL;
        if (!tensor || strcmp(name ? name + 1 : tensor->file, shard) != 0)
            return err_set(ERR_MISSING,
                           "%s: tensor '%.200s' is not in %s, where the index places it",
                           index_path, key, shard);
    }
    for (size_t i = 0; i < tensors->count; i++) {
        if (!json_object_get(map, tensors->items[i].name))
            return err_set(ERR_FORMAT, "%s: tensor '%s' of %s is not in the index", index_path,
                           tensors->items[i].name, tensors->items[i].file);
    }
    return 0;
}

static int open_shards(struct safetensors *tensors, const char *folder, const char *index_path,
                       const json_t *map)
{
    int rc;
    const char **names = NULL;
    char *path = NULL;
    size_t count = 0;
    TRY(list_shards(index_path, map, &names, &count));
    TRY(mem_calloc(&tensors->parts, count, sizeof *tensors->parts));
    for (size_t i = 0; i < count; i++) {
        mem_free(path);
        path = NULL;
        TRY(file_join(&path, folder, names[i]));
        TRY(safetensors_part_open(&tensors->parts[i], path));
        tensors->part_count++;
    }
    TRY(gather(tensors));
    TRY(check_index(tensors, index_path, map));
out:
    mem_free(path);
    mem_free(names);
    return rc;
}

static int open_index(struct safetensors **out, const char *folder, const char *index_path)
{
    int rc;
    char *text = NULL;
    size_t size;
    json_t *index = NULL;
    json_error_t where;
    struct safetensors *tensors = NULL;
    TRY(file_read(index_path, &text, &size));
    index = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!index) {
        rc = err_set(ERR_FORMAT, "%s:%d: not valid JSON: %s", index_path, where.line, where.text);
        goto out;
    }
    const json_t *map = json_object_get(index, "weight_map");
    if (!json_is_object(map) || json_object_size(map) == 0) {
        rc = err_set(ERR_FORMAT, "%s: no 'weight_map' that names a shard for each tensor",
                     index_path);
        goto out;
    }
    TRY(mem_calloc(&tensors, 1, sizeof *tensors));
    TRY(mem_strdup(&tensors->path, index_path));
    TRY(open_shards(tensors, folder, index_path, map));
    *out = tensors;
    tensors = NULL;
out:
    safetensors_free(tensors);
    json_decref(index);
    mem_free(text);
    return rc;
}

int safetensors_open_folder(struct safetensors **out, const char *folder)
{
    int rc;
    char *single = NULL, *index = NULL;
    TRY(file_join(&single, folder, "model.safetensors"));
    TRY(file_join(&index, folder, "model.safetensors.index.json"));
    if (file_exists(single))
        rc = safetensors_open_file(out, single);
    else if (file_exists(index))
        rc = open_index(out, folder, index);
    else
        rc = err_set(ERR_MISSING,
                     "%s: neither model.safetensors nor model.safetensors.index.json is there",
                     folder);
out:
    mem_free(single);
    mem_free(index);
    return rc;
}

void safetensors_free(struct safetensors *tensors)
{
    if (!tensors)
        return;
    for (size_t i = 0; i < tensors->part_count; i++)
        safetensors_part_release(&tensors->parts[i]);
    mem_free(tensors->parts);
    mem_free(tensors->items);
    mem_free(tensors->path);
    mem_free(tensors);
}

const char *safetensors_path(const struct safetensors *tensors)
{
    return tensors->path;
}

size_t safetensors_count(const struct safetensors *tensors)
{
    return tensors->count;
}

const struct tensor *safetensors_at(const struct safetensors *tensors, size_t index)
{
    return &tensors->items[index];
}

size_t safetensors_file_count(const struct safetensors *tensors)
{
    return tensors->part_count;
}

const char *safetensors_file(const struct safetensors *tensors, size_t index)
{
    return tensors->parts[index].path;
}

const struct tensor *safetensors_find(const struct safetensors *tensors, const char *name)
{
    struct tensor key = {.name = name};
    return tensors->count ? bsearch(&key, tensors->items, tensors->count, sizeof key, by_name)
                          : NULL;
}

int safetensors_get(const struct safetensors *tensors, const char *name, const struct tensor **out)
{
    const struct tensor *tensor = safetensors_find(tensors, name);
    if (!tensor)
        return err_set(ERR_MISSING, "%s: there is no tensor '%.200s'", tensors->path, name);
    *out = tensor;
    return 0;
}

const char *safetensors_metadata(const struct safetensors *tensors, const char *key)
{
    for (size_t i = 0; i < tensors->part_count; i++) {
        const json_t *value = json_object_get(tensors->parts[i].metadata, key);
        if (value)
            return json_string_value(value);
    }
    return NULL;
}

int tensor_check_shape(const struct tensor *tensor, size_t rows, size_t columns)
{
    char shape[TENSOR_MAX_RANK * 24 + 8] = "";
    int rank = columns ? 2 : 1;
    if (tensor->rank == rank && tensor->shape[0] == rows &&
        (rank == 1 || tensor->shape[1] == columns))
        return 0;
    for (int i = 0, used = 0; i < tensor->rank; i++)
        used += snprintf(shape + used, sizeof shape - (size_t)used, i ? " x %zu" : "%zu",
                         tensor->shape[i]);
    if (columns)
        return err_set(ERR_FORMAT, "%s: tensor '%s' has shape (%s), where (%zu x %zu) is needed",
                       tensor->file, tensor->name, shape, rows, columns);
    return err_set(ERR_FORMAT, "%s: tensor '%s' has shape (%s), where (%zu) is needed",
                   tensor->file, tensor->name, shape, rows);
}

int tensor_to_float(const struct tensor *tensor, float *out)
{
    int rc = dtype_to_float(tensor->dtype, tensor->data, tensor->count, out);
    return rc ? err_prefix(rc, "%s: tensor '%s'", tensor->file, tensor->name) : 0;
}

/* *value = element `index` of an integer tensor; unsigned 64-bit values beyond int64 come out as
 * INT64_MAX. */
static int integer_at(const struct tensor *tensor, size_t index, int64_t *value)
{
    size_t size = dtype_size(tensor->dtype);
    uint64_t bits = 0;
    memcpy(&bits, (const uint8_t *)tensor->data + index * size, size);
    switch (tensor->dtype) {
    case DTYPE_I8: *value = (int8_t)bits; return 0;
    case DTYPE_I16: *value = (int16_t)bits; return 0;
    case DTYPE_I32: *value = (int32_t)bits; return 0;
    case DTYPE_I64: *value = (int64_t)bits; return 0;
    case DTYPE_BOOL:
    case DTYPE_U8:
    case DTYPE_U16:
    case DTYPE_U32:
    case DTYPE_U64: *value = bits > INT64_MAX ? INT64_MAX : (int64_t)bits; return 0;
    default:
        return err_set(ERR_FORMAT, "%s: tensor '%s' is %s, where whole numbers are needed",
                       tensor->file, tensor->name, dtype_name(tensor->dtype));
    }
}

int tensor_to_int32(const struct tensor *tensor, int32_t *out)
{
    for (size_t i = 0; i < tensor->count; i++) {
        int64_t value = 0;
        int rc = integer_at(tensor, i, &value);
        if (rc)
            return rc;
        if (value < INT32_MIN || value > INT32_MAX)
            return err_set(ERR_FORMAT, "%s: tensor '%s': element %zu is beyond 32 bits",
                           tensor->file, tensor->name, i);
        out[i] = (int32_t)value;
    }
    return 0;
}

int safetensors_read(const struct safetensors *tensors, const char *name, size_t rows,
                     size_t columns, float *out)
{
    const struct tensor *tensor = NULL;
    int rc;
    TRY(safetensors_get(tensors, name, &tensor));
    TRY(tensor_check_shape(tensor, rows, columns));
    TRY(tensor_to_float(tensor, out));
    long bad = first_not_finite(out, tensor->count);
    if (bad >= 0)
        rc = err_set(ERR_NUMERIC, "%s: tensor '%s': element %ld is %s", tensor->file, name, bad,
                     isnan(out[bad]) ? "not a number (NaN)" : "infinite");
out:
    return rc;
}
