#include "harness/table_published.h"

#include "core/err.h"
#include "harness/table_grid.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- matching ---- */

/* A packed file's bytes and bits per parameter give the number of parameters. */
static double parameters_of(const struct table_row *row)
{
    double count = row->file_bytes * 8 / row->full_bits;
    return isfinite(count) ? round(count) : 0;
}

static void add_line(struct comparison *comparison, const struct comparison_line *line)
{
    struct comparison_line *l = &comparison->lines[comparison->count++];
    *l = *line;
    l->difference = l->value - l->theirs->value;
    l->relative = l->difference / l->theirs->value;
}

static const char *unit(const struct table_metric *metric)
{
    if (table_metric_is_perplexity(metric))
        return "ppl";
    return strcmp(metric->rule, "characters") == 0 ? "acc_norm %" : "acc %";
}

/* How the text, the model or the point are not quite theirs: our remark, the row's warnings. */
static int join_remarks(const char *remark, const struct table_row *row, struct arena *arena,
                        const char **out)
{
    *out = remark;
    if (!*row->warnings)
        return 0;
    return arena_printf(arena, out, "%s%s%s", remark, *remark ? "; " : "", row->warnings);
}

static int add_metric(struct comparison *comparison, const struct published_row *theirs,
                      const struct table_row *row, const struct table_metric *metric,
                      const struct table_value *value, const struct measured *ours,
                      struct arena *arena)
{
    const double scale = table_metric_is_perplexity(metric) ? 1 : 100;
    struct comparison_line line = {.theirs = theirs,
                                   .row = row,
                                   .metric = metric,
                                   .value = value->value * scale,
                                   .low = value->low * scale,
                                   .high = value->high * scale};
    int rc;
    TRY(arena_printf(arena, &line.what, "%s %s", metric->dataset, unit(metric)));
    TRY(published_remark(ours, metric->count, arena, &line.remark));
    TRY(join_remarks(line.remark, row, arena, &line.remark));
    add_line(comparison, &line);
out:
    return rc;
}

/* ---- what is made of several numbers of a row ---- */

static bool of_one_line(const struct published_row *a, const struct published_row *b)
{
    return strcmp(a->paper, b->paper) == 0 && strcmp(a->table, b->table) == 0 &&
           strcmp(a->model, b->model) == 0 && strcmp(a->method, b->method) == 0 &&
           strcmp(a->kind, b->kind) == 0 && strcmp(a->settings, b->settings) == 0 &&
           strcmp(a->bits, b->bits) == 0;
}

/* The mean of ours over the tasks that their average is of; NaN where one of them is not among the
 * row's lines, which begin at `first`. */
static double mean_of(const struct comparison *comparison, int first,
                      const struct published *published, const struct published_row *average,
                      struct comparison_line *line)
{
    double sum = 0;
    int wanted = 0, found = 0;
    for (int k = 0; k < published->count; k++)
        wanted += strcmp(published->rows[k].metric, "accuracy") == 0 &&
                  &published->rows[k] != average && of_one_line(&published->rows[k], average);
    for (int i = first; i < comparison->count; i++) {
        const struct comparison_line *l = &comparison->lines[i];
        if (!l->metric || table_metric_is_perplexity(l->metric) || !of_one_line(l->theirs, average))
            continue;
        sum += l->value;
        found++;
        if (*l->remark)
            line->remark = "of tasks with remarks";
    }
    return found && found == wanted ? sum / found : NAN;
}

/* Averages of accuracies, sizes of the file, what it saves against 16 bits a parameter. */
static void derive(struct comparison *comparison, int first, const struct table_row *row,
                   const struct published *published, const struct measured *ours)
{
    for (int k = 0; k < published->count; k++) {
        const struct published_row *p = &published->rows[k];
        struct comparison_line line = {
            .theirs = p, .row = row, .value = NAN, .low = NAN, .high = NAN, .remark = ""};
        struct measured same = *ours;
        same.dataset = p->dataset;
        same.metric = p->metric;
        same.rule = p->rule;
        if (strcmp(p->dataset, "average") == 0) {
            line.value = mean_of(comparison, first, published, p, &line);
            line.what = "average acc %";
        } else if (strcmp(p->metric, "size_gb") == 0) {
            line.value = row->file_bytes / 1e9;
            line.what = "size GB";
        } else if (strcmp(p->metric, "compression_percent") == 0) {
            line.value = 100 * (1 - row->file_bytes / (2 * ours->parameters));
            line.what = "saved %";
        }
        if (isfinite(line.value) && published_matches(p, &same))
            add_line(comparison, &line);
    }
}

/* All published rows that a row's metrics match, and what is made of them; lines NULL: how many
 * there may be is counted. */
static int match_row(struct comparison *comparison, const struct table *table,
                     const struct table_row *row, const struct published *published,
                     struct arena *arena)
{
    int rc = 0;
    const int first = comparison->count;
    struct measured ours = {
        .model = row->model, .weights = row->weights, .parameters = parameters_of(row)};
    json_t *settings = json_loads(row->settings, 0, NULL);
    if (!settings)
        return err_set(ERR_FORMAT, "the settings of point %.12s are not JSON", row->id);
    ours.settings = settings;
    for (int j = 0; j < table->metric_count; j++) {
        const struct table_metric *m = &table->metrics[j];
        ours.dataset = m->dataset;
        ours.metric = m->kind;
        ours.split = m->split;
        ours.rule = m->rule;
        ours.window = m->window;
        for (int k = 0; row->values[j].present && k < published->count; k++) {
            if (!published_matches(&published->rows[k], &ours))
                continue;
            if (comparison->lines)
                TRY(add_metric(comparison, &published->rows[k], row, m, &row->values[j], &ours,
                               arena));
            else
                comparison->count++;
        }
    }
    if (comparison->lines)
        derive(comparison, first, row, published, &ours);
    else
        comparison->count += published->count; /* at most: one line a number */
out:
    json_decref(settings);
    return rc;
}

