#include "harness/published.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/options.h"
#include "harness/known_models.h"
#include "harness/spec.h"
#include "harness/table_data.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 12, PAPERS_WINDOW = 2048, PAPERS_SAMPLES = 128 };

static const char header[] =
    "paper,table,model,method,kind,settings,bits,dataset,metric,rule,value,note";

/* ---- the file ---- */

/* Cuts the line at its commas, in place. Quoted fields have no place in this file. */
static int cut(char *line, char *fields[COLUMNS], const char *path, int number)
{
    int count = 0;
    if (strchr(line, '"'))
        return err_set(ERR_FORMAT, "%s:%d: quoted fields are not used here", path, number);
    for (char *at = line; at; count++) {
        char *comma = strchr(at, ',');
        if (count < COLUMNS)
            fields[count] = at;
        if (comma)
            *comma++ = '\0';
        at = comma;
    }
    if (count != COLUMNS)
        return err_set(ERR_FORMAT, "%s:%d: %d fields, not %d: %s", path, number, count, COLUMNS,
                       header);
    return 0;
}

static int read_row(struct published_row *row, char *line, const char *path, int number)
{
    char *f[COLUMNS], *end;
    int rc = cut(line, f, path, number);
    if (rc)
        return rc;
    *row = (struct published_row){.paper = f[0],
                                  .table = f[1],
                                  .model = f[2],
                                  .method = f[3],
                                  .kind = f[4],
                                  .settings = f[5],
                                  .bits = f[6],
                                  .dataset = f[7],
                                  .metric = f[8],
                                  .rule = f[9],
                                  .text = f[10],
                                  .note = f[11],
                                  .line = number};
    row->value = strtod(row->text, &end);
    if (!*row->text || *end || !isfinite(row->value))
        return err_set(ERR_FORMAT, "%s:%d: value: '%.40s' is not a number", path, number,
                       row->text);
    return 0;
}

int published_load(struct published *published, const char *path, struct arena *arena)
{
    int rc, number = 1, lines = 0;
    size_t size;
    char *text = NULL, *kept;
    struct published fresh = {0};
    TRY(file_read(path, &text, &size));
    TRY(arena_alloc(arena, &kept, size + 1, 1));
    memcpy(kept, text, size + 1);
    for (size_t i = 0; i < size; i++)
        lines += kept[i] == '\n';
    TRY(arena_calloc(arena, &fresh.rows, (size_t)lines + 1, sizeof *fresh.rows));
    for (char *at = kept; at && *at; number++) {
        char *next = strchr(at, '\n');
        if (next)
            *next++ = '\0';
        at[strcspn(at, "\r")] = '\0';
        if (number == 1 && strcmp(at, header) != 0) {
            rc = err_set(ERR_FORMAT, "%s:1: the columns have to be %s", path, header);
            goto out;
        }
        if (number > 1 && *at)
            TRY(read_row(&fresh.rows[fresh.count++], at, path, number));
        at = next;
    }
    *published = fresh;
out:
    mem_free(text);
    return rc;
}

/* ---- what may stand beside what ---- */

/* "wikitext2_gptq" differs from "wikitext2" in calibration only. */
static bool same_dataset(const char *theirs, const char *ours)
{
    return strcmp(theirs, ours) == 0 ||
           (strcmp(theirs, "wikitext2") == 0 && strcmp(ours, "wikitext2_gptq") == 0);
}

/* The name says which model it is, and the counts have to agree: a folder can have any name. */
static bool same_model(const struct published_row *row, const struct measured *ours)
{
    const struct known_model *known = known_model_find(ours->model);
    if (!known || strcmp(known->name, row->model) != 0)
        return false;
    if (ours->parameters > 0 && ours->parameters != known_model_parameters(known))
        return false;
    return strcmp(row->kind, "full") == 0 || ours->weights == known_model_linear_weights(known);
}

/* "a=1 b=2" onto options that hold the defaults. */
static bool apply_settings(const struct quant_method *method, const char *settings, void *options)
{
    while (*settings) {
        char name[64], value[64];
        int length = 0;
        if (sscanf(settings, " %63[^= ]=%63[^ ]%n", name, value, &length) != 2 ||
            options_set(method->options, options, name, value, "published") != 0)
            return false;
        settings += length;
        settings += strspn(settings, " ");
    }
    return true;
}

/* Both as complete option lists: what neither names is the default. */
static bool same_options(const struct quant_method *method, const char *settings,
                         const json_t *ours)
{
    void *theirs = NULL, *mine = NULL;
    json_t *a = NULL, *b = NULL;
    bool same = mem_calloc(&theirs, method->options_size, 1) == 0 &&
                mem_calloc(&mine, method->options_size, 1) == 0 &&
                options_defaults(method->options, theirs) == 0 &&
                options_defaults(method->options, mine) == 0 &&
                apply_settings(method, settings, theirs) &&
                options_from_json(method->options, mine, ours, "point") == 0 &&
                options_to_json(method->options, theirs, &a) == 0 &&
                options_to_json(method->options, mine, &b) == 0 && json_equal(a, b);
    json_decref(a);
    json_decref(b);
    mem_free(theirs);
    mem_free(mine);
    return same;
}

