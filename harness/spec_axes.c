/* Keys of a spec whose value may be a list: the dimensions of a grid. */
#include "core/err.h"
#include "core/nearest.h"
#include "harness/spec_internal.h"
#include "harness/token_ids.h"

#include <stdio.h>
#include <string.h>

const struct yaml_node *axis_value(const struct axis *axis, size_t i)
{
    return axis->node->kind == YAML_LIST ? &axis->node->items[i] : axis->node;
}

/* The row whose field an alias fills. */
static const char *field_name(const struct option *row)
{
    return row->alias_of ? row->alias_of : row->name;
}

static int check_value(const struct axis *axis, const struct yaml *yaml,
                       const struct yaml_node *value)
{
    char where[300];
    const char *key = axis->row->name;
    if (value->kind != YAML_TEXT)
        return yaml_error(yaml, value, "%s: %s stands where a single value belongs", key,
                          yaml_kind_name(value->kind));
    if (yaml_is_null(value) && axis->row->type != OPTION_TEXT)
        return yaml_error(yaml, value, "%s: a value is missing", key);
    yaml_where(yaml, value, where, sizeof where);
    return options_check(axis->table, key, value->text, where);
}

/* The axis that another one runs together with, or NULL. */
static const struct axis *partner(const struct axes *axes, int zip)
{
    for (int i = 0; zip > 0 && i < axes->count; i++)
        if (axes->items[i].zip == zip)
            return &axes->items[i];
    return NULL;
}

int axes_add(struct axes *axes, const struct yaml *yaml, const struct option *table,
             const struct option *row, const struct yaml_node *node, int owner)
{
    struct axis axis = {.table = table,
                        .row = row,
                        .node = node,
                        .count = node->kind == YAML_LIST ? (size_t)node->count : 1,
                        .owner = owner,
                        .zip = axes->zipping ? axes->zips : 0};
    const struct axis *with = partner(axes, axis.zip);
    if (axes->count == SPEC_MAX_AXES)
        return yaml_error(yaml, node, "more than %d keys", SPEC_MAX_AXES);
    if (axis.count == 0)
        return yaml_error(yaml, node, "%s: an empty list gives no points", row->name);
    for (int i = 0; i < axes->count; i++) {
        const struct axis *other = &axes->items[i];
        if (other->table == table && other->owner == owner &&
            strcmp(field_name(other->row), field_name(row)) == 0)
            return yaml_error(yaml, node, "'%s' and '%s' set the same thing: give one of them",
                              other->row->name, row->name);
    }
    if (with && with->count != axis.count)
        return yaml_error(yaml, node,
                          "zip: %s has %zu values, %s has %zu: lists that run together have the "
                          "same length",
                          with->row->name, with->count, row->name, axis.count);
    for (size_t i = 0; i < axis.count; i++) {
        int rc = check_value(&axis, yaml, axis_value(&axis, i));
        if (rc)
            return rc;
    }
    axes->items[axes->count++] = axis;
    return 0;
}

int axes_read_zip(struct axes *axes, const struct yaml *yaml, const struct yaml_node *node,
                  int (*add)(void *context, const struct yaml_node *key), void *context)
{
    int rc = 0, count = node->kind == YAML_LIST ? node->count : 1;
    const struct yaml_node *maps = node->kind == YAML_LIST ? node->items : node;
    for (int i = 0; i < count; i++) {
        if (maps[i].kind != YAML_MAP || maps[i].count == 0)
            return yaml_error(yaml, &maps[i],
                              "zip: a mapping of lists that run together is expected, such as "
                              "{low_frac: [0.5, 0.9], group_size: [64, 128]}");
        axes->zipping = true;
        axes->zips++;
        for (int k = 0; k < maps[i].count; k++)
            TRY(add(context, &maps[i].items[k]));
    }
out:
    axes->zipping = false;
    return rc;
}

/* An axis that runs with the one before it adds no combinations. */
static bool runs_along(const struct axes *axes, int i)
{
    return i > 0 && i < axes->count && axes->items[i].zip > 0 &&
           axes->items[i].zip == axes->items[i - 1].zip;
}

size_t axes_combinations(const struct axes *axes, size_t limit)
{
    size_t product = 1;
    for (int i = 0; i < axes->count; i++) {
        if (runs_along(axes, i))
            continue;
        product *= axes->items[i].count; /* at most limit times YAML_MAX_NODES */
        if (product > limit)
            return limit + 1;
    }
    return product;
}

int axes_apply(const struct axes *axes, const struct yaml *yaml, const struct option *table,
               int owner, void *target, size_t index)
{
    char where[300];
    for (int i = axes->count - 1; i >= 0; i--) {
        const struct axis *axis = &axes->items[i];
        const struct yaml_node *value = axis_value(axis, index % axis->count);
        index /= runs_along(axes, i) ? 1 : axis->count;
        if (axis->table != table || axis->owner != owner)
            continue;
        yaml_where(yaml, value, where, sizeof where);
        int rc = options_set(table, target, axis->row->name, value->text, where);
        if (rc)
            return rc;
    }
    return 0;
}

int spec_set(const struct yaml *yaml, const struct option *table, void *target,
             const struct yaml_node *node)
{
    char where[300];
    if (node->kind == YAML_LIST)
        return yaml_error(
            yaml, node,
            "%s: a list stands where a single value belongs; lists make a grid in 'methods' and "
            "'calibration' only",
            node->key);
    if (node->kind != YAML_TEXT)
        return yaml_error(yaml, node, "%s: %s stands where a single value belongs", node->key,
                          yaml_kind_name(node->kind));
    if (yaml_is_null(node))
        return yaml_error(yaml, node, "%s: a value is missing", node->key);
    yaml_where(yaml, node, where, sizeof where);
    return options_set(table, target, node->key, node->text, where);
}

int spec_unknown(const struct yaml *yaml, const struct yaml_node *node, const struct option *first,
                 const struct option *second, const char *const *words)
{
    const struct option *tables[] = {first, second};
    struct nearest nearest = {.word = node->key};
    char known[600] = "";
    size_t used = 0;
    for (; *words; words++) {
        nearest_offer(&nearest, *words);
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                 *words);
    }
    for (int i = 0; i < 2; i++)
        for (const struct option *row = tables[i]; row && row->name && used < sizeof known; row++) {
            nearest_offer(&nearest, row->name);
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                     row->name);
        }
    if (nearest.best)
        return yaml_error(yaml, node, "unknown key '%.80s'; did you mean '%s'?", node->key,
                          nearest.best);
    return yaml_error(yaml, node, "unknown key '%.80s'; valid are %s", node->key, known);
}

int spec_check_corpora(const struct yaml *yaml, const struct yaml_node *node, const char *list,
                       bool joined)
{
    const char *at = list;
    if (!*list)
        return yaml_error(yaml, node, "corpus: a name is missing");
    for (;;) {
        char name[OPTION_TEXT_SIZE], text[800];
        struct corpus_source source = {0};
        size_t length = joined ? strcspn(at, "+") : strlen(at);
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        int rc = token_ids_named(name) ? 0 : corpus_open(name, &source);
        corpus_close(&source);
        snprintf(text, sizeof text, "%s", err_text());
        if (rc == ERR_USAGE && !joined && strchr(name, '+'))
            return yaml_error(
                yaml, node,
                "corpus: '%.80s': perplexity is measured on one corpus at a time: give an "
                "entry for each",
                list);
        if (rc)
            return rc == ERR_USAGE ? yaml_error(yaml, node, "corpus: %s", text) : rc;
        at += length;
        if (*at++ == '\0')
            return 0;
    }
}
