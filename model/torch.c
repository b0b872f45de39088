#include "model/torch.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/pickle.h"
#include "model/zip.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool torch_is(const char *path)
{
    return tensor_file_begins(path, "PK\003\004", 4);
}

/* What torch.save wrote before version 1.6: pickles, one behind the other, of which the first is
 * this number; or a tar file. */
static int refuse_old(const struct tensor_part *part)
{
    static const uint8_t magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20};
    const struct file_map *map = &part->map;
    bool old = map->size >= sizeof magic && memcmp(map->data, magic, sizeof magic) == 0;
    bool tar = map->size >= 262 && memcmp(map->data + 257, "ustar", 5) == 0;
    if (map->size >= 4 && memcmp(map->data, "PK\003\004", 4) == 0)
        return 0;
    if (old || tar)
        return err_set(
            ERR_FORMAT,
            "%s: in the format of torch.save before PyTorch 1.6, which is not read here; "
            "convert it with: python -c \"import torch; f='%s'; "
            "torch.save(torch.load(f, map_location='cpu', weights_only=True), f)\"",
            part->path, part->path);
    return err_set(ERR_FORMAT, "%s: no file of torch.save: it does not begin as a zip file does",
                   part->path);
}

/* *prefix = the folder within the zip file that everything lies in: the one of data.pkl. */
static int find_pickle(const struct tensor_part *part, const struct zip *zip, const char **prefix,
                       int *prefix_size, const struct zip_entry **pickle)
{
    static const char ending[] = "/data.pkl";
    *pickle = NULL;
    for (size_t i = 0; i < zip->count; i++) {
        const char *name = zip->entries[i].name, *slash = strchr(name, '/');
        if (!slash || strcmp(slash, ending) != 0)
            continue;
        if (*pickle)
            return err_set(ERR_FORMAT, "%s: entries '%s' and '%s': which one is the model's?",
                           part->path, (*pickle)->name, name);
        *pickle = &zip->entries[i];
        *prefix = name;
        *prefix_size = (int)(slash - name);
    }
    if (!*pickle)
        return err_set(ERR_FORMAT, "%s: a zip file, but none of torch.save: no entry ends with %s",
                       part->path, ending);
    return 0;
}

/* Entry PREFIX/NAME, or NULL. */
static int find_entry(const struct zip *zip, const char *prefix, int prefix_size,
                      const char *folder, const char *name, const struct zip_entry **out)
{
    char *full = NULL;
    int rc = mem_printf(&full, "%.*s/%s%s", prefix_size, prefix, folder, name);
    *out = rc ? NULL : zip_find(zip, full);
    mem_free(full);
    return rc;
}

static int check_byte_order(const struct tensor_part *part, const struct zip *zip,
                            const char *prefix, int prefix_size)
{
    const struct zip_entry *order;
    int rc = find_entry(zip, prefix, prefix_size, "", "byteorder", &order);
    if (rc == 0 && order && (order->size != 6 || memcmp(order->data, "little", 6) != 0))
        rc = err_set(ERR_FORMAT, "%s: its numbers are in big-endian order, which is not read here",
                     part->path);
    return rc;
}

/* The tensor's shape and its bytes; *reach = one more than the last element of the storage that it
 * has. */
static int read_shape(const struct tensor_part *part, const struct pickle_tensor *from,
                      struct tensor *tensor, uint64_t *reach)
{
    bool bad = false;
    *reach = from->offset;
    tensor->rank = from->rank;
    tensor->count = 1;
    for (int i = 0; i < from->rank; i++) {
        uint64_t far;
        tensor->shape[i] = (size_t)from->shape[i];
        bad |= __builtin_mul_overflow(tensor->count, tensor->shape[i], &tensor->count);
        if (from->shape[i] == 0)
            continue;
        bad |= __builtin_mul_overflow(from->shape[i] - 1, from->stride[i], &far);
        bad |= __builtin_add_overflow(*reach, far, reach);
    }
    bad |= __builtin_add_overflow(*reach, 1, reach);
    bad |= __builtin_mul_overflow(tensor->count, dtype_size(from->dtype), &tensor->bytes);
    if (bad)
        return err_set(ERR_FORMAT, "%s: tensor '%s': the size of its shape overflows", part->path,
                       from->name);
    return 0;
}

