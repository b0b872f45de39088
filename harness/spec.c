#include "harness/spec.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/size.h"
#include "harness/paths.h"
#include "harness/spec_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

static const char *const no_words[] = {NULL};

/* ---- name, title, model ---- */

static int take_node(const struct yaml *yaml, const struct yaml_node *node, const char *key,
                     char **out)
{
    if (node->kind != YAML_TEXT || yaml_is_null(node) || !node->text[0])
        return yaml_error(yaml, node, "%s: a text is expected", key);
    if (strlen(node->text) >= OPTION_TEXT_SIZE)
        return yaml_error(yaml, node, "%s: the text has %zu bytes; at most %d are allowed", key,
                          strlen(node->text), OPTION_TEXT_SIZE - 1);
    return mem_strdup(out, node->text);
}

static int take_text(const struct yaml *yaml, const char *key, char **out)
{
    const struct yaml_node *node = yaml_get(&yaml->root, key);
    return node ? take_node(yaml, node, key, out) : 0;
}

/* One model, or a list of several. */
static int read_models(struct experiment *experiment, const struct yaml *yaml)
{
    int rc;
    const struct yaml_node *node = yaml_get(&yaml->root, "model");
    const struct yaml_node *items = node && node->kind == YAML_LIST ? node->items : node;
    int count = node && node->kind == YAML_LIST ? node->count : 1;
    if (count == 0 || count > SPEC_MAX_MODELS)
        return yaml_error(yaml, node, "model: a list of 1 to %d models is expected",
                          SPEC_MAX_MODELS);
    TRY(mem_calloc(&experiment->models, (size_t)count, sizeof *experiment->models));
    for (int i = 0; i < count; i++) {
        char **model = &experiment->models[i];
        if (node)
            TRY(take_node(yaml, &items[i], "model", model));
        else
            TRY(mem_strdup(model, "embedded"));
        experiment->model_count++;
        for (int k = 0; k < i; k++)
            if (strcmp(*model, experiment->models[k]) == 0) {
                rc = yaml_error(yaml, &items[i], "model: '%.80s' is in the list twice", *model);
                goto out;
            }
    }
    TRY(experiment_choose_model(experiment, 0));
out:
    return rc;
}

int experiment_choose_model(struct experiment *experiment, int index)
{
    char *model = NULL;
    int rc = mem_strdup(&model, experiment->models[index]);
    if (rc)
        return rc;
    mem_free(experiment->model);
    experiment->model = model;
    experiment->model_index = index;
    return 0;
}

/* The experiment's name: of the key, or the file's without folder and .yaml. It becomes part of
 * file names. */
static int take_name(struct experiment *experiment, const struct yaml *yaml)
{
    const struct yaml_node *node = yaml_get(&yaml->root, "name");
    const char *base = strrchr(yaml->path, '/'), *name = base ? base + 1 : yaml->path;
    size_t length = strcspn(name, ".");
    if (node) {
        if (node->kind != YAML_TEXT || yaml_is_null(node))
            return yaml_error(yaml, node, "name: a text is expected");
        name = node->text;
        length = strlen(name);
    }
    const struct yaml_node *at = node ? node : &yaml->root;
    if (length == 0 || length >= SPEC_NAME)
        return yaml_error(yaml, at, "name: 1 to %d bytes are allowed", SPEC_NAME - 1);
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && !(i > 0 && strchr("-_.", name[i])))
            return yaml_error(
                yaml, at,
                "name: '%.80s': only letters, digits, and, not in front, - _ . are allowed", name);
    snprintf(experiment->name, sizeof experiment->name, "%.*s", (int)length, name);
    return 0;
}

/* "memory: 12G": what a run keeps to when the command line does not say. */
static int read_memory(struct experiment *experiment, const struct yaml *yaml)
{
    int rc;
    char *text = NULL;
    TRY(take_text(yaml, "memory", &text));
    if (text && size_parse(text, "memory", &experiment->memory) != 0) {
        char message[200];
        snprintf(message, sizeof message, "%s", err_text());
        rc = yaml_error(yaml, yaml_get(&yaml->root, "memory"), "%s", message);
    }
out:
    mem_free(text);
    return rc;
}

