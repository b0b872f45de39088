#include "methods/packed.h"

#include "core/err.h"
#include "core/mem.h"

#include <stdio.h>
#include <string.h>

const char *const bit_category_names[] = {"payload", "scales",  "zeros", "masks",
                                          "indices", "salient", "other", NULL};

static const char *const array_type_names[] = {"F32", "F16", "I32", "U16", "U8"};

size_t array_type_size(enum array_type type)
{
    switch (type) {
    case ARRAY_F32:
    case ARRAY_I32: return 4;
    case ARRAY_F16:
    case ARRAY_U16: return 2;
    case ARRAY_U8: return 1;
    }
    return 0;
}

static size_t array_bytes(const struct packed_array *array)
{
    return array->shape[0] * array->shape[1] * array_type_size(array->type);
}

int packed_add(struct packed *packed, const char *name, enum array_type type,
               enum bit_category category, size_t rows, size_t columns, void *data)
{
    if (packed->count == PACKED_MAX)
        return err_set(ERR_INTERNAL, "array '%s': a packed layer holds at most %d arrays", name,
                       PACKED_MAX);
    if (rows != 0 && columns > (size_t)-1 / rows)
        return err_set(ERR_MEMORY, "array '%s' of %zu x %zu elements is too large", name, rows,
                       columns);
    struct packed_array *array = &packed->arrays[packed->count];
    *array = (struct packed_array){.type = type, .category = category, .shape = {rows, columns}};
    int length = snprintf(array->name, sizeof array->name, "%s", name);
    if (length >= (int)sizeof array->name)
        return err_set(ERR_INTERNAL, "array '%s': the name is longer than %zu characters", name,
                       sizeof array->name - 1);
    int rc = mem_calloc(&array->data, rows * columns, array_type_size(type));
    if (rc)
        return err_prefix(rc, "array '%s'", name);
    packed->count++;
    memcpy(data, &array->data, sizeof array->data);
    return 0;
}

const struct packed_array *packed_find(const struct packed *packed, const char *name)
{
    for (int i = 0; i < packed->count; i++)
        if (strcmp(packed->arrays[i].name, name) == 0)
            return &packed->arrays[i];
    return NULL;
}

int packed_get(const struct packed *packed, const char *name, enum array_type type, size_t rows,
               size_t columns, void *data)
{
    const struct packed_array *array = packed_find(packed, name);
    if (!array)
        return err_set(ERR_FORMAT, "the packed layer has no array '%s'", name);
    if (array->type != type || array->shape[0] != rows || array->shape[1] != columns)
        return err_set(ERR_FORMAT,
                       "packed array '%s' is %zu x %zu of type %s, expected %zu x %zu of type %s",
                       name, array->shape[0], array->shape[1], array_type_names[array->type], rows,
                       columns, array_type_names[type]);
    memcpy(data, &array->data, sizeof array->data);
    return 0;
}

size_t packed_bytes(const struct packed *packed)
{
    size_t bytes = 0;
    for (int i = 0; i < packed->count; i++)
        bytes += array_bytes(&packed->arrays[i]);
    return bytes;
}

void packed_category_bytes(const struct packed *packed, size_t bytes[BITS_CATEGORIES])
{
    memset(bytes, 0, BITS_CATEGORIES * sizeof *bytes);
    for (int i = 0; i < packed->count; i++)
        bytes[packed->arrays[i].category] += array_bytes(&packed->arrays[i]);
}

void packed_release(struct packed *packed)
{
    for (int i = 0; i < packed->count; i++)
        mem_free(packed->arrays[i].data);
    packed->count = 0;
}
