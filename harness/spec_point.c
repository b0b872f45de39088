/* One point: its settings as JSON, its label, and whether another is equal. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/layer_plan.h"
#include "harness/spec_internal.h"

#include <stdlib.h>
#include <string.h>

bool point_calibrates(const struct point *point)
{
    return point->method &&
           ((layer_plan_caps(point) & QM_NEEDS_HESSIAN) || point->harness.layer_errors);
}

void point_release(struct point *point)
{
    mem_free(point->method_options);
    mem_free(point->after_options);
    for (int i = 0; i < point->rule_count; i++) {
        mem_free(point->rules[i].options);
        mem_free(point->rules[i].where);
    }
    mem_free(point->rules);
    mem_free(point->label);
    mem_free(point->where);
    *point = (struct point){0};
}

int point_settings(const struct point *point, json_t **out)
{
    int rc = 0;
    json_t *object = json_object(), *part = NULL;
    int bad = json_object_set_new(object, "method",
                                  json_string(point->method ? point->method->name : "full"));
    if (point->method) {
        TRY(options_to_json(point->method->options, point->method_options, &part));
        bad |= json_object_set_new(object, "options", part);
        TRY(options_to_json(harness_option_table, &point->harness, &part));
        bad |= json_object_set_new(object, "harness", part);
    }
    if (point_calibrates(point)) {
        TRY(options_to_json(calibration_option_table, &point->calibration, &part));
        bad |= json_object_set_new(object, "calibration", part);
    }
    if (bad) {
        rc = err_set(ERR_MEMORY, "out of memory: the settings of a point");
        goto out;
    }
    *out = object;
    object = NULL;
out:
    json_decref(object);
    return rc;
}

/* ---- labels ---- */

static bool is_set(const struct axes *set, const struct option *row)
{
    for (int i = 0; i < set->count; i++) {
        const struct option *other = set->items[i].row;
        if (other == row ||
            (other->alias_of && set->items[i].table && strcmp(other->alias_of, row->name) == 0))
            return true;
    }
    return false;
}

/* Shown: what differs from the default, and what was written out, unless that says "the whole row",
 * "the first", ... */
static int shown(const struct option *row, const void *source, const struct axes *set,
                 const char *text, bool *show)
{
    int same;
    int rc = options_is_default(row, source, &same);
    if (rc)
        return rc;
    bool special = row->special && strtol(row->special, NULL, 10) == strtol(text, NULL, 10) &&
                   *text == '-';
    *show = !same || (set && is_set(set, row) && !special && *text);
    return 0;
}

static int add_options(struct strbuf *label, const struct option *table, const void *source,
                       const struct axes *set)
{
    int rc = 0;
    for (const struct option *row = table; row->name; row++) {
        char text[OPTION_TEXT_SIZE];
        bool show;
        if (row->alias_of)
            continue;
        TRY(options_value(row, source, text));
        TRY(shown(row, source, set, text, &show));
        if (show)
            TRY(strbuf_printf(label, " %s=%s", row->name, text));
    }
out:
    return rc;
}

int point_make_label(struct point *point, const struct axes *set, const struct axes *calibration)
{
    int rc;
    struct strbuf label = {0};
    TRY(strbuf_puts(&label, point->method ? point->method->name : "full"));
    if (point->method) {
        TRY(add_options(&label, point->method->options, point->method_options, set));
        TRY(add_options(&label, harness_option_table, &point->harness, NULL));
    }
    /* Of the calibration only what tells the points of this spec from each other. */
    bool varies = layer_plan_caps(point) & QM_NEEDS_HESSIAN;
    for (int i = 0; varies && i < calibration->count; i++) {
        char text[OPTION_TEXT_SIZE];
        const struct axis *axis = &calibration->items[i];
        if (axis->count == 1)
            continue;
        TRY(options_value(axis->row, &point->calibration, text));
        TRY(strbuf_printf(&label, " calibration.%s=%s", axis->row->name, text));
    }
    TRY(mem_strdup(&point->label, label.data));
out:
    strbuf_release(&label);
    return rc;
}

/* ---- equal points ---- */

struct keyed {
    char *text; /* canonical JSON, from jansson's allocator */
    int index;
};

static int compare(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    int order = strcmp(x->text, y->text);
    return order ? order : (x->index > y->index) - (x->index < y->index);
}

static int make_keys(const struct experiment *experiment, struct keyed *keys)
{
    for (int i = 0; i < experiment->point_count; i++) {
        json_t *settings;
        int rc = point_settings(&experiment->points[i], &settings);
        if (rc)
            return rc;
        keys[i] = (struct keyed){json_dumps(settings, JSON_SORT_KEYS | JSON_COMPACT), i};
        json_decref(settings);
        if (!keys[i].text)
            return err_set(ERR_MEMORY, "out of memory: the settings of a point");
    }
    return 0;
}

static int report_equal(const struct point *first, const struct point *second)
{
    if (strcmp(first->where, second->where) == 0)
        return err_set(ERR_USAGE, "%s: the point '%s' is in the grid twice", second->where,
                       second->label);
    return err_set(ERR_USAGE, "%s: the point '%s' is there already: %s", second->where,
                   second->label, first->where);
}

int points_check_equal(struct experiment *experiment, bool drop_equal)
{
    int rc, count = experiment->point_count, kept = 0;
    struct keyed *keys = NULL;
    bool *equal = NULL;
    TRY(mem_calloc(&keys, (size_t)count, sizeof *keys));
    TRY(mem_calloc(&equal, (size_t)count, sizeof *equal));
    TRY(make_keys(experiment, keys));
    qsort(keys, (size_t)count, sizeof *keys, compare);
    for (int i = 1, first = 0; i < count; i++) {
        if (strcmp(keys[first].text, keys[i].text) != 0) {
            first = i;
            continue;
        }
        equal[keys[i].index] = true;
        if (!drop_equal) {
            rc = report_equal(&experiment->points[keys[first].index],
                              &experiment->points[keys[i].index]);
            goto out;
        }
    }
    for (int i = 0; i < count; i++) {
        if (equal[i])
            point_release(&experiment->points[i]);
        else
            experiment->points[kept++] = experiment->points[i];
    }
    experiment->point_count = kept;
out:
    for (int i = 0; keys && i < count; i++)
        free(keys[i].text);
    mem_free(keys);
    mem_free(equal);
    return rc;
}
