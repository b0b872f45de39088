/* From the entries of `methods` to points: every combination of the values of an entry's lists. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/layer_plan.h"
#include "harness/spec_internal.h"

#include <stdio.h>
#include <string.h>

/* A key with values; the method's own options win over the harness's of the same name. */
static int add_option(void *context, const struct yaml_node *node)
{
    static const char *const words[] = {"method", "zip", "exclude", "layers", "after", NULL};
    struct entry *entry = context;
    const struct option *table = entry->method->options, *row = options_find(table, node->key);
    if (!row) {
        table = harness_option_table;
        row = options_find(table, node->key);
    }
    if (!row) {
        char text[900];
        int rc = spec_unknown(entry->yaml, node, entry->method->options, harness_option_table,
                              words);
        snprintf(text, sizeof text, "%s", err_text());
        return err_set(rc, "%s (method %s)", text, entry->method->name);
    }
    return axes_add(&entry->axes, entry->yaml, table, row, node, AXIS_ENTRY);
}

/* The keys of the entry but `method`. */
static int read_keys(struct entry *entry)
{
    int rc = 0;
    for (int i = 0; i < entry->node->count; i++) {
        const struct yaml_node *node = &entry->node->items[i];
        if (strcmp(node->key, "method") == 0 || strcmp(node->key, "exclude") == 0)
            continue;
        if (!entry->method)
            return yaml_error(entry->yaml, node,
                              "'%.80s': method full leaves the model as it is and takes no options",
                              node->key);
        if (strcmp(node->key, "zip") == 0)
            TRY(axes_read_zip(&entry->axes, entry->yaml, node, add_option, entry));
        else if (strcmp(node->key, "layers") == 0)
            TRY(entry_read_rules(entry, node));
        else if (strcmp(node->key, "after") == 0)
            TRY(entry_read_after(entry, node));
        else
            TRY(add_option(entry, node));
    }
out:
    return rc;
}

static int make_point(const struct entry *entry, size_t index, size_t calibration_index,
                      struct point *point)
{
    int rc;
    char where[300];
    const struct yaml *yaml = entry->yaml;
    struct point fresh = {.method = entry->method};
    yaml_where(yaml, entry->node, where, sizeof where);
    TRY(mem_strdup(&fresh.where, where));
    TRY(options_defaults(harness_option_table, &fresh.harness));
    TRY(options_defaults(calibration_option_table, &fresh.calibration));
    TRY(axes_apply(&entry->axes, yaml, harness_option_table, AXIS_ENTRY, &fresh.harness, index));
    TRY(axes_apply(entry->calibration, yaml, calibration_option_table, AXIS_ENTRY,
                   &fresh.calibration, calibration_index));
    if (entry->method) {
        TRY(mem_calloc(&fresh.method_options, entry->method->options_size, 1));
        TRY(options_defaults(entry->method->options, fresh.method_options));
        TRY(axes_apply(&entry->axes, yaml, entry->method->options, AXIS_ENTRY, fresh.method_options,
                       index));
        if (entry->method->check && (rc = entry->method->check(fresh.method_options)) != 0) {
            err_prefix(rc, "%s", where);
            goto out;
        }
        TRY(entry_apply_rules(entry, index, &fresh));
    }
    TRY(point_make_label(&fresh, &entry->axes, entry->calibration));
    *point = fresh;
    fresh = (struct point){0};
out:
    point_release(&fresh);
    return rc;
}

static int add_point(struct experiment *experiment, const struct entry *entry, size_t index,
                     size_t calibration_index)
{
    if (experiment->point_count >= SPEC_MAX_POINTS)
        return yaml_error(entry->yaml, entry->node,
                          "with this entry the grid has more than %d points; split the experiment",
                          SPEC_MAX_POINTS);
    int rc = make_point(entry, index, calibration_index,
                        &experiment->points[experiment->point_count]);
    if (rc == 0)
        experiment->point_count++;
    return rc;
}

/* Room for so many points; what is there already has the next power of two, so the cost stays
 * linear. */
