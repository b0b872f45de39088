/* Short forms of lists of values: {from: 0.1, to: 0.5, step: 0.1}, {from: 8, to: 256, times: 2},
 * and `seeds: 5`. They become the lists that they stand for before anything else reads the tree. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/spec_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct range {
    double from, to, by;
    bool times;
};

static int read_number(const struct yaml *yaml, const struct yaml_node *node, double *value)
{
    char *end;
    if (node->kind != YAML_TEXT || yaml_is_null(node))
        return yaml_error(yaml, node, "%s: a number is expected", node->key);
    *value = strtod(node->text, &end);
    if (end == node->text || *end || !isfinite(*value))
        return yaml_error(yaml, node, "%s: '%.40s' is no number", node->key, node->text);
    return 0;
}

static int read_range(const struct yaml *yaml, const struct yaml_node *node, struct range *range)
{
    static const char *const keys[] = {"from", "to", "step", "times", NULL};
    int rc = 0;
    const struct yaml_node *from = yaml_get(node, "from"), *to = yaml_get(node, "to"),
                           *step = yaml_get(node, "step"), *times = yaml_get(node, "times");
    for (int i = 0; i < node->count; i++) {
        bool known = false;
        for (int k = 0; keys[k]; k++)
            known |= strcmp(node->items[i].key, keys[k]) == 0;
        if (!known)
            return spec_unknown(yaml, &node->items[i], NULL, NULL, keys);
    }
    if (!from || !to || !step == !times)
        return yaml_error(yaml, node,
                          "%s%sa range has from, to, and one of step and times, such as "
                          "{from: 0.1, to: 0.5, step: 0.1}",
                          node->key ? node->key : "", node->key ? ": " : "");
    *range = (struct range){.times = times != NULL};
    TRY(read_number(yaml, from, &range->from));
    TRY(read_number(yaml, to, &range->to));
    TRY(read_number(yaml, times ? times : step, &range->by));
    bool up = range->to > range->from;
    if (times && (range->from <= 0 || range->to <= 0 || range->by <= 0 || range->by == 1))
        return yaml_error(yaml, node,
                          "times: from and to have to be positive, the factor positive "
                          "and not 1");
    if (range->to != range->from && (times ? range->by > 1 : range->by > 0) != up)
        return yaml_error(yaml, node, "the range goes from %g to %g, which %s %g never reaches",
                          range->from, range->to, times ? "times" : "step", range->by);
    if (!times && range->by == 0)
        return yaml_error(yaml, step, "step: 0 gives no range");
out:
    return rc;
}

/* The k-th value as one writes it: twelve digits hide what binary fractions add. */
static bool value_at(const struct range *range, int k, char text[32])
{
    double value = range->times ? range->from * pow(range->by, k) : range->from + k * range->by;
    double slack = range->times ? 1e-9 * fabs(range->to) : 1e-9 * fabs(range->by);
    if (range->to >= range->from ? value > range->to + slack : value < range->to - slack)
        return false;
    if (!range->times && fabs(value) < slack)
        value = 0;
    snprintf(text, 32, "%.12g", value);
    return true;
}

static int append_text(struct yaml_node *list, const struct yaml_node *like, const char *text)
{
    int rc;
    struct yaml_node *item;
    TRY(yaml_node_append(list, &item));
    item->line = like->line;
    item->overridden = like->overridden;
    if (like->origin)
        TRY(mem_strdup(&item->origin, like->origin));
    TRY(mem_strdup(&item->text, text));
out:
    return rc;
}

/* Appends the values of a range to a list. */
static int append_range(const struct yaml *yaml, const struct yaml_node *node,
                        struct yaml_node *list)
{
    struct range range = {.times = false};
    char text[32];
    int rc = read_range(yaml, node, &range);
    for (int k = 0; rc == 0 && value_at(&range, k, text); k++) {
        if (k == SPEC_MAX_POINTS)
            return yaml_error(yaml, node, "the range has more than %d values", SPEC_MAX_POINTS);
        rc = append_text(list, node, text);
    }
    return rc;
}

static bool is_range(const struct yaml_node *node)
{
    static const char *const keys[] = {"from", "to", "step", "times"};
    for (int i = 0; i < 4; i++)
        if (yaml_get(node, keys[i]))
            return true;
    return false;
}