int comparison_make(struct comparison *comparison, const struct table *table,
                    const struct published *published, struct arena *arena)
{
    struct comparison fresh = {.published = published->count};
    int rc = 0;
    for (int i = 0; i < table->row_count; i++)
        TRY(match_row(&fresh, table, &table->rows[i], published, arena));
    TRY(arena_calloc(arena, &fresh.lines, (size_t)fresh.count, sizeof *fresh.lines));
    fresh.count = 0;
    for (int i = 0; i < table->row_count; i++)
        TRY(match_row(&fresh, table, &table->rows[i], published, arena));
    *comparison = fresh;
out:
    return rc;
}

/* ---- printing ---- */

static const char *const head[] = {"model",      "method", "data",  "theirs", "ours",
                                   "difference", "%",      "where", "remark"};
enum { COLUMNS = sizeof head / sizeof *head };

static int fill(const struct comparison_line *line, const char **cell, struct arena *arena)
{
    char ours[TABLE_NUMBER], difference[TABLE_NUMBER];
    const char *remark = line->remark, *note = line->theirs->note;
    int rc;
    table_number(ours, line->value);
    table_number(difference, line->difference);
    cell[0] = line->theirs->model;
    cell[1] = line->row->label;
    cell[2] = line->what;
    cell[3] = line->theirs->text;
    TRY(arena_printf(arena, &cell[4], "%s", ours));
    TRY(arena_printf(arena, &cell[5], "%s%s", line->difference > 0 ? "+" : "", difference));
    TRY(arena_printf(arena, &cell[6], "%+.2f", 100 * line->relative));
    TRY(arena_printf(arena, &cell[7], "%s, %s", line->theirs->paper, line->theirs->table));
    TRY(arena_printf(arena, &cell[8], "%s%s%s", remark, *remark && *note ? "; " : "", note));
out:
    return rc;
}

static int print_grid(const struct comparison *comparison, const struct table *table,
                      enum table_format format, FILE *out, struct arena *arena)
{
    struct grid grid = {.rows = comparison->count + 1, .columns = COLUMNS};
    int rc;
    TRY(arena_calloc(arena, &grid.cells, (size_t)grid.rows * COLUMNS, sizeof *grid.cells));
    memcpy(grid.cells, head, sizeof head);
    for (int i = 0; i < comparison->count; i++)
        TRY(fill(&comparison->lines[i], grid.cells + (i + 1) * COLUMNS, arena));
    if (format == TABLE_LATEX) {
        fprintf(out, "%% %s beside the papers; needs \\usepackage{booktabs}\n", table->experiment);
        TRY(grid_latex(&grid, out));
        goto out;
    }
    fprintf(out, "%s beside the papers' numbers\n\n",
            *table->title ? table->title : table->experiment);
    if (comparison->count)
        TRY(grid_markdown(&grid, out, arena));
    fprintf(out,
            "%s- %d lines; of the %d published numbers the others have none of ours beside them. "
            "Perplexities: tokens of windows of 2048; accuracies in percent.\n",
            comparison->count ? "\n" : "", comparison->count, comparison->published);
out:
    return rc;
}

static void print_csv(const struct comparison *comparison, FILE *out)
{
    fputs("paper,table,model,method,settings,dataset,metric,rule,published,ours,low,high,"
          "difference,relative,remark,note,label,id\r\n",
          out);
    for (int i = 0; i < comparison->count; i++) {
        const struct comparison_line *l = &comparison->lines[i];
        const struct published_row *p = l->theirs;
        const char *const first[] = {p->paper,   p->table,  p->model, p->method, p->settings,
                                     p->dataset, p->metric, p->rule,  p->text};
        const double numbers[] = {l->value, l->low, l->high, l->difference, l->relative};
        const char *const last[] = {l->remark, p->note, l->row->label, l->row->id};
        for (size_t k = 0; k < sizeof first / sizeof *first; k++)
            csv_text(first[k], k == 0, out);
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
            csv_number(numbers[k], out);
        for (size_t k = 0; k < sizeof last / sizeof *last; k++)
            csv_text(last[k], 0, out);
        fputs("\r\n", out);
    }
}

static int print_json(const struct comparison *comparison, const struct table *table, FILE *out)
{
    json_t *lines = json_array();
    for (int i = 0; i < comparison->count; i++) {
        const struct comparison_line *l = &comparison->lines[i];
        const struct published_row *p = l->theirs;
        json_array_append_new(
            lines, json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:s,s:s,s:s,s:s}",
                             "paper", p->paper, "table", p->table, "model", p->model, "method",
                             p->method, "settings", p->settings, "dataset", p->dataset, "metric",
                             p->metric, "rule", p->rule, "published", json_number_or_null(p->value),
                             "ours", json_number_or_null(l->value), "difference",
                             json_number_or_null(l->difference), "relative",
                             json_number_or_null(l->relative), "remark", l->remark, "note", p->note,
                             "label", l->row->label, "id", l->row->id));
    }
    return json_print_line(json_pack("{s:s,s:o,s:i}", "experiment", table->experiment, "lines",
                                     lines, "published", comparison->published),
                           out);
}

int comparison_print(const struct comparison *comparison, const struct table *table,
                     enum table_format format, FILE *out, struct arena *arena)
{
    if (format == TABLE_CSV) {
        print_csv(comparison, out);
        return 0;
    }
    if (format == TABLE_JSON)
        return print_json(comparison, table, out);
    return print_grid(comparison, table, format, out, arena);
}
