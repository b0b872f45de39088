#include "model/safetensors.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/tensor_part.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The length field, and the limit that other readers put on the header. */
enum { LENGTH_BYTES = 8, HEADER_LIMIT = 100000000 };

static uint64_t read_u64(const uint8_t *bytes)
{
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

/* *out = the header's object; the caller's. */
static int parse_json(const struct tensor_part *part, json_t **out, size_t *data_start)
{
    json_error_t where;
    size_t size = part->map.size;
    if (size < LENGTH_BYTES)
        return err_set(ERR_FORMAT, "%s: %zu bytes are too few for a safetensors file (truncated?)",
                       part->path, size);
    uint64_t length = read_u64(part->map.data);
    if (length > size - LENGTH_BYTES)
        return err_set(ERR_FORMAT,
                       "%s: its header claims %" PRIu64
                       " bytes, but the file has %zu after the length field "
                       "(truncated, or not a safetensors file)",
                       part->path, length, size - LENGTH_BYTES);
    if (length > HEADER_LIMIT)
        return err_set(ERR_FORMAT,
                       "%s: its header claims %" PRIu64
                       " bytes, more than the format's limit of %d",
                       part->path, length, HEADER_LIMIT);
    const char *text = (const char *)part->map.data + LENGTH_BYTES;
    json_t *header = json_loadb(text, (size_t)length, JSON_REJECT_DUPLICATES, &where);
    if (!header)
        return err_set(ERR_FORMAT, "%s: its header is not valid JSON at byte %d: %s", part->path,
                       LENGTH_BYTES + where.position, where.text);
    if (!json_is_object(header)) {
        json_decref(header);
        return err_set(ERR_FORMAT, "%s: its header is not a JSON object", part->path);
    }
    *out = header;
    *data_start = LENGTH_BYTES + (size_t)length;
    return 0;
}

static int check_name(const struct tensor_part *part, const char *name)
{
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < 0x20)
            return err_set(ERR_FORMAT, "%s: a tensor's name holds the control character 0x%02x",
                           part->path, (unsigned)(unsigned char)*c);
    }
    if (strlen(name) > 400)
        return err_set(ERR_FORMAT, "%s: the name of tensor '%.40s...' has %zu bytes, more than 400",
                       part->path, name, strlen(name));
    return 0;
}

static int parse_shape(const struct tensor_part *part, struct tensor *tensor, const json_t *shape)
{
    if (!json_is_array(shape) || json_array_size(shape) > TENSOR_MAX_RANK)
        return err_set(ERR_FORMAT, "%s: tensor '%s': 'shape' is not a list of at most %d sizes",
                       part->path, tensor->name, TENSOR_MAX_RANK);
    tensor->rank = (int)json_array_size(shape);
    tensor->count = 1;
    for (int i = 0; i < tensor->rank; i++) {
        const json_t *item = json_array_get(shape, (size_t)i);
        if (!json_is_integer(item) || json_integer_value(item) < 0)
            return err_set(ERR_FORMAT,
                           "%s: tensor '%s': size %d of its shape is not a whole number from 0",
                           part->path, tensor->name, i);
        tensor->shape[i] = (size_t)json_integer_value(item);
        if (__builtin_mul_overflow(tensor->count, tensor->shape[i], &tensor->count))
            return err_set(ERR_FORMAT, "%s: tensor '%s': the product of its shape overflows",
                           part->path, tensor->name);
    }
    if (__builtin_mul_overflow(tensor->count, dtype_size(tensor->dtype), &tensor->bytes))
        return err_set(ERR_FORMAT, "%s: tensor '%s': the size in bytes of its shape overflows",
                       part->path, tensor->name);
    return 0;
}

static int parse_offsets(const struct tensor_part *part, struct tensor *tensor,
                         const json_t *offsets, size_t data_start)
{
    const json_t *first = json_array_get(offsets, 0), *last = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(first) || !json_is_integer(last))
        return err_set(ERR_FORMAT, "%s: tensor '%s': 'data_offsets' is not a pair of whole numbers",
                       part->path, tensor->name);
    json_int_t begin = json_integer_value(first), end = json_integer_value(last);
    if (begin < 0 || end < begin)
        return err_set(ERR_FORMAT,
                       "%s: tensor '%s': its data offsets %" JSON_INTEGER_FORMAT
                       " to %" JSON_INTEGER_FORMAT " are no range",
                       part->path, tensor->name, begin, end);
    size_t size = part->map.size - data_start;
    if ((uint64_t)end > size)
        return err_set(ERR_FORMAT,
                       "%s: tensor '%s' ends at data byte %" JSON_INTEGER_FORMAT
                       ", past the file's %zu "
                       "(truncated?)",
                       part->path, tensor->name, end, size);
    if ((uint64_t)(end - begin) != tensor->bytes)
        return err_set(
            ERR_FORMAT,
            "%s: tensor '%s': its shape and type %s take %zu bytes, but its data offsets span "
            "%" JSON_INTEGER_FORMAT,
            part->path, tensor->name, dtype_name(tensor->dtype), tensor->bytes, end - begin);
    tensor->data = part->map.data + data_start + begin;
    return 0;
}

