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

static int add_line(struct comparison *comparison, const struct comparison_line *line,
                    const struct measured *ours, struct arena *arena)
{
    struct comparison_line *l = &comparison->lines[comparison->count];
    int rc;
    *l = *line;
    l->value = line->ours->value * (table_metric_is_perplexity(line->metric) ? 1 : 100);
    l->difference = l->value - l->theirs->value;
    l->relative = l->difference / l->theirs->value;
    TRY(published_remark(ours, line->metric->count, arena, &l->remark));
    comparison->count++;
out:
    return rc;
}

/* All published rows that a row's metrics match; lines NULL: they are only counted. */
static int match_row(struct comparison *comparison, const struct table *table,
                     const struct table_row *row, const struct published *published,
                     struct arena *arena)
{
    int rc = 0;
    json_t *settings = json_loads(row->settings, 0, NULL);
    if (!settings)
        return err_set(ERR_FORMAT, "the settings of point %.12s are not JSON", row->id);
    for (int j = 0; j < table->metric_count; j++) {
        const struct table_metric *m = &table->metrics[j];
        const struct measured ours = {.model = row->model,
                                      .settings = settings,
                                      .weights = row->weights,
                                      .parameters = parameters_of(row),
                                      .dataset = m->dataset,
                                      .metric = m->kind,
                                      .split = m->split,
                                      .rule = m->rule,
                                      .window = m->window};
        for (int k = 0; row->values[j].present && k < published->count; k++) {
            const struct comparison_line line = {
                &published->rows[k], row, m, &row->values[j], 0, 0, 0, ""};
            if (!published_matches(&published->rows[k], &ours))
                continue;
            if (comparison->lines)
                TRY(add_line(comparison, &line, &ours, arena));
            else
                comparison->count++;
        }
    }
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

static const char *unit(const struct comparison_line *line)
{
    if (table_metric_is_perplexity(line->metric))
        return "ppl";
    return strcmp(line->metric->rule, "characters") == 0 ? "acc_norm %" : "acc %";
}

static int fill(const struct comparison_line *line, const char **cell, struct arena *arena)
{
    char ours[TABLE_NUMBER], difference[TABLE_NUMBER];
    const char *remark = line->remark, *note = line->theirs->note;
    int rc;
    table_number(ours, line->value);
    table_number(difference, line->difference);
    cell[0] = line->theirs->model;
    cell[1] = line->row->label;
    TRY(arena_printf(arena, &cell[2], "%s %s", line->metric->dataset, unit(line)));
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
        double scale = table_metric_is_perplexity(l->metric) ? 1 : 100;
        const char *const first[] = {p->paper,   p->table,  p->model, p->method, p->settings,
                                     p->dataset, p->metric, p->rule,  p->text};
        const double numbers[] = {l->value, l->ours->low * scale, l->ours->high * scale,
                                  l->difference, l->relative};
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
