#include "model/prefix_set.h"

#include "core/mem.h"
#include "model/bpe_table.h"

#include <stdlib.h>
#include <string.h>

int prefix_set_add(struct prefix_set *set, const char *text, size_t size, int32_t value)
{
    int rc = bpe_grow(&set->items, &set->capacity, set->count + 1, sizeof *set->items);
    if (rc == 0)
        set->items[set->count++] = (struct prefix_item){text, size, value};
    return rc;
}

static int by_bytes(const void *left, const void *right)
{
    const struct prefix_item *a = left, *b = right;
    size_t common = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->text, b->text, common);
    if (order)
        return order;
    if (a->size != b->size)
        return a->size < b->size ? -1 : 1;
    return a->value < b->value ? -1 : a->value > b->value;
}

void prefix_set_prepare(struct prefix_set *set)
{
    size_t at = 0;
    if (set->count)
        qsort(set->items, set->count, sizeof *set->items, by_bytes);
    for (int byte = 0; byte <= 256; byte++) {
        while (at < set->count && (uint8_t)set->items[at].text[0] < byte)
            at++;
        set->first[byte] = at;
    }
}

/* The first of items[low..high), all longer than `depth` and equal before it, whose byte there is
 * at least `byte`. */
static size_t lower(const struct prefix_item *items, size_t low, size_t high, size_t depth,
                    int byte)
{
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uint8_t)items[middle].text[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct prefix_item *prefix_set_find(const struct prefix_set *set, const char *text,
                                          size_t size)
{
    const struct prefix_item *items = set->items, *found = NULL;
    size_t low = set->first[(uint8_t)text[0]], high = set->first[(uint8_t)text[0] + 1];
    for (size_t depth = 1; low < high; depth++) {
        if (items[low].size == depth) { /* the shortest stands first; equal ones behind each other
                                         */
            found = &items[low];
            while (low < high && items[low].size == depth)
                low++;
        }
        if (depth == size)
            break;
        low = lower(items, low, high, depth, (uint8_t)text[depth]);
        high = lower(items, low, high, depth, (uint8_t)text[depth] + 1);
    }
    return found;
}

void prefix_set_release(struct prefix_set *set)
{
    mem_free(set->items);
    *set = (struct prefix_set){0};
}