static int read_heading(struct experiment *experiment, const struct yaml *yaml)
{
    static const char *const keys[] = {"name",      "title",   "model", "calibration", "evaluation",
                                       "methods",   "include", "sets",  "memory",      "data",
                                       "tokenizer", "exclude", NULL};
    int rc = 0;
    if (yaml->root.kind != YAML_MAP)
        return yaml_error(
            yaml, &yaml->root,
            "a mapping with the keys name, model, evaluation, methods is expected, not %s",
            yaml_kind_name(yaml->root.kind));
    for (int i = 0; i < yaml->root.count; i++) {
        int known = 0;
        for (int k = 0; keys[k]; k++)
            known |= strcmp(keys[k], yaml->root.items[i].key) == 0;
        if (!known)
            return spec_unknown(yaml, &yaml->root.items[i], NULL, NULL, keys);
    }
    TRY(take_name(experiment, yaml));
    TRY(take_text(yaml, "title", &experiment->title));
    TRY(take_text(yaml, "data", &experiment->data));
    TRY(take_text(yaml, "tokenizer", &experiment->tokenizer));
    TRY(read_memory(experiment, yaml));
    TRY(read_models(experiment, yaml));
    if (!experiment->title)
        TRY(mem_strdup(&experiment->title, experiment->name));
out:
    return rc;
}

/* ---- calibration ---- */

struct calibration_reader {
    const struct yaml *yaml;
    struct axes *axes;
};

static int add_calibration_key(void *context, const struct yaml_node *node)
{
    static const char *const words[] = {"seeds", "zip", NULL};
    const struct calibration_reader *reader = context;
    const struct yaml *yaml = reader->yaml;
    struct axes *axes = reader->axes;
    int rc;
    const struct option *row = options_find(calibration_option_table, node->key);
    if (!row)
        return spec_unknown(yaml, node, calibration_option_table, calibration_flag_table, words);
    TRY(axes_add(axes, yaml, calibration_option_table, row, node, AXIS_ENTRY));
    const struct axis *axis = &axes->items[axes->count - 1];
    for (size_t k = 0; strcmp(row->name, "corpus") == 0 && k < axis->count; k++)
        TRY(spec_check_corpora(yaml, axis_value(axis, k), axis_value(axis, k)->text, true));
out:
    return rc;
}

static int read_calibration(struct experiment *experiment, const struct yaml *yaml,
                            struct axes *axes)
{
    int rc;
    struct calibration_reader reader = {yaml, axes};
    TRY(options_defaults(calibration_flag_table, experiment));
    const struct yaml_node *map = yaml_get(&yaml->root, "calibration");
    if (!map || yaml_is_null(map))
        return 0;
    if (map->kind != YAML_MAP)
        return yaml_error(yaml, map,
                          "calibration: a mapping (corpus, samples, length, ...) is expected");
    for (int i = 0; i < map->count; i++) {
        const struct yaml_node *node = &map->items[i];
        if (options_find(calibration_flag_table, node->key))
            TRY(spec_set(yaml, calibration_flag_table, experiment, node));
        else if (strcmp(node->key, "zip") == 0)
            TRY(axes_read_zip(axes, yaml, node, add_calibration_key, &reader));
        else
            TRY(add_calibration_key(&reader, node));
    }
out:
    return rc;
}

/* ---- evaluation ---- */

