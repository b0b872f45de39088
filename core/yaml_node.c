/* Asking the tree: members, kinds, and where a value comes from. */
#include "core/err.h"
#include "core/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (map && map->kind == YAML_MAP)
        for (int i = 0; i < map->count; i++)
            if (strcmp(map->items[i].key, key) == 0)
                return &map->items[i];
    return NULL;
}

int yaml_is_null(const struct yaml_node *node)
{
    return node->kind == YAML_TEXT && !node->quoted &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}

const char *yaml_kind_name(enum yaml_kind kind)
{
    static const char *const names[] = {"a text", "a list", "a mapping"};
    return names[kind];
}

void yaml_where(const struct yaml *yaml, const struct yaml_node *node, char *out, size_t size)
{
    if (node->origin)
        snprintf(out, size, "%s", node->origin);
    else
        snprintf(out, size, "%s:%d", yaml->path, node->key ? node->key_line : node->line);
}

int yaml_error(const struct yaml *yaml, const struct yaml_node *node, const char *format, ...)
{
    char where[300], line[900];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    yaml_where(yaml, node, where, sizeof where);
    return err_set(ERR_USAGE, "%s: %s", where, line);
}
