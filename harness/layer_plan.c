#include "harness/layer_plan.h"

#include "core/err.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool layer_plan_matches(const char *patterns, const char *name)
{
    char part[OPTION_TEXT_SIZE];
    for (const char *at = patterns;;) {
        size_t length = strcspn(at, "|");
        snprintf(part, sizeof part, "%.*s", (int)length, at);
        bool whole = strpbrk(part, "*?[") != NULL;
        if (whole ? fnmatch(part, name, 0) == 0 : strstr(name, part) != NULL)
            return true;
        at += length;
        if (*at++ == '\0')
            return false;
    }
}

/* (min_layer <= block < max_layer and quant_only in name) != invert. */
static bool selects(const struct point *point, int blocks, int block, const char *name)
{
    const struct harness_options *o = &point->harness;
    if (!point->method)
        return false;
    bool inside = block >= (o->min_layer < 0 ? 0 : o->min_layer) &&
                  block < (o->max_layer < 0 ? blocks : o->max_layer) &&
                  strstr(name, o->quant_only) != NULL;
    return inside != o->invert;
}

static bool in_ranges(const struct layer_rule *rule, int blocks, int block)
{
    for (int i = 0; i < rule->range_count; i++) {
        int first = rule->ranges[i].first, last = rule->ranges[i].last;
        first += first < 0 ? blocks : 0;
        last += last < 0 ? blocks : 0;
        if (block >= first && block <= last)
            return true;
    }
    return rule->range_count == 0;
}

static bool rule_matches(const struct layer_rule *rule, int blocks, int block, const char *name)
{
    return in_ranges(rule, blocks, block) && layer_plan_matches(rule->match, name);
}

struct layer_choice layer_plan_find(const struct point *point, int blocks, int block,
                                    const char *name)
{
    struct layer_choice choice = {.rule = -1};
    if (!selects(point, blocks, block, name))
        return choice;
    choice.method = point->method;
    choice.options = point->method_options;
    for (int i = 0; i < point->rule_count; i++) {
        const struct layer_rule *rule = &point->rules[i];
        if (!rule_matches(rule, blocks, block, name))
            continue;
        choice.method = rule->method;
        choice.options = rule->options;
        choice.rule = i;
        break;
    }
    if (choice.method) {
        choice.after = point->after;
        choice.after_options = point->after_options;
    }
    return choice;
}

unsigned layer_plan_caps(const struct point *point)
{
    unsigned caps = point->method ? point->method->caps : 0;
    caps |= point->after ? point->after->caps : 0;
    for (int i = 0; i < point->rule_count; i++)
        caps |= point->rules[i].method ? point->rules[i].method->caps : 0;
    return caps;
}

/* ---- against a model ---- */

static int useless_rule(const struct point *point, int rule, int blocks, const char *const *names,
                        bool shadowed)
{
    const struct layer_rule *r = &point->rules[rule];
    char known[400] = "";
    size_t used = 0;
    for (; *names && used < sizeof known; names++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                 *names);
    if (shadowed)
        return err_set(
            ERR_USAGE,
            "%s: rule %d of layers (match '%.100s', blocks '%.60s') decides for no layer: "
            "rules before it take all that it matches",
            r->where, rule + 1, r->match, r->blocks);
    return err_set(
        ERR_USAGE,
        "%s: rule %d of layers (match '%.100s', blocks '%.60s') matches no layer that is "
        "quantized; the model has blocks 0 to %d with %s",
        r->where, rule + 1, r->match, r->blocks, blocks - 1, known);
}

/* Whether the rule matches, and whether it decides, for any layer. */
static void try_rule(const struct point *point, int rule, int blocks, const char *const *names,
                     bool *matches, bool *decides)
{
    *matches = *decides = false;
    for (int block = 0; block < blocks; block++)
        for (int i = 0; names[i]; i++) {
            *matches |= selects(point, blocks, block, names[i]) &&
                        rule_matches(&point->rules[rule], blocks, block, names[i]);
            *decides |= layer_plan_find(point, blocks, block, names[i]).rule == rule;
        }
}

int layer_plan_check(const struct point *point, int blocks, const char *const *names)
{
    bool any = false;
    for (int rule = 0; rule < point->rule_count; rule++) {
        bool matches, decides;
        try_rule(point, rule, blocks, names, &matches, &decides);
        if (!decides)
            return useless_rule(point, rule, blocks, names, matches);
    }
    for (int block = 0; block < blocks; block++)
        for (int i = 0; names[i]; i++)
            any |= layer_plan_find(point, blocks, block, names[i]).method != NULL;
    if (point->method && !any)
        return err_set(ERR_USAGE,
                       "%s%smin_layer, max_layer, quant_only%s invert%s leave no layer of the "
                       "model to quantize",
                       point->where ? point->where : "", point->where ? ": " : "",
                       point->rule_count ? "," : " and", point->rule_count ? " and layers" : "");
    return 0;
}