static int reserve(struct experiment *experiment, size_t wanted)
{
    size_t have = 1, capacity = 1, count = (size_t)experiment->point_count;
    wanted = wanted < SPEC_MAX_POINTS ? wanted : SPEC_MAX_POINTS;
    while (have < count)
        have *= 2;
    while (capacity < wanted)
        capacity *= 2;
    if (experiment->points && capacity <= have)
        return 0;
    return mem_resize(&experiment->points, count, capacity, sizeof *experiment->points);
}

static int expand(struct experiment *experiment, const struct entry *entry)
{
    int rc = 0;
    size_t count = axes_combinations(&entry->axes, SPEC_MAX_POINTS),
           draws = axes_combinations(entry->calibration, SPEC_MAX_POINTS);
    TRY(reserve(experiment, (size_t)experiment->point_count + count * draws));
    for (size_t i = 0; i < count; i++) {
        TRY(add_point(experiment, entry, i, 0));
        /* Without a Hessian the calibration changes no weight: the first one serves the layer
         * errors. */
        const struct point *last = &experiment->points[experiment->point_count - 1];
        if (!(layer_plan_caps(last) & QM_NEEDS_HESSIAN))
            continue;
        for (size_t k = 1; k < draws; k++)
            TRY(add_point(experiment, entry, i, k));
    }
out:
    return rc;
}

static int read_method(struct experiment *experiment, struct entry *entry,
                       const struct yaml_node *name)
{
    int rc;
    char text[800];
    if (name->kind != YAML_TEXT || yaml_is_null(name) || !name->text[0])
        return yaml_error(entry->yaml, name, "method: a name is expected");
    entry->axes = (struct axes){.count = 0};
    entry->method = entry->after = NULL;
    if (strcmp(name->text, "full") != 0 && !(entry->method = method_find(name->text))) {
        snprintf(text, sizeof text, "%s", err_text());
        return yaml_error(entry->yaml, name, "%s", text);
    }
    TRY(read_keys(entry));
    TRY(expand(experiment, entry));
out:
    entry_release_rules(entry);
    return rc;
}

/* All methods that the entry names. */
static int read_entry(struct experiment *experiment, struct entry *entry,
                      const struct touched *touched)
{
    int rc = 0, first = experiment->point_count;
    const struct yaml *yaml = entry->yaml;
    const struct yaml_node *name = yaml_get(entry->node, "method"),
                           *exclude = yaml_get(entry->node, "exclude");
    if (entry->node->kind != YAML_MAP)
        return yaml_error(yaml, entry->node,
                          "methods: a mapping is expected, such as - {method: rtn, bits: 4}");
    if (!name)
        return yaml_error(yaml, entry->node, "the entry has no key 'method'");
    if (name->kind == YAML_LIST && name->count == 0)
        return yaml_error(yaml, name, "method: an empty list gives no points");
    if (name->kind != YAML_LIST)
        TRY(read_method(experiment, entry, name));
    for (int k = 0; name->kind == YAML_LIST && k < name->count; k++)
        TRY(read_method(experiment, entry, &name->items[k]));
    if (exclude)
        TRY(spec_exclude(experiment, yaml, exclude, first, touched->grid));
out:
    return rc;
}

int spec_read_methods(struct experiment *experiment, const struct yaml *yaml,
                      const struct axes *calibration, const struct touched *touched)
{
    int rc = 0;
    const struct yaml_node *list = yaml_get(&yaml->root, "methods"),
                           *exclude = yaml_get(&yaml->root, "exclude");
    if (!list || list->kind != YAML_LIST || list->count == 0)
        return yaml_error(yaml, list ? list : &yaml->root,
                          "methods: a list is expected, such as - {method: rtn, bits: [4, 3, 2]}");
    for (int i = 0; i < list->count; i++) {
        struct entry entry = {.yaml = yaml, .node = &list->items[i], .calibration = calibration};
        TRY(read_entry(experiment, &entry, touched));
    }
    if (exclude)
        TRY(spec_exclude(experiment, yaml, exclude, 0, touched->grid));
    TRY(points_check_equal(experiment, touched->methods));
out:
    return rc;
}