/* The entries of a list of mappings; a single mapping stands for a list of one. */
static int entries(const struct yaml *yaml, const struct yaml_node *node,
                   const struct yaml_node **items, int *count)
{
    *items = NULL;
    *count = 0;
    if (!node || yaml_is_null(node))
        return 0;
    *items = node->kind == YAML_LIST ? node->items : node;
    *count = node->kind == YAML_LIST ? node->count : 1;
    for (int i = 0; i < *count; i++)
        if ((*items)[i].kind != YAML_MAP)
            return yaml_error(yaml, &(*items)[i],
                              "%s: a list of mappings is expected, such as - {%s}", node->key,
                              strcmp(node->key, "tasks") == 0 ? "task: kjv_half" : "corpus: kjv");
    return 0;
}

static int read_entry(const struct yaml *yaml, const struct yaml_node *map,
                      const struct option *table, void *target)
{
    int rc;
    TRY(options_defaults(table, target));
    for (int i = 0; i < map->count; i++) {
        if (!options_find(table, map->items[i].key))
            return spec_unknown(yaml, &map->items[i], table, NULL, no_words);
        TRY(spec_set(yaml, table, target, &map->items[i]));
    }
out:
    return rc;
}

/* Something of the entry was set from the command line: entries that became equal by that count
 * once. */
static bool overridden(const struct yaml_node *map)
{
    for (int i = 0; i < map->count; i++)
        if (map->items[i].overridden)
            return true;
    return false;
}

static int read_perplexities(struct experiment *experiment, const struct yaml *yaml,
                             const struct yaml_node *node)
{
    int rc, count;
    const struct yaml_node *items;
    TRY(entries(yaml, node, &items, &count));
    TRY(mem_calloc(&experiment->perplexities, (size_t)count, sizeof *experiment->perplexities));
    for (int i = 0; i < count; i++) {
        int same = 0;
        struct perplexity_spec *spec = &experiment->perplexities[experiment->perplexity_count];
        const struct yaml_node *corpus = yaml_get(&items[i], "corpus");
        memset(spec, 0, sizeof *spec);
        TRY(read_entry(yaml, &items[i], perplexity_option_table, spec));
        TRY(spec_check_corpora(yaml, corpus ? corpus : &items[i], spec->corpus, false));
        for (int k = 0; k < experiment->perplexity_count; k++)
            same |= memcmp(spec, &experiment->perplexities[k], sizeof *spec) == 0;
        if (same && !overridden(&items[i]))
            return yaml_error(yaml, &items[i], "the same perplexity is asked for twice");
        experiment->perplexity_count += !same;
    }
out:
    return rc;
}

static int read_tasks(struct experiment *experiment, const struct yaml *yaml,
                      const struct yaml_node *node)
{
    int rc, count;
    const struct yaml_node *items;
    TRY(entries(yaml, node, &items, &count));
    TRY(mem_calloc(&experiment->choices, (size_t)count, sizeof *experiment->choices));
    for (int i = 0; i < count; i++) {
        int same = 0;
        struct choice_spec *spec = &experiment->choices[experiment->choice_count];
        struct task_source source = {0};
        const struct yaml_node *name = yaml_get(&items[i], "task");
        memset(spec, 0, sizeof *spec);
        TRY(read_entry(yaml, &items[i], choice_option_table, spec));
        if (choice_spec_resolve(spec) != 0) {
            char text[800];
            snprintf(text, sizeof text, "%s", err_text());
            return yaml_error(yaml, &items[i], "%s", text);
        }
        if (!name || !spec->task[0])
            return yaml_error(yaml, &items[i], "task: a name is missing");
        rc = task_open(spec->task, &source);
        task_close(&source);
        if (rc) {
            char text[800];
            snprintf(text, sizeof text, "%s", err_text());
            return rc == ERR_USAGE ? yaml_error(yaml, name, "task: %s", text) : rc;
        }
        for (int k = 0; k < experiment->choice_count; k++)
            same |= memcmp(spec, &experiment->choices[k], sizeof *spec) == 0;
        if (same && !overridden(&items[i]))
            return yaml_error(yaml, &items[i], "the same task is asked for twice");
        experiment->choice_count += !same;
    }
out:
    return rc;
}

