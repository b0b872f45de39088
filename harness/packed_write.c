#include "harness/packed_write.h"

#include "core/arena.h"
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/layer_apply.h"
#include "harness/packed_companions.h"
#include "harness/packed_model.h"
#include "model/safetensors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool can_pack(const struct quant_method *method)
{
    if (!(method->caps & QM_PACKS))
        err_set(ERR_USAGE, "method %s has no packed form", method->name);
    return method->caps & QM_PACKS;
}

int packed_write_begin(struct packed_writer *writer, const char *folder, const struct model *model,
                       const struct point *point)
{
    const struct packed_model *packed = packed_model_of(model);
    if (!point->method)
        return err_set(ERR_USAGE, "a packed model needs a method: full precision is the model as "
                                  "it is");
    if (!can_pack(point->method))
        return ERR_USAGE;
    for (int i = 0; i < point->rule_count; i++)
        if (point->rules[i].method && !can_pack(point->rules[i].method))
            return ERR_USAGE;
    if (packed)
        return err_set(ERR_USAGE,
                       "%s: the model is packed already, by %s: quantize the model that it was "
                       "made from",
                       model->folder, packed->op.method->name);
    *writer = (struct packed_writer){.model = model, .point = point};
    return folder_write_begin(&writer->folder, folder);
}

void packed_write_abort(struct packed_writer *writer)
{
    for (int i = 0; i < writer->count; i++) {
        packed_release(&writer->entries[i].packed);
        mem_free(writer->entries[i].name);
    }
    mem_free(writer->entries);
    if (writer->spool)
        fclose(writer->spool);
    folder_write_abort(&writer->folder);
    *writer = (struct packed_writer){0};
}

/* ---- collecting ---- */

static int check_round(const struct layer_choice *choice, const char *name,
                       const struct layer_problem *problem, const float *quantized,
                       const struct packed *packed)
{
    int rc;
    float *back = NULL;
    size_t count = (size_t)problem->rows * (size_t)problem->columns;
    TRY(mem_alloc(&back, count, sizeof *back));
    TRY(layer_apply_unpack(choice->method, choice->options, choice->after != NULL, packed,
                           problem->rows, problem->columns, back));
    for (size_t i = 0; i < count; i++)
        if (memcmp(&back[i], &quantized[i], sizeof *back) != 0) {
            rc = err_set(ERR_INTERNAL,
                         "%s: method %s packs the weight in row %zu, column %zu as %.9g, but "
                         "quantized it to %.9g",
                         name, choice->method->name, i / (size_t)problem->columns,
                         i % (size_t)problem->columns, (double)back[i], (double)quantized[i]);
            break;
        }
out:
    mem_free(back);
    return rc;
}

