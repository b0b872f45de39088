#include "core/err.h"
#include "core/mem.h"
#include "model/tensor_table.h"
#include "model/tensor_table_internal.h"

#include <string.h>

int tensor_table_prefix(struct tensor_table *table, const char *prefix, const char *except)
{
    int rc;
    const size_t longer = strlen(prefix);
    size_t total = 0;
    struct tensor *items = NULL;
    char *names = NULL;
    for (size_t i = 0; i < table->count; i++)
        total += longer + strlen(table->items[i].name) + 1;
    TRY(mem_alloc(&items, table->count, sizeof *items));
    TRY(mem_alloc(&names, total, 1));
    char *at = names;
    for (size_t i = 0; i < table->count; i++) {
        const char *name = table->items[i].name;
        size_t size = strlen(name) + 1;
        items[i] = table->items[i];
        if (strcmp(name, except) == 0)
            continue;
        items[i].name = at;
        memcpy(at, prefix, longer);
        memcpy(at + longer, name, size);
        at += longer + size;
    }
    mem_free(table->items);
    mem_free(table->names);
    table->items = items;
    table->names = names;
    items = NULL;
    names = NULL;
    tensor_table_sort(table);
out:
    mem_free(items);
    mem_free(names);
    return rc;
}
