#include "model/safetensors.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 14 };

static size_t source_count(const struct tensor_source *source)
{
    size_t count = 1;
    for (int i = 0; i < source->rank; i++)
        count *= source->shape[i];
    return count;
}

static int by_width_then_name(const void *left, const void *right)
{
    const struct tensor_source *const *a = left, *const *b = right;
    size_t size_a = dtype_size((*a)->dtype), size_b = dtype_size((*b)->dtype);
    if (size_a != size_b)
        return size_a > size_b ? -1 : 1;
    return strcmp((*a)->name, (*b)->name);
}

static int check_sources(const char *path, const struct tensor_source *const *order, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct tensor_source *source = order[i];
        if (source->rank < 0 || source->rank > TENSOR_MAX_RANK ||
            strcmp(source->name, "__metadata__") == 0)
            return err_set(ERR_INTERNAL, "%s: tensor '%s' cannot be written: rank %d", path,
                           source->name, source->rank);
        if (source->from_float && source->dtype != DTYPE_F32 && source->dtype != DTYPE_F16 &&
            source->dtype != DTYPE_BF16 && source->dtype != DTYPE_F64)
            return err_set(ERR_INTERNAL,
                           "%s: tensor '%s' cannot be written: float32 does not convert to %s",
                           path, source->name, dtype_name(source->dtype));
    }
    return 0;
}

static int pack_entry(json_t *header, const struct tensor_source *source, size_t begin, size_t end)
{
    json_t *shape = json_array();
    int bad = 0;
    for (int i = 0; i < source->rank; i++)
        bad |= json_array_append_new(shape, json_integer((json_int_t)source->shape[i]));
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(source->dtype), "shape",
                              shape, "data_offsets", (json_int_t)begin, (json_int_t)end);
    return json_object_set_new(header, source->name, entry) == 0 && !bad
               ? 0
               : err_set(ERR_INTERNAL,
                         "tensor '%s' cannot be written: its name is not UTF-8, or memory is short",
                         source->name);
}

/* *out = the header's JSON text, padded; the caller's. */
static int make_header(const char *path, const struct tensor_source *const *order, size_t count,
                       const json_t *metadata, struct strbuf *out)
{
    int rc = 0;
    size_t at = 0;
    char *text = NULL;
    json_t *header = json_object();
    if (metadata && json_object_set_new(header, "__metadata__", json_deep_copy(metadata)) != 0) {
        rc = err_set(ERR_MEMORY, "%s: out of memory: the metadata", path);
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        size_t bytes = source_count(order[i]) * dtype_size(order[i]->dtype);
        if (json_object_get(header, order[i]->name)) {
            rc = err_set(ERR_INTERNAL, "%s: tensor '%s' is written twice", path, order[i]->name);
            goto out;
        }
        TRY(pack_entry(header, order[i], at, at + bytes));
        at += bytes;
    }
    text = json_dumps(header, JSON_COMPACT);
    if (!text) {
        rc = err_set(ERR_MEMORY, "%s: out of memory for the header", path);
        goto out;
    }
    TRY(strbuf_puts(out, text));
    while (out->length % 8)
        TRY(strbuf_add(out, " ", 1));
out:
    free(text); /* jansson's own allocation */
    json_decref(header);
    return rc;
}

/* Copies what lies in another file. */
static int write_from_file(struct file_writer *writer, const struct tensor_source *source,
                           size_t bytes)
{
    char buffer[1 << 16];
    int rc = 0;
    for (size_t done = 0; rc == 0 && done < bytes;) {
        size_t part = bytes - done < sizeof buffer ? bytes - done : sizeof buffer;
        rc = file_read_at(source->file, source->name, source->at + done, buffer, part);
        if (rc == 0)
            rc = file_write(writer, buffer, part);
        done += part;
    }
    return rc;
}

static int write_data(struct file_writer *writer, const struct tensor_source *source)
{
    double buffer[CHUNK]; /* the widest of the types that floats convert to */
    float values[CHUNK];
    size_t count = source_count(source), size = dtype_size(source->dtype);
    if (source->file)
        return write_from_file(writer, source, count * size);
    if (!source->data && !source->fill)
        return file_write_hole(writer, count * size);
    if (!source->fill && (!source->from_float || source->dtype == DTYPE_F32))
        return file_write(writer, source->data, count * size);
    for (size_t at = 0; at < count; at += CHUNK) {
        size_t part = count - at < CHUNK ? count - at : CHUNK;
        const float *from = values;
        if (source->fill)
            source->fill(source->context, source, at, part, values);
        else
            from = (const float *)source->data + at;
        int rc = dtype_from_float(source->dtype, from, part, buffer);
        if (rc == 0)
            rc = file_write(writer, buffer, part * size);
        if (rc)
            return rc;
    }
    return 0;
}

int safetensors_write(const char *path, const struct tensor_source *sources, size_t count,
                      const json_t *metadata)
{
    int rc;
    const struct tensor_source **order = NULL;
    struct strbuf header = {0};
    struct file_writer writer = {0};
    unsigned char length[8];
    TRY(mem_calloc(&order, count, sizeof *order));
    for (size_t i = 0; i < count; i++)
        order[i] = &sources[i];
    TRY(check_sources(path, order, count));
    if (count)
        qsort(order, count, sizeof *order, by_width_then_name);
    TRY(make_header(path, order, count, metadata, &header));
    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)((uint64_t)header.length >> 8 * i & 0xff);
    TRY(file_write_begin(&writer, path));
    TRY(file_write(&writer, length, sizeof length));
    TRY(file_write(&writer, header.data, header.length));
    for (size_t i = 0; i < count; i++)
        TRY(write_data(&writer, order[i]));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    strbuf_release(&header);
    mem_free(order);
    return rc;
}
