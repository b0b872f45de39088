/* Checkpoints in several files: an index says which file holds which tensor. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "model/safetensors.h"
#include "model/tensor_table_internal.h"
#include "model/torch.h"

#include <stdlib.h>
#include <string.h>

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
static int check_index(const struct tensor_table *table, const char *index_path, const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        const struct tensor *tensor = tensor_table_find(table, key);
        const char *shard = json_string_value(value);
        const char *name = tensor ? strrchr(tensor->file, '/') : NULL;
        if (!tensor || strcmp(name ? name + 1 : tensor->file, shard) != 0)
            return err_set(ERR_MISSING,
                           "%s: tensor '%.200s' is not in %s, where the index places it",
                           index_path, key, shard);
    }
    for (size_t i = 0; i < table->count; i++) {
        if (!json_object_get(map, table->items[i].name))
            return err_set(ERR_FORMAT, "%s: tensor '%s' of %s is not in the index", index_path,
                           table->items[i].name, table->items[i].file);
    }
    return 0;
}

static int open_shards(struct tensor_table *table, const char *folder, const char *index_path,
                       const json_t *map, tensor_part_open *open)
{
    int rc;
    const char **names = NULL;
    char *path = NULL;
    size_t count = 0;
    TRY(list_shards(index_path, map, &names, &count));
    TRY(mem_calloc(&table->parts, count, sizeof *table->parts));
    for (size_t i = 0; i < count; i++) {
        mem_free(path);
        path = NULL;
        TRY(file_join(&path, folder, names[i]));
        TRY(open(&table->parts[i], path));
        table->part_count++;
    }
    TRY(tensor_table_gather(table));
    TRY(check_index(table, index_path, map));
out:
    mem_free(path);
    mem_free(names);
    return rc;
}

/* *out = a table of the shards that the weight map of an index file names, all in the index's
 * folder. */
static int tensor_table_open_index(struct tensor_table **out, const char *folder,
                                   const char *index_path, tensor_part_open *open)
{
    int rc;
    char *text = NULL;
    size_t size;
    json_t *index = NULL;
    json_error_t where;
    struct tensor_table *table = NULL;
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
    TRY(mem_calloc(&table, 1, sizeof *table));
    TRY(mem_strdup(&table->path, index_path));
    TRY(open_shards(table, folder, index_path, map, open));
    *out = table;
    table = NULL;
out:
    tensor_table_free(table);
    json_decref(index);
    mem_free(text);
    return rc;
}

/* The files that a folder's weights can be in, in the order in which they are looked for. */
static const struct {
    const char *name;
    bool index;
    tensor_part_open *open;
} places[] = {{"model.safetensors", false, safetensors_part_open},
              {"model.safetensors.index.json", true, safetensors_part_open},
              {"pytorch_model.bin", false, torch_part_open},
              {"pytorch_model.bin.index.json", true, torch_part_open}};

int tensor_table_open_folder(struct tensor_table **out, const char *folder)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *path = NULL;
        int rc = file_join(&path, folder, places[i].name);
        bool there = rc == 0 && file_exists(path);
        if (there && places[i].index)
            rc = tensor_table_open_index(out, folder, path, places[i].open);
        else if (there)
            rc = tensor_table_open_part(out, path, places[i].open);
        mem_free(path);
        if (rc || there)
            return rc;
    }
    return err_set(ERR_MISSING,
                   "%s: neither model.safetensors nor model.safetensors.index.json is there, nor "
                   "pytorch_model.bin or its index",
                   folder);
}