/* All layers: nothing of the model was left out. */
static bool whole_model(const json_t *harness)
{
    struct harness_options options;
    return options_defaults(harness_option_table, &options) == 0 &&
           options_from_json(harness_option_table, &options, harness, "point") == 0 &&
           options.min_layer == -1 && options.max_layer == -1 && !options.quant_only[0] &&
           !options.invert;
}

static bool same_method(const struct published_row *row, const json_t *settings)
{
    const char *name = json_string_value(json_object_get(settings, "method"));
    if (!name || strcmp(name, row->method) != 0)
        return false;
    if (json_object_get(settings, "layers")) /* no paper mixes */
        return false;
    if (strcmp(row->kind, "full") == 0)
        return true;
    const struct quant_method *method = strcmp(row->kind, "ptq") == 0 ? method_find(name) : NULL;
    return method && whole_model(json_object_get(settings, "harness")) &&
           same_options(method, row->settings, json_object_get(settings, "options"));
}

bool published_matches(const struct published_row *row, const struct measured *ours)
{
    bool perplexity = strcmp(ours->metric, "perplexity") == 0;
    if (strcmp(row->metric, ours->metric) != 0 || !same_dataset(row->dataset, ours->dataset) ||
        strcmp(row->rule, ours->rule) != 0)
        return false;
    if (perplexity && (ours->window != PAPERS_WINDOW || strcmp(ours->split, "test") != 0))
        return false;
    return same_model(row, ours) && same_method(row, ours->settings);
}

/* ---- what a reader has to know ---- */

/* Items of the whole sets, and windows of 2048 tokens by the OPT and the LLaMA tokenizer. */
static const struct {
    const char *dataset;
    long items, opt_windows, llama_windows;
} whole[] = {
    {"piqa", 1838, 0, 0},       {"boolq", 3270, 0, 0},      {"openbookqa", 500, 0, 0},
    {"winogrande", 1267, 0, 0}, {"arc_easy", 2376, 0, 0},   {"arc_challenge", 1172, 0, 0},
    {"hellaswag", 10042, 0, 0}, {"wikitext2", 0, 140, 166}, {"wikitext2_gptq", 0, 140, 166},
    {"ptb", 0, 47, 52},         {"c4", 0, 256, 256},        {"c4_gptq", 0, 256, 256},
};

static int remark_part(const struct measured *ours, long count, struct arena *arena,
                       const char **out)
{
    const struct known_model *known = known_model_find(ours->model);
    bool llama = known && known->family == FAMILY_LLAMA;
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        if (strcmp(whole[i].dataset, ours->dataset) != 0)
            continue;
        long windows = llama ? whole[i].llama_windows : whole[i].opt_windows;
        if (whole[i].items && count < whole[i].items)
            return arena_printf(arena, out, "%ld of %ld items", count, whole[i].items);
        if (windows && count / (PAPERS_WINDOW - 1) < windows)
            return arena_printf(arena, out, "%ld of %ld windows", count / (PAPERS_WINDOW - 1),
                                windows);
    }
    *out = "";
    return 0;
}

int published_remark(const struct measured *ours, long count, struct arena *arena, const char **out)
{
    int rc, samples = 0, length = 0, seed = 0;
    const char *corpus = NULL, *part, *draw = NULL;
    const json_t *calibration = json_object_get(ours->settings, "calibration");
    const struct quant_method *method = method_find(
        json_string_value(json_object_get(ours->settings, "method")));
    TRY(remark_part(ours, count, arena, &part));
    *out = part;
    if (!calibration || !method || !(method->caps & QM_NEEDS_HESSIAN) ||
        json_unpack((json_t *)calibration, "{s:s, s:i, s:i, s:i, s?s}", "corpus", &corpus,
                    "samples", &samples, "length", &length, "seed", &seed, "draw", &draw) != 0)
        goto out;
    bool theirs = (strcmp(corpus, "c4") == 0 || strcmp(corpus, "c4_gptq") == 0) &&
                  samples == PAPERS_SAMPLES && length == PAPERS_WINDOW && seed == 0 && draw &&
                  strcmp(draw, "python") == 0;
    if (!theirs)
        TRY(arena_printf(arena, out, "%s%scalibrated on %s %d x %d%s", part, *part ? "; " : "",
                         corpus, samples, length, seed ? ", another seed" : ""));
out:
    return rc;
}