static int open_spool(struct packed_writer *writer)
{
    int rc;
    char *path = NULL;
    TRY(file_join(&path, writer->folder.temporary, "spool"));
    writer->spool = fopen(path, "w+bex");
    if (!writer->spool)
        rc = err_set(ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    else
        unlink(path);
out:
    mem_free(path);
    return rc;
}

/* The safetensors file begins with the places of all arrays, so these wait in a file: a large
 * model's would not fit into memory beside its blocks. */
static int spool_arrays(struct packed_writer *writer, struct packed_entry *entry)
{
    int rc = writer->spool ? 0 : open_spool(writer);
    for (int i = 0; rc == 0 && i < entry->packed.count; i++) {
        struct packed_array *array = &entry->packed.arrays[i];
        size_t bytes = array->shape[0] * array->shape[1] * array_type_size(array->type);
        errno = 0;
        if (fwrite(array->data, 1, bytes, writer->spool) != bytes)
            rc = err_set(ERR_IO, "%s: cannot write: %s; nothing was changed", writer->folder.path,
                         strerror(errno));
        mem_free(array->data);
        array->data = NULL;
        entry->at[i] = writer->spooled;
        writer->spooled += bytes;
    }
    return rc;
}

int packed_write_take(void *context, const char *name, const struct layer_choice *choice,
                      const struct layer_problem *problem, const struct layer_result *result,
                      struct packed *packed)
{
    int rc;
    struct packed_writer *writer = context;
    size_t count = (size_t)problem->rows * (size_t)problem->columns;
    TRY(check_round(choice, name, problem, result->quantized, packed));
    if (writer->count == writer->capacity) {
        int capacity = writer->capacity ? 2 * writer->capacity : 64;
        TRY(mem_resize(&writer->entries, (size_t)writer->capacity, (size_t)capacity,
                       sizeof *writer->entries));
        writer->capacity = capacity;
    }
    struct packed_entry *entry = &writer->entries[writer->count];
    *entry = (struct packed_entry){
        .rows = problem->rows, .columns = problem->columns, .choice = *choice};
    TRY(mem_strdup(&entry->name, name));
    hash_bytes(result->quantized, count * sizeof *result->quantized, entry->digest);
    entry->packed = *packed;
    *packed = (struct packed){.count = 0};
    writer->count++;
    TRY(spool_arrays(writer, entry));
out:
    return rc;
}

/* ---- model.safetensors ---- */

struct sources {
    struct tensor_source *items;
    char **names; /* of the packed arrays, owned */
    size_t count, name_count;
    struct arena values; /* of tensors that lie in another order */
};

static void release_sources(struct sources *sources)
{
    for (size_t i = 0; i < sources->name_count; i++)
        mem_free(sources->names[i]);
    mem_free(sources->names);
    mem_free(sources->items);
    arena_release(&sources->values);
}

/* Whether the tensor is the plain form of a layer that was packed. */
static bool is_replaced(const struct packed_writer *writer, const char *tensor)
{
    for (int i = 0; i < writer->count; i++) {
        size_t length = strlen(writer->entries[i].name);
        if (strncmp(tensor, writer->entries[i].name, length) == 0 &&
            strcmp(tensor + length, ".weight") == 0)
            return true;
    }
    return false;
}

/* GGUF's types with blocks are unknown to safetensors: the tensor is one of bytes there, and the
 * metadata says what they are. */
static int add_blocks(struct tensor_source *source, json_t *metadata)
{
    char key[512];
    const size_t block = dtype_block(source->dtype);
    size_t *last = &source->shape[source->rank ? source->rank - 1 : 0];
    snprintf(key, sizeof key, SAFETENSORS_BLOCKS "%s", source->name);
    if (!source->rank || *last % block)
        return err_set(ERR_FORMAT, "tensor '%s': its rows are no whole blocks of %zu", source->name,
                       block);
    if (json_object_set_new(metadata, key, json_string(dtype_name(source->dtype))) != 0)
        return err_set(ERR_MEMORY, "out of memory: the metadata");
    *last = *last / block * dtype_size(source->dtype);
    source->dtype = DTYPE_U8;
    return 0;
}

/* What is not packed stays as it is stored, in the order of its shape. */
static int add_plain(const struct packed_writer *writer, struct sources *sources, json_t *metadata)
{
    int rc = 0;
    char *bytes;
    const struct tensor_table *tensors = writer->model->tensors;
    for (size_t i = 0; i < tensor_table_count(tensors); i++) {
        const struct tensor *tensor = tensor_table_at(tensors, i);
        if (is_replaced(writer, tensor->name))
            continue;
        struct tensor_source *source = &sources->items[sources->count++];
        *source = (struct tensor_source){.name = tensor->name,
                                         .dtype = tensor->dtype,
                                         .rank = tensor->rank,
                                         .data = tensor->data};
        memcpy(source->shape, tensor->shape, sizeof source->shape);
        if (tensor->view) {
            TRY(arena_alloc(&sources->values, &bytes, tensor->bytes, 1));
            TRY(tensor_to_bytes(tensor, bytes));
            source->data = bytes;
        }
        if (tensor->dtype >= DTYPE_FIRST_BLOCK)
            TRY(add_blocks(source, metadata));
    }
out:
    return rc;
}

static int add_arrays(const struct packed_writer *writer, const struct packed_entry *entry,
                      struct sources *sources)
{
    for (int i = 0; i < entry->packed.count; i++) {
        const struct packed_array *array = &entry->packed.arrays[i];
        char **name = &sources->names[sources->name_count];
        int rc = mem_printf(name, "%s" PACKED_INFIX "%s", entry->name, array->name);
        if (rc)
            return rc;
        sources->name_count++;
        sources->items[sources->count++] = (struct tensor_source){
            .name = *name,
            .dtype = packed_dtype(array->type),
            .rank = 2,
            .shape = {array->shape[0], array->shape[1]},
            .file = fileno(writer->spool),
            .at = entry->at[i]};
    }
    return 0;
}

static int write_tensors(const struct packed_writer *writer, const char *path)
{
    int rc;
    struct sources sources = {0};
    char format[16];
    json_t *metadata = NULL;
    size_t plain = tensor_table_count(writer->model->tensors), arrays = 0;
    for (int i = 0; i < writer->count; i++)
        arrays += (size_t)writer->entries[i].packed.count;
    TRY(mem_calloc(&sources.items, plain + arrays, sizeof *sources.items));
    TRY(mem_calloc(&sources.names, arrays, sizeof *sources.names));
    if (writer->spool && fflush(writer->spool) != 0) {
        rc = err_set(ERR_IO, "%s: cannot write: %s; nothing was changed", writer->folder.path,
                     strerror(errno));
        goto out;
    }
    snprintf(format, sizeof format, "%d", packed_write_format(writer));
    metadata = json_pack("{s:s}", "bitbench_format", format);
    TRY(add_plain(writer, &sources, metadata));
    for (int i = 0; i < writer->count; i++)
        TRY(add_arrays(writer, &writer->entries[i], &sources));
    TRY(safetensors_write(path, sources.items, sources.count, metadata));
out:
    json_decref(metadata);
    release_sources(&sources);
    return rc;
}

int packed_write_commit(struct packed_writer *writer, json_t *made, size_t *file_bytes)
{
    int rc;
    char *tensors = NULL, *config = NULL;
    struct file_map map = {0};
    TRY(file_join(&tensors, writer->folder.temporary, "model.safetensors"));
    TRY(file_join(&config, writer->folder.temporary, "config.json"));
    TRY(write_tensors(writer, tensors));
    TRY(packed_write_config(writer, made, config));
    TRY(packed_companions(writer->model->folder, writer->tokenizer, writer->folder.temporary));
    TRY(file_map_open(&map, tensors));
    *file_bytes = map.size;
    TRY(folder_write_commit(&writer->folder));
out:
    file_unmap(&map);
    mem_free(tensors);
    mem_free(config);
    return rc;
}