/* Elements in another order than that of the shape are read through a view. */
static int set_view(struct tensor_part *part, const struct pickle_tensor *from,
                    struct tensor *tensor)
{
    struct tensor_view *view;
    uint64_t step = 1;
    bool ordered = true;
    for (int i = from->rank - 1; i >= 0; i--) {
        ordered = ordered && (from->shape[i] == 1 || from->stride[i] == step);
        step *= from->shape[i];
    }
    if (ordered || tensor->count == 0)
        return 0;
    int rc = arena_calloc(&part->memory, &view, 1, sizeof *view);
    if (rc)
        return rc;
    view->rank = from->rank;
    for (int i = 0; i < from->rank; i++) {
        view->shape[i] = (size_t)from->shape[i];
        view->stride[i] = (size_t)from->stride[i];
    }
    tensor->view = view;
    return 0;
}

static int add_tensor(struct tensor_part *part, const struct zip *zip, const char *prefix,
                      int prefix_size, const struct pickle_tensor *from)
{
    int rc;
    uint64_t reach = 0;
    const struct zip_entry *entry = NULL;
    const size_t size = dtype_size(from->dtype);
    struct tensor tensor = {.name = from->name, .dtype = from->dtype, .file = part->path};
    TRY(find_entry(zip, prefix, prefix_size, "data/", from->storage, &entry));
    if (!entry)
        return err_set(ERR_FORMAT, "%s: tensor '%s': its storage '%.80s' is not in the file",
                       part->path, from->name, from->storage);
    if (from->storage_count != entry->size / size || entry->size % size)
        return err_set(ERR_FORMAT,
                       "%s: tensor '%s': its storage '%s' has %zu bytes, where %" PRIu64
                       " elements of %s are said to be",
                       part->path, from->name, entry->name, entry->size, from->storage_count,
                       dtype_name(from->dtype));
    TRY(read_shape(part, from, &tensor, &reach));
    if (tensor.count && (reach > from->storage_count || tensor.count > from->storage_count))
        return err_set(ERR_FORMAT,
                       "%s: tensor '%s' reaches to element %" PRIu64 " of storage '%s', which has "
                       "%" PRIu64,
                       part->path, from->name, reach, entry->name, from->storage_count);
    tensor.data = tensor.count ? entry->data + from->offset * size : part->map.data;
    TRY(set_view(part, from, &tensor));
    part->items[part->count++] = tensor;
out:
    return rc;
}

int torch_part_open(struct tensor_part *part, const char *path)
{
    int rc, prefix_size = 0;
    const char *prefix = NULL;
    const struct zip_entry *pickle = NULL;
    struct zip zip;
    struct pickle_tensor *tensors = NULL;
    size_t count = 0;
    struct tensor_part fresh = {0};
    TRY(mem_strdup(&fresh.path, path));
    TRY(file_map_open(&fresh.map, path));
    TRY(refuse_old(&fresh));
    TRY(zip_read(&zip, fresh.map.data, fresh.map.size, path, &fresh.memory));
    TRY(find_pickle(&fresh, &zip, &prefix, &prefix_size, &pickle));
    TRY(check_byte_order(&fresh, &zip, prefix, prefix_size));
    TRY(pickle_read(pickle->data, pickle->size, path, &fresh.memory, &tensors, &count));
    TRY(mem_calloc(&fresh.items, count, sizeof *fresh.items));
    for (size_t i = 0; i < count; i++)
        TRY(add_tensor(&fresh, &zip, prefix, prefix_size, &tensors[i]));
    *part = fresh;
    fresh = (struct tensor_part){0};
out:
    tensor_part_release(&fresh);
    return rc;
}
