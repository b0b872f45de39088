#include "model/tensor_pages.h"

#include "model/tensor_table_internal.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Whether the bytes lie in the map of one of the table's files: others must never be dropped. */
static const struct file_map *map_of(const struct tensor_table *table, const struct tensor *tensor)
{
    const uint8_t *data = tensor->data;
    for (size_t i = 0; i < table->part_count; i++) {
        const struct file_map *map = &table->parts[i].map;
        if (map->data && data >= map->data && data < map->data + map->size &&
            tensor->bytes <= map->size - (size_t)(data - map->data))
            return map;
    }
    return NULL;
}

static void advise(const struct tensor_table *table, const char *prefix, int advice)
{
    size_t length = strlen(prefix), page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < table->count; i++) {
        const struct tensor *tensor = &table->items[i];
        if (strncmp(tensor->name, prefix, length) != 0 || !map_of(table, tensor))
            continue;
        size_t within = (uintptr_t)tensor->data % page; /* maps begin with a page */
        madvise((void *)(uintptr_t)((uintptr_t)tensor->data - within), tensor->bytes + within,
                advice);
    }
}

void tensor_pages_fetch(const struct tensor_table *table, const char *prefix)
{
    advise(table, prefix, MADV_WILLNEED);
}

void tensor_pages_drop(const struct tensor_table *table, const char *prefix)
{
    advise(table, prefix, MADV_DONTNEED);
}
