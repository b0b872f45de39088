/* One point: its settings as JSON, its label, and whether another is equal. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/layer_plan.h"
#include "harness/spec_internal.h"

#include <stdio.h>
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
        mem_free(point->rules[i].text);
        mem_free(point->rules[i].where);
    }
    mem_free(point->rules);
    mem_free(point->label);
    mem_free(point->where);
    *point = (struct point){0};
}

void point_method_name(const struct point *point, char out[POINT_METHOD_SIZE])
{
    snprintf(out, POINT_METHOD_SIZE, "%s%s%s", point->after ? point->after->name : "",
             point->after ? "+" : "", point->method ? point->method->name : "full");
}

/* {method, version, options} of a method that is not the point's main one. */
static int add_method(json_t *object, const struct quant_method *method, const void *options)
{
    json_t *part;
    int rc = options_to_json(method->options, options, &part), bad = 0;
    if (rc)
        return rc;
    bad |= json_object_set_new(object, "method", json_string(method->name));
    bad |= json_object_set_new(object, "version", json_integer(method->version));
    bad |= json_object_set_new(object, "options", part);
    return bad ? err_set(ERR_MEMORY, "out of memory: the settings of a point") : 0;
}

/* [{match, blocks, skip: true} or {match, blocks, method, version, options}, ...] */
static int rules_to_json(const struct point *point, json_t **out)
{
    int rc = 0, bad = 0;
    json_t *list = json_array();
    for (int i = 0; i < point->rule_count; i++) {
        const struct layer_rule *rule = &point->rules[i];
        json_t *object = json_pack("{s:s, s:s}", "match", rule->match, "blocks", rule->blocks);
        bad |= json_array_append_new(list, object);
        if (rule->method)
            TRY(add_method(object, rule->method, rule->options));
        else
            bad |= json_object_set_new(object, "skip", json_true());
    }
    if (bad)
        rc = err_set(ERR_MEMORY, "out of memory: the settings of a point");
out:
    if (rc)
        json_decref(list);
    else
        *out = list;
    return rc;
}

/* What only points with `after` or `layers` have: the others keep their ids. */
static int add_plan(const struct point *point, json_t *object)
{
    int rc = 0, bad = 0;
    json_t *part = NULL;
    if (point->after) {
        part = json_object();
        bad |= json_object_set_new(object, "after", part);
        TRY(add_method(part, point->after, point->after_options));
    }
    if (point->rule_count) {
        TRY(rules_to_json(point, &part));
        bad |= json_object_set_new(object, "layers", part);
    }
    if (bad)
        rc = err_set(ERR_MEMORY, "out of memory: the settings of a point");
out:
    return rc;
}

int point_settings(const struct point *point, json_t **out)
{
    int rc = 0;
    char name[POINT_METHOD_SIZE];
    json_t *object = json_object(), *part = NULL;
    point_method_name(point, name);
    int bad = json_object_set_new(object, "method", json_string(name));
    if (point->method) {
        TRY(options_to_json(point->method->options, point->method_options, &part));
        bad |= json_object_set_new(object, "options", part);
        TRY(options_to_json(harness_option_table, &point->harness, &part));
        bad |= json_object_del(part, "drift"); /* it changes no result */
        bad |= json_object_set_new(object, "harness", part);
    }
    TRY(add_plan(point, object));
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

/* Whether the axes of this owner set the option, under its own name or another. */
static bool axes_set(const struct axes *set, int owner, const struct option *row)
{
    for (int i = 0; i < set->count; i++) {
        const struct option *other = set->items[i].row;
        if (set->items[i].owner != owner)
            continue;
        if (other == row ||
            (other->alias_of && set->items[i].table && strcmp(other->alias_of, row->name) == 0))
            return true;
    }
    return false;
}

/* Shown: what differs from the default, and what was written out, unless that says "the whole row",
 * "the first", ... */
static int shown(const struct option *row, const void *source, const struct axes *set, int owner,
                 const char *text, bool *show)
{
    int same;
    int rc = options_is_default(row, source, &same);
    if (rc)
        return rc;
    bool special = row->special && strtol(row->special, NULL, 10) == strtol(text, NULL, 10) &&
                   *text == '-';
    *show = !same || (set && axes_set(set, owner, row) && !special && *text);
    return 0;
}

static int add_options(struct strbuf *label, const struct option *table, const void *source,
                       const struct axes *set, int owner)
{
    int rc = 0;
    for (const struct option *row = table; row->name; row++) {
        char text[OPTION_TEXT_SIZE];
        bool show;
        if (row->alias_of || row->measures)
            continue;
        TRY(options_value(row, source, text));
        TRY(shown(row, source, set, owner, text, &show));
        if (show)
            TRY(strbuf_printf(label, " %s=%s", row->name, text));
    }
out:
    return rc;
}

/* " | down_proj: bits=4", " | blocks 0,-1: skip": of a rule with the point's own method what the
 * rule sets, of another's what differs from the defaults. */
static int add_rule(struct strbuf *label, const struct point *point, int number,
                    const struct axes *set)
{
    int rc;
    const struct layer_rule *rule = &point->rules[number];
    TRY(strbuf_printf(label, " | %s%s%s%s:", rule->match, *rule->match && *rule->blocks ? " " : "",
                      *rule->blocks ? "blocks " : "", rule->blocks));
    if (!rule->method)
        return strbuf_puts(label, " skip");
    if (rule->method != point->method) {
        TRY(strbuf_printf(label, " %s", rule->method->name));
        return add_options(label, rule->method->options, rule->options, set, AXIS_RULE + number);
    }
    for (const struct option *row = rule->method->options; row->name; row++) {
        char text[OPTION_TEXT_SIZE];
        if (row->alias_of || !set || !axes_set(set, AXIS_RULE + number, row))
            continue;
        TRY(options_value(row, rule->options, text));
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
        TRY(add_options(&label, point->method->options, point->method_options, set, AXIS_ENTRY));
        TRY(add_options(&label, harness_option_table, &point->harness, NULL, AXIS_ENTRY));
    }
    if (point->after) {
        TRY(strbuf_printf(&label, " after %s", point->after->name));
        TRY(add_options(&label, point->after->options, point->after_options, set, AXIS_AFTER));
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
    for (int i = 0; i < point->rule_count; i++)
        TRY(add_rule(&label, point, i, set));
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