/* The node keeps its key, line and origin, and takes the items of the list. */
static void become_list(struct yaml_node *node, struct yaml_node *list)
{
    struct yaml_node old = {.kind = node->kind, .items = node->items, .count = node->count};
    old.text = node->text;
    node->kind = YAML_LIST;
    node->text = NULL;
    node->items = list->items;
    node->count = list->count;
    *list = (struct yaml_node){0};
    yaml_node_release(&old);
}

/* Ranges among the elements of a list give their values in their places. */
static int splice_ranges(const struct yaml *yaml, struct yaml_node *node)
{
    int rc = 0;
    bool any = false;
    struct yaml_node list = {.kind = YAML_LIST}, *item;
    for (int i = 0; i < node->count; i++)
        any |= is_range(&node->items[i]);
    if (!any)
        return 0;
    for (int i = 0; i < node->count; i++) {
        if (is_range(&node->items[i])) {
            TRY(append_range(yaml, &node->items[i], &list));
            continue;
        }
        TRY(yaml_node_append(&list, &item));
        *item = node->items[i];
        node->items[i] = (struct yaml_node){0};
    }
    become_list(node, &list);
out:
    yaml_node_release(&list);
    return rc;
}

static int expand(const struct yaml *yaml, struct yaml_node *node)
{
    int rc = 0;
    struct yaml_node list = {.kind = YAML_LIST};
    if (node->kind == YAML_MAP && is_range(node)) {
        TRY(append_range(yaml, node, &list));
        become_list(node, &list);
        return 0;
    }
    if (node->kind == YAML_LIST)
        TRY(splice_ranges(yaml, node));
    for (int i = 0; i < node->count; i++)
        TRY(expand(yaml, &node->items[i]));
out:
    yaml_node_release(&list);
    return rc;
}

static int find(const struct yaml_node *map, const char *key)
{
    for (int i = 0; map->kind == YAML_MAP && i < map->count; i++)
        if (strcmp(map->items[i].key, key) == 0)
            return i;
    return -1;
}

/* 2: from the command line, 1: of the spec itself, 0: of a file that it includes. */
static int weight(const struct yaml_node *node)
{
    return node->overridden ? 2 : !node->origin;
}

/* `seeds: 5` is `seed: [0, 1, 2, 3, 4]`, and `seeds: [3, 7]` is `seed: [3, 7]`. */
static int expand_seeds(const struct yaml *yaml, struct yaml_node *calibration)
{
    int rc = 0, at = find(calibration, "seeds"), other = find(calibration, "seed");
    struct yaml_node list = {.kind = YAML_LIST}, *node;
    char *key = NULL;
    if (at >= 0 && other >= 0) {
        const struct yaml_node *seeds = &calibration->items[at], *seed = &calibration->items[other];
        if (weight(seeds) == weight(seed))
            return yaml_error(yaml, seeds,
                              "'seed' and 'seeds' set the same thing: give one of them");
        bool keep = weight(seeds) > weight(seed);
        yaml_node_remove(calibration, keep ? other : at);
        at = keep ? find(calibration, "seeds") : -1;
    }
    if (at < 0)
        return 0;
    node = &calibration->items[at];
    if (node->kind == YAML_TEXT) {
        char *end, text[32];
        long count = strtol(node->text, &end, 10);
        if (end == node->text || *end || count < 1 || count > SPEC_MAX_POINTS)
            return yaml_error(
                yaml, node,
                "seeds: '%.40s': a number of seeds from 1 to %d, or a list of them, is "
                "expected",
                node->text, SPEC_MAX_POINTS);
        for (int i = 0; i < (int)count; i++) {
            snprintf(text, sizeof text, "%d", i);
            TRY(append_text(&list, node, text));
        }
        become_list(node, &list);
    }
    TRY(mem_strdup(&key, "seed"));
    mem_free(node->key);
    node->key = key;
out:
    yaml_node_release(&list);
    return rc;
}

int spec_expand_ranges(struct yaml *yaml)
{
    static const char *const keys[] = {"methods", "calibration", "exclude"};
    int rc = 0;
    for (int i = 0; yaml->root.kind == YAML_MAP && i < yaml->root.count; i++) {
        struct yaml_node *node = &yaml->root.items[i];
        for (int k = 0; k < 3; k++)
            if (strcmp(node->key, keys[k]) == 0)
                TRY(expand(yaml, node));
        if (strcmp(node->key, "calibration") == 0)
            TRY(expand_seeds(yaml, node));
    }
out:
    return rc;
}
