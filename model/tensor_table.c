#include "model/tensor_table.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/text.h"
#include "linalg/finite.h"
#include "model/tensor_part.h"
#include "model/tensor_table_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a tensor or a key, in bytes. */
enum { NAME_LIMIT = 400 };

static int by_name(const void *left, const void *right)
{
    const struct tensor *a = left, *b = right;
    return strcmp(a->name, b->name);
}

void tensor_table_sort(struct tensor_table *table)
{
    if (table->count)
        qsort(table->items, table->count, sizeof *table->items, by_name);
}

int tensor_table_gather(struct tensor_table *table)
{
    size_t total = 0;
    for (size_t i = 0; i < table->part_count; i++)
        total += table->parts[i].count;
    int rc = mem_calloc(&table->items, total, sizeof *table->items);
    if (rc)
        return rc;
    for (size_t i = 0; i < table->part_count; i++) {
        for (size_t j = 0; j < table->parts[i].count; j++)
            table->items[table->count++] = table->parts[i].items[j];
    }
    tensor_table_sort(table);
    for (size_t i = 1; i < total; i++) {
        const struct tensor *a = &table->items[i - 1], *b = &table->items[i];
        if (strcmp(a->name, b->name) == 0 && a->file == b->file)
            return err_set(ERR_FORMAT, "%s: tensor '%s' is there twice", a->file, a->name);
        if (strcmp(a->name, b->name) == 0)
            return err_set(ERR_FORMAT, "tensor '%s' is in two files: %s and %s", a->name, a->file,
                           b->file);
    }
    return 0;
}

int tensor_table_from_part(struct tensor_table **out, struct tensor_part *part)
{
    int rc;
    struct tensor_table *table = NULL;
    TRY(mem_calloc(&table, 1, sizeof *table));
    TRY(mem_strdup(&table->path, part->path));
    TRY(mem_calloc(&table->parts, 1, sizeof *table->parts));
    table->parts[0] = *part;
    table->part_count = 1;
    TRY(tensor_table_gather(table));
    *out = table;
    *part = (struct tensor_part){0};
    table = NULL;
out:
    if (table)
        table->part_count = 0; /* still the caller's */
    tensor_table_free(table);
    return rc;
}

int tensor_table_open_part(struct tensor_table **out, const char *path, tensor_part_open *open)
{
    struct tensor_part part = {0};
    int rc = open(&part, path);
    if (rc == 0)
        rc = tensor_table_from_part(out, &part);
    tensor_part_release(&part);
    return rc;
}

void tensor_part_release(struct tensor_part *part)
{
    mem_free(part->items);
    if (part->release_owner)
        part->release_owner(part->owner);
    arena_release(&part->memory);
    file_unmap(&part->map);
    mem_free(part->path);
    *part = (struct tensor_part){0};
}

int tensor_name_copy(struct arena *arena, const char *path, const char *what, const char *bytes,
                     size_t size, const char **out)
{
    char *name;
    int shown = size < 40 ? (int)size : 40, rc;
    if (size == 0 || size > NAME_LIMIT)
        return err_set(ERR_FORMAT, "%s: %s of %zu bytes: 1 to %d are possible", path, what, size,
                       NAME_LIMIT);
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)bytes[i] < 0x20 || bytes[i] == 0x7f)
            return err_set(ERR_FORMAT, "%s: %s holds the control character 0x%02x", path, what,
                           (unsigned)(unsigned char)bytes[i]);
    if (!text_is_utf8(bytes, size, NULL))
        return err_set(ERR_FORMAT, "%s: %s, '%.*s', is not UTF-8", path, what, shown, bytes);
    if ((rc = arena_alloc(arena, &name, size + 1, 1)) != 0)
        return rc;
    memcpy(name, bytes, size);
    name[size] = '\0';
    *out = name;
    return 0;
}

bool tensor_file_begins(const char *path, const char *bytes, size_t size)
{
    int file;
    size_t length;
    char begin[8];
    if (file_open(path, &file, &length) != 0)
        return false;
    bool same = length >= size && file_read_at(file, path, 0, begin, size) == 0 &&
                memcmp(begin, bytes, size) == 0;
    close(file);
    return same;
}

void tensor_table_free(struct tensor_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->part_count; i++)
        tensor_part_release(&table->parts[i]);
    mem_free(table->parts);
    mem_free(table->items);
    mem_free(table->names);
    mem_free(table->path);
    mem_free(table);
}

const char *tensor_table_path(const struct tensor_table *table)
{
    return table->path;
}

size_t tensor_table_count(const struct tensor_table *table)
{
    return table->count;
}

const struct tensor *tensor_table_at(const struct tensor_table *table, size_t index)
{
    return &table->items[index];
}

size_t tensor_table_file_count(const struct tensor_table *table)
{
    return table->part_count;
}

const char *tensor_table_file(const struct tensor_table *table, size_t index)
{
    return table->parts[index].path;
}

const struct tensor *tensor_table_find(const struct tensor_table *table, const char *name)
{
    struct tensor key = {.name = name};
    return table->count ? bsearch(&key, table->items, table->count, sizeof key, by_name) : NULL;
}

int tensor_table_get(const struct tensor_table *table, const char *name, const struct tensor **out)
{
    const struct tensor *tensor = tensor_table_find(table, name);
    if (!tensor)
        return err_set(ERR_MISSING, "%s: there is no tensor '%.200s'", table->path, name);
    *out = tensor;
    return 0;
}

const char *tensor_table_metadata(const struct tensor_table *table, const char *key)
{
    for (size_t i = 0; i < table->part_count; i++) {
        const json_t *value = json_object_get(table->parts[i].metadata, key);
        if (value)
            return json_string_value(value);
    }
    return NULL;
}

int tensor_table_read(const struct tensor_table *table, const char *name, size_t rows,
                      size_t columns, float *out)
{
    const struct tensor *tensor = NULL;
    int rc;
    TRY(tensor_table_get(table, name, &tensor));
    TRY(tensor_check_shape(tensor, rows, columns));
    TRY(tensor_to_float(tensor, out));
    long bad = first_not_finite(out, tensor->count);
    if (bad >= 0)
        rc = err_set(ERR_NUMERIC, "%s: tensor '%s': element %ld is %s", tensor->file, name, bad,
                     isnan(out[bad]) ? "not a number (NaN)" : "infinite");
out:
    return rc;
}
