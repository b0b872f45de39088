/* `exclude`: patterns such as {bits: 2, group_size: -1} that take points out of the grid. A point
 * matches when each of its settings that the pattern names has the value, or one of the values,
 * there; one whose method has no such option does not match. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/layer_plan.h"
#include "harness/spec_internal.h"

#include <stdio.h>
#include <string.h>

/* The settings of a point that a key speaks of; table is NULL where the point has none. */
struct settings {
    const struct option *table;
    const void *values;
    size_t size;
};

/* "seed" and the rest of the harness's own go before the calibration's; "calibration.seed" is that
 * one. Methods that need no calibration have no settings of it. */
static struct settings settings_of(const struct point *point, const char **key)
{
    static const char prefix[] = "calibration.";
    bool prefixed = strncmp(*key, prefix, sizeof prefix - 1) == 0;
    *key += prefixed ? sizeof prefix - 1 : 0;
    if (!point->method)
        return (struct settings){0};
    if (!prefixed && options_find(point->method->options, *key))
        return (struct settings){point->method->options, point->method_options,
                                 point->method->options_size};
    if (!prefixed && options_find(harness_option_table, *key))
        return (struct settings){harness_option_table, &point->harness, sizeof point->harness};
    if (options_find(calibration_option_table, *key) && layer_plan_caps(point) & QM_NEEDS_HESSIAN)
        return (struct settings){calibration_option_table, &point->calibration,
                                 sizeof point->calibration};
    return (struct settings){0};
}

/* The point has this value: both are read as the option, and compared as it writes them. */
static int has_value(const struct yaml *yaml, const struct point *point, const char *key,
                     const struct yaml_node *value, bool *has)
{
    int rc;
    char where[300], theirs[OPTION_TEXT_SIZE], ours[OPTION_TEXT_SIZE];
    void *copy = NULL;
    struct settings s = settings_of(point, &key);
    *has = false;
    if (!s.table)
        return 0;
    const struct option *row = options_find(s.table, key);
    row = row->alias_of ? options_find(s.table, row->alias_of) : row;
    TRY(mem_calloc(&copy, 1, s.size));
    memcpy(copy, s.values, s.size);
    yaml_where(yaml, value, where, sizeof where);
    TRY(options_set(s.table, copy, key, value->text, where));
    TRY(options_value(row, s.values, ours));
    TRY(options_value(row, copy, theirs));
    *has = strcmp(ours, theirs) == 0;
out:
    mem_free(copy);
    return rc;
}

static int is_method(const struct yaml *yaml, const struct point *point, const char *key,
                     const struct yaml_node *value, bool *has)
{
    *has = strcmp(value->text, point->method ? point->method->name : "full") == 0;
    return 0;
}

/* One key of a pattern: its value, or one of them. */
static int key_matches(const struct yaml *yaml, const struct point *point,
                       const struct yaml_node *node, bool *matches)
{
    int rc = 0, count = node->kind == YAML_LIST ? node->count : 1;
    const struct yaml_node *values = node->kind == YAML_LIST ? node->items : node;
    *matches = false;
    for (int i = 0; i < count && !*matches; i++) {
        if (values[i].kind != YAML_TEXT || yaml_is_null(&values[i]))
            return yaml_error(yaml, &values[i],
                              "exclude: %s: a value or a list of values is expected", node->key);
        TRY((strcmp(node->key, "method") == 0 ? is_method : has_value)(yaml, point, node->key,
                                                                       &values[i], matches));
    }
out:
    return rc;
}

/* A value that the option of one method does not know may be another's: `bad` counts these. */
static int pattern_matches(const struct yaml *yaml, const struct point *point,
                           const struct yaml_node *pattern, bool *matches, int *bad)
{
    *matches = true;
    for (int i = 0; i < pattern->count && *matches; i++) {
        int rc = key_matches(yaml, point, &pattern->items[i], matches);
        if (rc && rc != ERR_USAGE)
            return rc;
        *bad += rc != 0;
        *matches &= rc == 0;
    }
    return 0;
}

static bool any_has(const struct experiment *experiment, int first, const char *key)
{
    for (int i = first; i < experiment->point_count; i++) {
        const char *name = key;
        if (settings_of(&experiment->points[i], &name).table)
            return true;
    }
    return false;
}

/* Keys that no method of the points has are mistakes. */
static int check_keys(const struct experiment *experiment, const struct yaml *yaml,
                      const struct yaml_node *pattern, int first)
{
    static const char *const words[] = {"method", "corpus",           "samples",
                                        "length", "calibration.seed", NULL};
    for (int i = 0; i < pattern->count; i++) {
        const struct yaml_node *node = &pattern->items[i];
        const struct option *table = harness_option_table;
        if (strcmp(node->key, "method") == 0 || any_has(experiment, first, node->key))
            continue;
        for (int p = first; p < experiment->point_count; p++)
            if (experiment->points[p].method)
                table = experiment->points[p].method->options;
        return spec_unknown(yaml, node, table, harness_option_table, words);
    }
    return 0;
}

static int matches_nothing(const struct yaml *yaml, const struct yaml_node *pattern, int bad)
{
    if (bad) /* the last of them says what is wrong with the value */
        return ERR_USAGE;
    return yaml_error(yaml, pattern, "exclude: the pattern matches no point of the grid");
}

/* Marks what one pattern matches. */
static int mark(const struct experiment *experiment, const struct yaml *yaml,
                const struct yaml_node *pattern, int first, bool lenient, bool *out_of_grid)
{
    int rc, bad = 0, found = 0;
    if (pattern->kind != YAML_MAP || pattern->count == 0)
        return yaml_error(yaml, pattern,
                          "exclude: a pattern or a list of patterns is expected, such as "
                          "{bits: 2, group_size: -1}");
    if (!lenient)
        TRY(check_keys(experiment, yaml, pattern, first));
    for (int i = first; i < experiment->point_count; i++) {
        bool matches;
        TRY(pattern_matches(yaml, &experiment->points[i], pattern, &matches, &bad));
        out_of_grid[i] |= matches;
        found += matches;
    }
    rc = found || lenient ? 0 : matches_nothing(yaml, pattern, bad);
out:
    return rc;
}

int spec_exclude(struct experiment *experiment, const struct yaml *yaml,
                 const struct yaml_node *exclude, int first, bool lenient)
{
    int rc = 0, kept = first, count = exclude->kind == YAML_LIST ? exclude->count : 1;
    const struct yaml_node *patterns = exclude->kind == YAML_LIST ? exclude->items : exclude;
    bool *out_of_grid = NULL;
    if (yaml_is_null(exclude))
        return 0;
    TRY(mem_calloc(&out_of_grid, (size_t)experiment->point_count, sizeof *out_of_grid));
    for (int i = 0; i < count; i++)
        TRY(mark(experiment, yaml, &patterns[i], first, lenient, out_of_grid));
    for (int i = first; i < experiment->point_count; i++) {
        if (out_of_grid[i])
            point_release(&experiment->points[i]);
        else
            experiment->points[kept++] = experiment->points[i];
    }
    experiment->point_count = kept;
    if (kept == first)
        rc = yaml_error(yaml, exclude, "exclude: nothing is left of the grid");
out:
    mem_free(out_of_grid);
    return rc;
}
