/* Trees put together from several files: included defaults, and copies of named parts. */
#include "core/err.h"
#include "core/mem.h"
#include "core/yaml.h"

#include <string.h>

void yaml_node_release(struct yaml_node *node)
{
    for (int i = 0; i < node->count; i++)
        yaml_node_release(&node->items[i]);
    mem_free(node->items);
    mem_free(node->text);
    mem_free(node->key);
    mem_free(node->origin);
    *node = (struct yaml_node){0};
}

int yaml_node_append(struct yaml_node *node, struct yaml_node **item)
{
    int rc, count = node->count;
    /* Capacities are the powers of two, so they need no field. */
    if ((count & (count - 1)) == 0) {
        size_t capacity = count ? 2 * (size_t)count : 1;
        TRY(mem_resize(&node->items, (size_t)count, capacity, sizeof *node->items));
    }
    rc = 0;
    *item = &node->items[node->count++];
    **item = (struct yaml_node){0};
out:
    return rc;
}

void yaml_node_remove(struct yaml_node *node, int index)
{
    yaml_node_release(&node->items[index]);
    node->count--;
    memmove(&node->items[index], &node->items[index + 1],
            (size_t)(node->count - index) * sizeof *node->items);
}

static int copy(struct yaml_node *to, const struct yaml_node *from, int *budget)
{
    int rc = 0;
    *to = (struct yaml_node){.kind = from->kind,
                             .line = from->line,
                             .key_line = from->key_line,
                             .quoted = from->quoted,
                             .overridden = from->overridden};
    if (--*budget < 0)
        return err_set(ERR_FORMAT, "more than %d values in all", YAML_MAX_NODES);
    if (from->key)
        TRY(mem_strdup(&to->key, from->key));
    if (from->text)
        TRY(mem_strdup(&to->text, from->text));
    if (from->origin)
        TRY(mem_strdup(&to->origin, from->origin));
    for (int i = 0; i < from->count; i++) {
        struct yaml_node *item;
        TRY(yaml_node_append(to, &item));
        TRY(copy(item, &from->items[i], budget));
    }
out:
    return rc; /* what was built is released with the tree */
}

int yaml_node_copy(struct yaml_node *to, const struct yaml_node *from, int *budget)
{
    struct yaml_node fresh = {0};
    int rc = copy(&fresh, from, budget);
    if (rc)
        yaml_node_release(&fresh);
    else
        *to = fresh;
    return rc;
}

/* Every node says which file it is from: messages name that, not the including file. */
static int mark(struct yaml_node *node, const char *path)
{
    int rc = 0;
    if (!node->origin)
        TRY(mem_printf(&node->origin, "%s:%d", path, node->key ? node->key_line : node->line));
    for (int i = 0; i < node->count; i++)
        TRY(mark(&node->items[i], path));
out:
    return rc;
}

static struct yaml_node *member(struct yaml_node *map, const char *key)
{
    for (int i = 0; i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return &map->items[i];
    return NULL;
}

/* Moves what `into` lacks out of `base`. */
static int merge(struct yaml_node *into, struct yaml_node *base)
{
    int rc = 0;
    for (int i = 0; i < base->count; i++) {
        struct yaml_node *from = &base->items[i], *to = member(into, from->key);
        if (to) {
            if (to->kind == YAML_MAP && from->kind == YAML_MAP)
                TRY(merge(to, from));
            continue;
        }
        TRY(yaml_node_append(into, &to));
        *to = *from;
        *from = (struct yaml_node){.kind = YAML_TEXT};
        TRY(mem_strdup(&from->key, to->key)); /* a mapping's members have keys, emptied ones too */
    }
out:
    return rc;
}

int yaml_merge(struct yaml *yaml, struct yaml *base)
{
    int rc;
    TRY(mark(&base->root, base->path));
    TRY(merge(&yaml->root, &base->root));
out:
    return rc;
}
