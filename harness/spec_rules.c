/* The keys `layers` and `after` of an entry of methods: rules for single layers, and what is done
 * to every layer before. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/spec_internal.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RULES = 32 };

/* The keys of a rule that are no option of a method. */
struct rule_keys {
    char match[OPTION_TEXT_SIZE], blocks[OPTION_TEXT_SIZE], method[OPTION_TEXT_SIZE];
    bool skip;
};

#define FIELD(name) offsetof(struct rule_keys, name)
static const struct option rule_table[] = {
    {.name = "match", .type = OPTION_TEXT, .offset = FIELD(match), .fallback = ""},
    {.name = "blocks", .type = OPTION_TEXT, .offset = FIELD(blocks), .fallback = ""},
    {.name = "skip", .type = OPTION_BOOL, .offset = FIELD(skip), .fallback = "false"},
    {.name = "method", .type = OPTION_TEXT, .offset = FIELD(method), .fallback = ""},
    {.name = NULL},
};

/* ---- match and blocks ---- */

/* A text, or a list of texts, which are joined by the separator. */
static int set_joined(const struct yaml *yaml, const struct yaml_node *node, char separator,
                      char out[OPTION_TEXT_SIZE])
{
    size_t used = 0;
    int count = node->kind == YAML_LIST ? node->count : 1;
    const struct yaml_node *items = node->kind == YAML_LIST ? node->items : node;
    for (int i = 0; i < count; i++) {
        if (items[i].kind != YAML_TEXT || yaml_is_null(&items[i]) || !items[i].text[0])
            return yaml_error(yaml, &items[i], "%s: a text or a list of texts is expected",
                              node->key);
        size_t length = strlen(items[i].text) + (i > 0);
        if (used + length >= OPTION_TEXT_SIZE)
            return yaml_error(yaml, node, "%s: more than %d characters in all", node->key,
                              OPTION_TEXT_SIZE - 1);
        if (i > 0)
            out[used] = separator;
        memcpy(out + used + (i > 0), items[i].text, strlen(items[i].text) + 1);
        used += length;
    }
    return count ? 0 : yaml_error(yaml, node, "%s: an empty list matches nothing", node->key);
}

static bool read_block(const char **at, int *block)
{
    char *end;
    long value = strtol(*at, &end, 10);
    bool ok = end != *at && value > -100000 && value < 100000;
    *at = end;
    *block = ok ? (int)value : 0;
    return ok;
}

/* "3", "-1", "0-3", "4--1", and several with commas between. */
static int read_ranges(const struct yaml *yaml, const struct yaml_node *node,
                       struct layer_rule *rule)
{
    const char *at = rule->blocks;
    bool ok = true;
    while (ok && *at) {
        int first = 0, last;
        ok = rule->range_count < RULE_RANGES && read_block(&at, &first);
        last = first;
        if (ok && *at == '-') {
            at++;
            ok = read_block(&at, &last);
        }
        ok = ok && ((first < 0) != (last < 0) || first <= last) && (*at == ',' || *at == '\0');
        if (!ok)
            break;
        rule->ranges[rule->range_count].first = first;
        rule->ranges[rule->range_count++].last = last;
        at += *at == ',' ? 1 + strspn(at + 1, " ") : 0;
    }
    if (!ok)
        return yaml_error(
            yaml, node,
            "blocks: '%.60s': a number, a range such as 0-3, or a list of at most %d of "
            "them is expected; -1 is the last block",
            rule->blocks, RULE_RANGES);
    return 0;
}

/* ---- one rule ---- */

static int find_method(const struct yaml *yaml, const struct yaml_node *node, const char *name,
                       const struct quant_method **out)
{
    char text[800];
    if ((*out = method_find(name)) != NULL)
        return 0;
    snprintf(text, sizeof text, "%s", err_text());
    return yaml_error(yaml, node, "%s", text);
}

/* Adds the keys that are options of the method; *count = how many. */
static int add_options(struct entry *entry, const struct yaml_node *map,
                       const struct quant_method *method, int owner, int *count)
{
    static const char *const of_rule[] = {"match", "blocks", "skip", "method", NULL},
                             *const of_after[] = {"method", NULL};
    int rc = 0;
    *count = 0;
    for (int i = 0; i < map->count; i++) {
        const struct yaml_node *node = &map->items[i];
        if (options_find(rule_table, node->key) &&
            (owner >= AXIS_RULE || strcmp(node->key, "method") == 0))
            continue;
        const struct option *row = method ? options_find(method->options, node->key) : NULL;
        if (!row && !method)
            return yaml_error(entry->yaml, node, "'%.80s': layers that are skipped take no options",
                              node->key);
        if (!row)
            return spec_unknown(entry->yaml, node, method->options, NULL,
                                owner >= AXIS_RULE ? of_rule : of_after);
        TRY(axes_add(&entry->axes, entry->yaml, method->options, row, node, owner));
        ++*count;
    }
out:
    return rc;
}

static int read_rule_keys(const struct yaml *yaml, const struct yaml_node *map,
                          struct rule_keys *keys)
{
    int rc;
    memset(keys, 0, sizeof *keys);
    TRY(options_defaults(rule_table, keys));
    for (int i = 0; i < map->count; i++) {
        const struct yaml_node *node = &map->items[i];
        if (strcmp(node->key, "match") == 0)
            TRY(set_joined(yaml, node, '|', keys->match));
        else if (strcmp(node->key, "blocks") == 0)
            TRY(set_joined(yaml, node, ',', keys->blocks));
        else if (options_find(rule_table, node->key))
            TRY(spec_set(yaml, rule_table, keys, node));
    }
out:
    return rc;
}