static int read_evaluation(struct experiment *experiment, const struct yaml *yaml)
{
    static const char *const keys[] = {"perplexity", "tasks", NULL};
    int rc;
    TRY(options_defaults(evaluation_flag_table, experiment));
    const struct yaml_node *map = yaml_get(&yaml->root, "evaluation");
    if (map && !yaml_is_null(map) && map->kind != YAML_MAP)
        return yaml_error(yaml, map,
                          "evaluation: a mapping with the keys perplexity and tasks is expected");
    for (int i = 0; map && i < map->count; i++) {
        const struct yaml_node *item = &map->items[i];
        if (options_find(evaluation_flag_table, item->key))
            TRY(spec_set(yaml, evaluation_flag_table, experiment, item));
        else if (strcmp(item->key, keys[0]) != 0 && strcmp(item->key, keys[1]) != 0)
            return spec_unknown(yaml, item, evaluation_flag_table, NULL, keys);
    }
    TRY(read_perplexities(experiment, yaml, yaml_get(map, keys[0])));
    TRY(read_tasks(experiment, yaml, yaml_get(map, keys[1])));
out:
    return rc;
}

/* ---- the whole ---- */

/* The path itself, or where our own data has it. */
static int find_spec(const char *path, char **found)
{
    if (!*path)
        return err_set(ERR_USAGE, "the spec's name is empty: a YAML file is expected");
    if (!file_exists(path) && path[0] != '/' && paths_data(found, path) == 0)
        return 0;
    return mem_strdup(found, path);
}

/* The values from the command line stand as comments behind the spec as read. */
static int keep_text(struct experiment *experiment, struct strbuf *text,
                     const char *const *overrides, int count)
{
    int rc;
    for (int i = 0; i < count; i++)
        TRY(strbuf_printf(text, "# --set %s\n", overrides[i]));
    TRY(mem_strdup(&experiment->text, text->data ? text->data : ""));
out:
    return rc;
}

int spec_load(struct experiment *experiment, const char *path, const char *const *overrides,
              int override_count)
{
    int rc;
    struct touched touched = {0};
    char *found = NULL;
    struct yaml yaml = {0};
    struct strbuf text = {0};
    struct axes calibration = {0};
    struct experiment fresh = {0};
    TRY(find_spec(path, &found));
    TRY(spec_read_files(&yaml, found, &text));
    for (int i = 0; i < override_count; i++)
        TRY(spec_override(&yaml, overrides[i], &touched));
    TRY(spec_expand_ranges(&yaml));
    TRY(mem_strdup(&fresh.path, found));
    TRY(keep_text(&fresh, &text, overrides, override_count));
    TRY(read_heading(&fresh, &yaml));
    TRY(read_calibration(&fresh, &yaml, &calibration));
    TRY(read_evaluation(&fresh, &yaml));
    TRY(spec_read_methods(&fresh, &yaml, &calibration, &touched));
    for (int i = 0; i < fresh.point_count; i++) /* behind the labels, which it is no part of */
        fresh.points[i].harness.drift &= fresh.drift;
    *experiment = fresh;
    fresh = (struct experiment){0};
out:
    experiment_release(&fresh);
    yaml_release(&yaml);
    strbuf_release(&text);
    mem_free(found);
    return rc;
}

void experiment_release(struct experiment *experiment)
{
    for (int i = 0; i < experiment->point_count; i++)
        point_release(&experiment->points[i]);
    mem_free(experiment->points);
    mem_free(experiment->perplexities);
    mem_free(experiment->choices);
    mem_free(experiment->title);
    mem_free(experiment->data);
    mem_free(experiment->tokenizer);
    mem_free(experiment->path);
    mem_free(experiment->model);
    for (int i = 0; i < experiment->model_count; i++)
        mem_free(experiment->models[i]);
    mem_free(experiment->models);
    mem_free(experiment->text);
    *experiment = (struct experiment){0};
}