static int parse_tensor(const struct tensor_part *part, struct tensor *tensor, const char *name,
                        const json_t *entry, size_t data_start)
{
    int rc = check_name(part, name);
    if (rc)
        return rc;
    tensor->name = name;
    tensor->file = part->path;
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (!dtype)
        return err_set(ERR_FORMAT, "%s: tensor '%s' has no 'dtype' text", part->path, name);
    if ((rc = dtype_parse(&tensor->dtype, dtype)) != 0)
        return err_prefix(rc, "%s: tensor '%s'", part->path, name);
    if ((rc = parse_shape(part, tensor, json_object_get(entry, "shape"))) != 0)
        return rc;
    return parse_offsets(part, tensor, json_object_get(entry, "data_offsets"), data_start);
}

static int by_place(const void *left, const void *right)
{
    const struct tensor *a = left, *b = right;
    const uint8_t *from_a = a->data, *from_b = b->data;
    if (from_a != from_b)
        return from_a < from_b ? -1 : 1;
    return (a->bytes > b->bytes) - (a->bytes < b->bytes);
}

static int check_cover(const struct tensor_part *part, size_t data_start)
{
    size_t at = data_start;
    for (size_t i = 0; i < part->count; i++) {
        const struct tensor *tensor = &part->items[i];
        size_t begin = (size_t)((const uint8_t *)tensor->data - part->map.data);
        if (begin < at)
            return err_set(ERR_FORMAT, "%s: tensors '%s' and '%s' overlap at data byte %zu",
                           part->path, part->items[i - 1].name, tensor->name, begin - data_start);
        if (begin > at)
            return err_set(ERR_FORMAT,
                           "%s: data bytes %zu to %zu, before tensor '%s', belong to no tensor",
                           part->path, at - data_start, begin - data_start, tensor->name);
        at = begin + tensor->bytes;
    }
    if (at != part->map.size)
        return err_set(ERR_FORMAT, "%s: %zu bytes at the end of the file belong to no tensor",
                       part->path, part->map.size - at);
    return 0;
}

static int check_metadata(const struct tensor_part *part, json_t *metadata)
{
    const char *key;
    json_t *value;
    if (!metadata)
        return 0;
    if (!json_is_object(metadata))
        return err_set(ERR_FORMAT, "%s: '__metadata__' is not an object of texts", part->path);
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return err_set(ERR_FORMAT,
                           "%s: '__metadata__' is not an object of texts: see key '%.80s'",
                           part->path, key);
    }
    return 0;
}

static int set_blocks(struct tensor_part *part, struct tensor *tensor, const char *type)
{
    enum dtype dtype = DTYPE_FIRST_BLOCK;
    while (dtype < DTYPES && strcmp(dtype_name(dtype), type) != 0)
        dtype++;
    size_t size = dtype < DTYPES ? dtype_size(dtype) : 1, columns;
    size_t *last = &tensor->shape[tensor->rank ? tensor->rank - 1 : 0];
    if (dtype == DTYPES || tensor->dtype != DTYPE_U8 || !tensor->rank || *last % size ||
        __builtin_mul_overflow(*last / size, dtype_block(dtype), &columns) ||
        __builtin_mul_overflow(tensor->bytes / size, dtype_block(dtype), &tensor->count))
        return err_set(ERR_FORMAT,
                       "%s: tensor '%s': '__metadata__' says that it holds blocks of '%.40s', "
                       "which are unknown, or not what its type and shape can hold",
                       part->path, tensor->name, type);
    tensor->dtype = dtype;
    *last = columns;
    return 0;
}

/* Tensors of bytes that stand for one of GGUF's types. */
static int find_blocks(struct tensor_part *part, const json_t *metadata)
{
    char key[sizeof SAFETENSORS_BLOCKS + 400];
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < part->count; i++) {
        snprintf(key, sizeof key, SAFETENSORS_BLOCKS "%s", part->items[i].name);
        const char *type = json_string_value(json_object_get(metadata, key));
        if (type)
            rc = set_blocks(part, &part->items[i], type);
    }
    return rc;
}

static void release_header(void *header)
{
    json_decref(header);
}

int safetensors_part_open(struct tensor_part *part, const char *path)
{
    int rc;
    size_t data_start = 0;
    const char *name;
    json_t *entry, *header = NULL, *metadata;
    struct tensor_part fresh = {.release_owner = release_header};
    TRY(mem_strdup(&fresh.path, path));
    TRY(file_map_open(&fresh.map, path));
    TRY(parse_json(&fresh, &header, &data_start));
    fresh.owner = header; /* has the tensors' names */
    metadata = json_object_get(header, "__metadata__");
    TRY(check_metadata(&fresh, metadata));
    fresh.metadata = metadata;
    TRY(mem_calloc(&fresh.items, json_object_size(header), sizeof *fresh.items));
    json_object_foreach(header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        TRY(parse_tensor(&fresh, &fresh.items[fresh.count], name, entry, data_start));
        fresh.count++;
    }
    if (fresh.count)
        qsort(fresh.items, fresh.count, sizeof *fresh.items, by_place);
    TRY(check_cover(&fresh, data_start));
    TRY(find_blocks(&fresh, metadata));
    *part = fresh;
out:
    if (rc)
        tensor_part_release(&fresh);
    return rc;
}

int safetensors_open_file(struct tensor_table **out, const char *path)
{
    return tensor_table_open_part(out, path, safetensors_part_open);
}
