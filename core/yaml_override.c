/* Values that come from the command line into a tree that was read from a file. */
#include "core/err.h"
#include "core/mem.h"
#include "core/yaml.h"

#include <stdlib.h>
#include <string.h>

static int mark_origin(struct yaml_node *node, const char *origin)
{
    int rc = mem_strdup(&node->origin, origin);
    node->overridden = 1;
    for (int i = 0; rc == 0 && i < node->count; i++)
        rc = mark_origin(&node->items[i], origin);
    return rc;
}

/* Replaces the value of *node (keeping its key) by value, read as YAML. */
static int set_value(struct yaml *yaml, struct yaml_node *node, const char *value,
                     const char *origin)
{
    int rc;
    struct yaml_node kept = *node;
    struct yaml fresh = {0};
    if (value[0] == '\0')
        value = "''"; /* an empty value is an empty text, not an empty document */
    TRY(yaml_parse(&fresh, origin, value, strlen(value)));
    TRY(mark_origin(&fresh.root, origin));
    *node = fresh.root;
    node->key = kept.key;
    node->key_line = kept.key_line;
    fresh.root = kept;
    fresh.root.key = NULL;
out:
    yaml_release(&fresh);
    return rc;
}

static int add_key(struct yaml_node *map, const char *key, size_t length, const char *origin,
                   struct yaml_node **out)
{
    int rc;
    struct yaml_node fresh = {.kind = YAML_MAP, .overridden = 1}, *items = NULL;
    TRY(mem_printf(&fresh.key, "%.*s", (int)length, key));
    TRY(mem_strdup(&fresh.origin, origin));
    /* A capacity of the next power of two, as the builder keeps it. */
    size_t capacity = 1;
    while (capacity < (size_t)map->count + 1)
        capacity *= 2;
    TRY(mem_alloc(&items, capacity, sizeof *items));
    if (map->count)
        memcpy(items, map->items, (size_t)map->count * sizeof *items);
    mem_free(map->items);
    map->items = items;
    *out = &map->items[map->count++];
    **out = fresh;
    fresh = (struct yaml_node){0};
out:
    mem_free(fresh.key);
    mem_free(fresh.origin);
    return rc;
}

static struct yaml_node *find_key(struct yaml_node *map, const char *key, size_t length)
{
    for (int i = 0; i < map->count; i++)
        if (strncmp(map->items[i].key, key, length) == 0 && map->items[i].key[length] == '\0')
            return &map->items[i];
    return NULL;
}

int yaml_override(struct yaml *yaml, struct yaml_node *start, const char *key, const char *value,
                  const char *origin)
{
    size_t length = strcspn(key, ".");
    int rc = 0, last = key[length] == '\0';
    const char *rest = last ? NULL : key + length + 1;
    struct yaml_node *next = NULL;
    if (length == 0 || length > 200)
        return err_set(ERR_USAGE, "%s: a name is missing, or too long, in the key", origin);
    if (start->kind == YAML_TEXT)
        return err_set(ERR_USAGE, "%s: '%.*s' is asked of a plain value, which has no parts",
                       origin, (int)length, key);
    if (start->kind == YAML_LIST) {
        char *end;
        long index = strtol(key, &end, 10);
        if (end == key + length) {
            if (index < 0 || index >= start->count)
                return err_set(ERR_USAGE, "%s: the list has %d elements, from 0; there is no %ld",
                               origin, start->count, index);
            next = &start->items[index];
            return last ? set_value(yaml, next, value, origin)
                        : yaml_override(yaml, next, rest, value, origin);
        }
        for (int i = 0; rc == 0 && i < start->count; i++)
            rc = yaml_override(yaml, &start->items[i], key, value, origin);
        return rc;
    }
    next = find_key(start, key, length);
    if (!next)
        TRY(add_key(start, key, length, origin, &next));
    TRY(last ? set_value(yaml, next, value, origin)
             : yaml_override(yaml, next, rest, value, origin));
out:
    return rc;
}
