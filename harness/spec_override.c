/* Values of a spec from the command line: --set KEY=VALUE. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/spec_internal.h"

#include <ctype.h>
#include <string.h>

static struct yaml_node *root_member(struct yaml *yaml, const char *key)
{
    for (int i = 0; i < yaml->root.count; i++)
        if (strcmp(yaml->root.items[i].key, key) == 0)
            return &yaml->root.items[i];
    return NULL;
}

/* 1 when every method that the entry names has the option. */
static bool entry_takes(const struct yaml_node *entry, const char *key)
{
    const struct yaml_node *name = yaml_get(entry, "method");
    const struct yaml_node *names = name && name->kind == YAML_LIST ? name->items : name;
    int count = !name ? 0 : name->kind == YAML_LIST ? name->count : 1;
    for (int i = 0; i < count; i++) {
        const struct quant_method *method = names[i].kind == YAML_TEXT ? method_find(names[i].text)
                                                                       : NULL;
        if (!method ||
            !(options_find(method->options, key) || options_find(harness_option_table, key)))
            return false;
    }
    return count > 0;
}

/* What the command line sets is no longer part of a zip; its other lists still run together. */
static void leave_zips(struct yaml_node *node, const char *key)
{
    for (int i = node->count - 1; i >= 0; i--) {
        struct yaml_node *item = &node->items[i];
        if (item->kind == YAML_MAP && node->kind == YAML_LIST)
            leave_zips(item, key);
        else if (node->kind == YAML_MAP && strcmp(item->key, key) == 0)
            yaml_node_remove(node, i);
        if (node->kind == YAML_LIST && item->kind == YAML_MAP && item->count == 0)
            yaml_node_remove(node, i);
    }
}

static void leave_zip_of(struct yaml_node *entry, const char *key)
{
    for (int i = entry->count - 1; entry->kind == YAML_MAP && i >= 0; i--) {
        if (strcmp(entry->items[i].key, "zip") != 0)
            continue;
        leave_zips(&entry->items[i], key);
        if (entry->items[i].count == 0)
            yaml_node_remove(entry, i);
    }
}

/* "methods.bits=2" goes to those methods that have the option; other keys go where they say. */
static int override_methods(struct yaml *yaml, const char *key, const char *value,
                            const char *origin)
{
    int rc = 0, taken = 0;
    struct yaml_node *list = root_member(yaml, "methods");
    if (!list || list->kind != YAML_LIST)
        return err_set(ERR_USAGE, "%s: the spec has no list of methods", origin);
    for (int i = 0; i < list->count; i++) {
        if (!entry_takes(&list->items[i], key))
            continue;
        leave_zip_of(&list->items[i], key);
        TRY(yaml_override(yaml, &list->items[i], key, value, origin));
        taken++;
    }
    if (!taken)
        rc = err_set(ERR_USAGE, "%s: no method of the spec has the option '%.80s'", origin, key);
out:
    return rc;
}

int spec_override(struct yaml *yaml, const char *text, struct touched *touched)
{
    int rc;
    char *key = NULL, *origin = NULL;
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return err_set(ERR_USAGE,
                       "--set %.200s: KEY=VALUE is expected, such as calibration.samples=64", text);
    if (yaml->root.kind != YAML_MAP)
        return 0; /* read_heading says why */
    TRY(mem_printf(&key, "%.*s", (int)(equals - text), text));
    TRY(mem_printf(&origin, "--set %.200s", text));
    const char *rest = key + 8;
    bool of_methods = strncmp(key, "methods.", 8) == 0,
         calibration = strncmp(key, "calibration.", 12) == 0;
    touched->methods |= of_methods;
    touched->grid |= of_methods || calibration;
    struct yaml_node *drawn = calibration ? root_member(yaml, "calibration") : NULL;
    if (drawn)
        leave_zip_of(drawn, key + 12);
    if (of_methods && !strchr(rest, '.') && !isdigit((unsigned char)*rest))
        TRY(override_methods(yaml, rest, equals + 1, origin));
    else
        TRY(yaml_override(yaml, &yaml->root, key, equals + 1, origin));
out:
    mem_free(key);
    mem_free(origin);
    return rc;
}
