/* A spec from several files: `include` brings in defaults, `sets` name lists that others use. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/nearest.h"
#include "harness/spec_internal.h"

#include <stdio.h>
#include <string.h>

enum { MAX_DEPTH = 8 }; /* files that include files; a circle ends here too */

/* Other files stand in the record as comments, so that the text is still the spec's own YAML. */
static int record(struct strbuf *text, const char *path, const char *content)
{
    int rc;
    TRY(strbuf_printf(text, "# include: %s\n", path));
    while (*content) {
        size_t length = strcspn(content, "\n");
        TRY(strbuf_printf(text, "#     %.*s\n", (int)length, content));
        content += length + (content[length] == '\n');
    }
out:
    return rc;
}

/* *out = name beside the file that names it, or an absolute path as it is. */
static int beside(char **out, const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    if (name[0] == '/' || !slash)
        return mem_strdup(out, name);
    return mem_printf(out, "%.*s%s", (int)(slash - path + 1), path, name);
}

static int include(struct yaml *yaml, struct strbuf *text, int depth);

static int include_one(struct yaml *yaml, const struct yaml_node *node, struct strbuf *text,
                       int depth)
{
    int rc;
    char *path = NULL, *content = NULL;
    size_t size;
    struct yaml base = {0};
    if (node->kind != YAML_TEXT || yaml_is_null(node) || !node->text[0])
        return yaml_error(yaml, node, "include: the name of a YAML file is expected");
    TRY(beside(&path, yaml->path, node->text));
    if (!file_exists(path)) {
        rc = yaml_error(yaml, node, "include: %.300s: no such file", path);
        goto out;
    }
    if (depth == MAX_DEPTH) {
        rc = yaml_error(yaml, node, "include: files include each other more than %d deep",
                        MAX_DEPTH);
        goto out;
    }
    TRY(file_read(path, &content, &size));
    TRY(yaml_parse(&base, path, content, size));
    if (base.root.kind != YAML_MAP) {
        rc = yaml_error(&base, &base.root, "a mapping of a spec's keys is expected, not %s",
                        yaml_kind_name(base.root.kind));
        goto out;
    }
    TRY(record(text, node->text, content));
    TRY(include(&base, text, depth + 1));
    TRY(yaml_merge(yaml, &base));
out:
    yaml_release(&base);
    mem_free(content);
    mem_free(path);
    return rc;
}

/* The key is left in the tree; of two files that are included the first wins. */
static int include(struct yaml *yaml, struct strbuf *text, int depth)
{
    int rc = 0;
    struct yaml_node list = {0};
    const struct yaml_node *node = yaml_get(&yaml->root, "include");
    int budget = YAML_MAX_KEYS;
    if (!node)
        return 0;
    if (node->kind == YAML_MAP)
        return yaml_error(yaml, node, "include: a file or a list of files is expected");
    TRY(yaml_node_copy(&list, node, &budget)); /* the tree moves while it grows */
    if (list.kind == YAML_TEXT)
        TRY(include_one(yaml, &list, text, depth));
    for (int i = 0; i < list.count; i++)
        TRY(include_one(yaml, &list.items[i], text, depth));
out:
    yaml_node_release(&list);
    return rc;
}

/* ---- sets ---- */

static const struct yaml_node *find_set(const struct yaml *yaml, const struct yaml_node *use,
                                        int *rc)
{
    struct nearest nearest = {.word = use->text ? use->text : ""};
    const struct yaml_node *sets = yaml_get(&yaml->root, "sets");
    const struct yaml_node *set = use->kind == YAML_TEXT ? yaml_get(sets, use->text) : NULL;
    for (int i = 0; sets && i < sets->count; i++)
        nearest_offer(&nearest, sets->items[i].key ? sets->items[i].key : "");
    if (!set)
        *rc = nearest.best
                  ? yaml_error(yaml, use, "set: there is no '%.80s'; did you mean '%s'?",
                               nearest.word, nearest.best)
                  : yaml_error(yaml, use, "set: there is no '%.80s' in 'sets'", nearest.word);
    else if (set->kind != YAML_LIST)
        *rc = yaml_error(yaml, set, "sets: a set is a list of entries");
    else
        *rc = 0;
    return *rc ? NULL : set;
}

/* "- set: NAME" in the list becomes the entries of that set. */
static int expand(const struct yaml *yaml, struct yaml_node *list, int *budget)
{
    int rc = 0;
    struct yaml_node fresh = {0}, *item;
    for (int i = 0; i < list->count; i++) {
        struct yaml_node *entry = &list->items[i];
        const struct yaml_node *use = yaml_get(entry, "set");
        if (!use) {
            TRY(yaml_node_append(&fresh, &item));
            *item = *entry;
            *entry = (struct yaml_node){0};
            continue;
        }
        if (entry->count != 1) {
            rc = yaml_error(yaml, entry, "an entry with 'set' has no other keys");
            goto out;
        }
        const struct yaml_node *set = find_set(yaml, use, &rc);
        for (int k = 0; set && k < set->count; k++) {
            TRY(yaml_node_append(&fresh, &item));
            if (yaml_get(&set->items[k], "set"))
                rc = yaml_error(yaml, &set->items[k], "a set cannot use another set");
            else
                rc = yaml_node_copy(item, &set->items[k], budget);
            if (rc)
                goto out;
        }
        if (rc)
            goto out;
    }
    struct yaml_node *old = list->items;
    int old_count = list->count;
    list->items = fresh.items;
    list->count = fresh.count;
    fresh.items = old;
    fresh.count = old_count;
out:
    yaml_node_release(&fresh);
    return rc;
}

static bool uses_set(const struct yaml_node *list)
{
    for (int i = 0; list->kind == YAML_LIST && i < list->count; i++)
        if (yaml_get(&list->items[i], "set"))
            return true;
    return false;
}

static int expand_member(const struct yaml *yaml, struct yaml_node *map, const char *key,
                         int *budget)
{
    int rc = 0;
    for (int i = 0; map->kind == YAML_MAP && i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0 && uses_set(&map->items[i]))
            TRY(expand(yaml, &map->items[i], budget));
out:
    return rc;
}

int spec_read_files(struct yaml *yaml, const char *path, struct strbuf *text)
{
    int rc, budget = YAML_MAX_NODES;
    char *content = NULL;
    size_t size;
    struct yaml fresh = {0};
    TRY(file_read(path, &content, &size));
    TRY(yaml_parse(&fresh, path, content, size));
    TRY(strbuf_puts(text, content));
    if (size && content[size - 1] != '\n')
        TRY(strbuf_puts(text, "\n"));
    if (fresh.root.kind == YAML_MAP) { /* else the reader of the heading says why */
        TRY(include(&fresh, text, 0));
        TRY(expand_member(&fresh, &fresh.root, "methods", &budget));
        for (int i = 0; i < fresh.root.count; i++)
            if (strcmp(fresh.root.items[i].key, "evaluation") == 0) {
                TRY(expand_member(&fresh, &fresh.root.items[i], "perplexity", &budget));
                TRY(expand_member(&fresh, &fresh.root.items[i], "tasks", &budget));
            }
    }
    *yaml = fresh;
    fresh = (struct yaml){0};
out:
    yaml_release(&fresh);
    mem_free(content);
    return rc;
}