static int read_rule(struct entry *entry, const struct yaml_node *map)
{
    int rc, options;
    const struct yaml *yaml = entry->yaml;
    const struct yaml_node *name = yaml_get(map, "method"), *blocks = yaml_get(map, "blocks");
    struct layer_rule *rule = &entry->rules[entry->rule_count];
    struct rule_keys keys;
    char where[300];
    if (map->kind != YAML_MAP)
        return yaml_error(
            yaml, map,
            "layers: a list of rules is expected, such as - {match: down_proj, bits: 4}");
    TRY(read_rule_keys(yaml, map, &keys));
    if (!yaml_get(map, "match") && !blocks)
        return yaml_error(yaml, map,
                          "layers: a rule needs 'match', a pattern of names, or 'blocks'");
    memcpy(rule->match, keys.match, sizeof rule->match);
    memcpy(rule->blocks, keys.blocks, sizeof rule->blocks);
    if (blocks)
        TRY(read_ranges(yaml, blocks, rule));
    rule->method = entry->method;
    bool left = keys.skip || strcmp(keys.method, "full") == 0;
    if (left && keys.skip && name)
        return yaml_error(yaml, map, "layers: 'skip' and 'method' exclude each other");
    if (left)
        rule->method = NULL;
    else if (name)
        TRY(find_method(yaml, name, keys.method, &rule->method));
    TRY(add_options(entry, map, rule->method, AXIS_RULE + entry->rule_count, &options));
    if (!left && !name && options == 0)
        return yaml_error(yaml, map,
                          "layers: the rule says nothing: give it 'skip: true', 'method' or an "
                          "option of %s",
                          entry->method->name);
    yaml_where(yaml, map, where, sizeof where);
    TRY(mem_strdup(&rule->where, where));
    entry->rule_count++;
out:
    return rc;
}

int entry_read_rules(struct entry *entry, const struct yaml_node *list)
{
    int rc = 0;
    if (list->kind != YAML_LIST || list->count == 0 || list->count > MAX_RULES)
        return yaml_error(entry->yaml, list,
                          "layers: a list of 1 to %d rules is expected, such as "
                          "- {match: down_proj, bits: 4}",
                          MAX_RULES);
    TRY(mem_calloc(&entry->rules, (size_t)list->count, sizeof *entry->rules));
    for (int i = 0; i < list->count; i++)
        TRY(read_rule(entry, &list->items[i]));
out:
    return rc;
}

/* ---- after ---- */

int entry_read_after(struct entry *entry, const struct yaml_node *map)
{
    int rc, options;
    const struct yaml *yaml = entry->yaml;
    const struct yaml_node *name = yaml_get(map, "method");
    if (!name || name->kind != YAML_TEXT)
        return yaml_error(yaml, map,
                          "after: a mapping with 'method' is expected, such as "
                          "{method: prune, share: 0.5}");
    TRY(find_method(yaml, name, name->text, &entry->after));
    if (!(entry->after->caps & QM_PRUNES))
        return yaml_error(yaml, name,
                          "after: method %s does not prune: only weights that were set to zero are "
                          "kept by the method that follows",
                          entry->after->name);
    if (entry->method->caps & QM_PRUNES)
        return yaml_error(yaml, name, "after: method %s prunes itself", entry->method->name);
    TRY(add_options(entry, map, entry->after, AXIS_AFTER, &options));
out:
    return rc;
}

void entry_release_rules(struct entry *entry)
{
    for (int i = 0; i < entry->rule_count; i++)
        mem_free(entry->rules[i].where);
    mem_free(entry->rules);
    entry->rules = NULL;
    entry->rule_count = 0;
}

/* ---- into a point ---- */

/* *out = the method's options for this combination, beginning with `from`, or the defaults. */
static int make_options(const struct entry *entry, const struct quant_method *method, int owner,
                        size_t index, const void *from, void **out)
{
    int rc;
    TRY(mem_calloc(out, 1, method->options_size));
    if (from)
        memcpy(*out, from, method->options_size);
    else
        TRY(options_defaults(method->options, *out));
    TRY(axes_apply(&entry->axes, entry->yaml, method->options, owner, *out, index));
    rc = method->check ? method->check(*out) : 0;
out:
    return rc;
}

static int describe(struct layer_rule *rule)
{
    json_t *object = NULL;
    int rc = options_to_json(rule->method->options, rule->options, &object);
    if (rc)
        return rc;
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(15));
    rc = text ? mem_strdup(&rule->text, text) : err_set(ERR_MEMORY, "out of memory: a rule");
    free(text); /* jansson's own allocation */
    json_decref(object);
    return rc;
}

int entry_apply_rules(const struct entry *entry, size_t index, struct point *point)
{
    int rc = 0;
    if (entry->after) {
        point->after = entry->after;
        TRY(make_options(entry, entry->after, AXIS_AFTER, index, NULL, &point->after_options));
    }
    if (entry->rule_count == 0)
        return 0;
    TRY(mem_calloc(&point->rules, (size_t)entry->rule_count, sizeof *point->rules));
    for (int i = 0; i < entry->rule_count; i++) {
        const struct layer_rule *from = &entry->rules[i];
        struct layer_rule *rule = &point->rules[i];
        *rule = *from;
        rule->where = NULL;
        point->rule_count++;
        TRY(mem_strdup(&rule->where, from->where));
        if (!rule->method)
            continue;
        bool same = rule->method == point->method;
        rc = make_options(entry, rule->method, AXIS_RULE + i, index,
                          same ? point->method_options : NULL, &rule->options);
        if (rc) {
            err_prefix(rc, "%s", rule->where);
            goto out;
        }
        TRY(describe(rule));
    }
out:
    return rc;
}
