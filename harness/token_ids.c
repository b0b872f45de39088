#include "harness/token_ids.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "model/safetensors.h"
#include "model/tensor_table.h"

#include <string.h>

static const char scheme[] = "ids:", extension[] = ".safetensors";

bool token_ids_named(const char *names)
{
    for (;;) {
        if (strncmp(names, scheme, strlen(scheme)) != 0)
            return false;
        names += strcspn(names, "+");
        if (*names++ == '\0')
            return true;
    }
}

static int read_raw(const char *path, int32_t **ids, size_t *count)
{
    struct file_map map = {0};
    int32_t *values = NULL;
    int rc;
    TRY(file_map_open(&map, path));
    if (map.size == 0 || map.size % 4)
        TRY(err_set(ERR_FORMAT,
                    "%s: %zu bytes are no token ids: little-endian int32, four bytes each, are "
                    "expected",
                    path, map.size));
    TRY(mem_alloc(&values, map.size / 4, sizeof *values));
    for (size_t i = 0; i < map.size / 4; i++) {
        const uint8_t *b = map.data + 4 * i;
        values[i] = (int32_t)((uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 |
                              (uint32_t)b[3] << 24);
    }
    *ids = values;
    *count = map.size / 4;
out:
    file_unmap(&map);
    return rc;
}

/* The tensor of that name; of "" the only one. */
static int find_tensor(const struct tensor_table *table, const char *name,
                       const struct tensor **tensor)
{
    if (*name)
        return tensor_table_get(table, name, tensor);
    if (tensor_table_count(table) != 1)
        return err_set(ERR_USAGE, "%s: it holds %zu tensors: say which, as ids:%s:NAME",
                       tensor_table_path(table), tensor_table_count(table),
                       tensor_table_path(table));
    *tensor = tensor_table_at(table, 0);
    return 0;
}

static int read_tensor(const char *path, const char *name, int32_t **ids, size_t *count,
                       size_t *row)
{
    struct tensor_table *table = NULL;
    const struct tensor *tensor;
    int32_t *values = NULL;
    int rc;
    TRY(safetensors_open_file(&table, path));
    TRY(find_tensor(table, name, &tensor));
    if (tensor->rank < 1 || tensor->rank > 2 || tensor->count == 0)
        TRY(err_set(ERR_FORMAT,
                    "%s: tensor '%s' has %d dimensions and %zu elements: a row of token ids, or a "
                    "matrix of segments, is expected",
                    path, tensor->name, tensor->rank, tensor->count));
    TRY(mem_alloc(&values, tensor->count, sizeof *values));
    TRY(tensor_to_int32(tensor, values));
    *ids = values;
    values = NULL;
    *count = tensor->count;
    *row = tensor->rank == 2 && tensor->shape[0] > 1 ? tensor->shape[1] : 0;
out:
    mem_free(values);
    tensor_table_free(table);
    return rc;
}

int token_ids_read(const char *name, int vocabulary, int32_t **ids, size_t *count, size_t *row)
{
    const char *path = name + strlen(scheme), *tensor = strstr(path, extension);
    char *file = NULL;
    int32_t *values = NULL;
    size_t found = 0, length = 0;
    int rc;
    if (!*path)
        return err_set(ERR_USAGE, "'%s': a path must follow the colon", name);
    if (tensor && (tensor[strlen(extension)] == ':' || tensor[strlen(extension)] == '\0')) {
        tensor += strlen(extension);
        TRY(mem_printf(&file, "%.*s", (int)(tensor - path), path));
        TRY(read_tensor(file, *tensor ? tensor + 1 : tensor, &values, &found, &length));
    } else {
        TRY(read_raw(path, &values, &found));
    }
    for (size_t i = 0; i < found; i++)
        if (values[i] < 0 || values[i] >= vocabulary)
            TRY(err_set(ERR_FORMAT,
                        "%s: token %zu is %d, outside the model's vocabulary of %d: these ids are "
                        "another tokenizer's",
                        name, i, (int)values[i], vocabulary));
    *ids = values;
    values = NULL;
    *count = found;
    *row = length;
out:
    mem_free(file);
    mem_free(values);
    return rc;
}
