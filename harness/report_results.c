/* The tables: what was measured, which of it is best, and what really differs. */
#include "core/err.h"
#include "harness/compare.h"
#include "harness/report_internal.h"
#include "harness/table_pareto.h"

#include <math.h>
#include <string.h>

static const double level = 0.05;

/* ---- what cannot be told from the best of its column ---- */

static int is_better(const struct table_metric *metric, double value, double than)
{
    return table_metric_is_perplexity(metric) ? value < than : value > than;
}

/* The best of the quantized points in a metric, or NULL. */
static const struct table_row *best_row(const struct table *table, int metric)
{
    const struct table_row *best = NULL;
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        if (row->failed || !(row->weights > 0) || !row->values[metric].present ||
            isnan(row->values[metric].value))
            continue;
        if (!best || is_better(&table->metrics[metric], row->values[metric].value,
                               best->values[metric].value))
            best = row;
    }
    return best;
}

/* lines: every other quantized point against the best one, corrected within the metric. */
static int against_best(struct report *report, int metric, struct compare *compare)
{
    const struct table *table = report->table;
    int rc, same;
    *compare = (struct compare){.base = best_row(table, metric)};
    TRY(arena_calloc(report->arena, &compare->lines, (size_t)table->row_count,
                     sizeof *compare->lines));
    for (int i = 0; i < table->row_count && compare->base; i++) {
        struct compare_line *line = &compare->lines[compare->count];
        line->row = &table->rows[i];
        if (line->row == compare->base || line->row->failed || !(line->row->weights > 0) ||
            !line->row->values[metric].present ||
            strcmp(line->row->model_hash, compare->base->model_hash) != 0)
            continue;
        TRY(table_compare(report->store, line->row, compare->base, &table->metrics[metric],
                          &line->paired, &same, report->arena));
        compare->count += same;
    }
    TRY(compare_correct(compare, report->arena));
out:
    return rc;
}

/* classes of the cells of a metric's column. */
static int mark_column(struct report *report, int metric, const char **classes, int column,
                       int columns)
{
    const struct table *table = report->table;
    struct compare compare;
    int rc;
    TRY(against_best(report, metric, &compare));
    if (compare.base)
        classes[(compare.base - table->rows + 1) * columns + column] = "best";
    for (int i = 0; i < compare.count; i++)
        if (compare.lines[i].corrected > level)
            classes[(compare.lines[i].row - table->rows + 1) * columns + column] = "near";
out:
    return rc;
}

/* The marks do not hang on colour alone. */
static int add_signs(struct grid *grid, const char *const *classes, struct arena *arena)
{
    int rc = 0;
    for (int i = 0; i < grid->rows * grid->columns; i++)
        if (classes[i])
            TRY(arena_printf(arena, &grid->cells[i], "%s %s",
                             strcmp(classes[i], "best") == 0 ? "★" : "≈", grid->cells[i]));
out:
    return rc;
}

static int results(struct report *report)
{
    const struct table *table = report->table;
    struct notes notes;
    struct grid grid;
    const char **classes;
    int rc;
    TRY(table_notes(&notes, table, report->arena));
    TRY(table_results(&grid, table, &notes, report->arena));
    TRY(arena_calloc(report->arena, &classes, (size_t)grid.rows * (size_t)grid.columns,
                     sizeof *classes));
    for (int j = 0; j < table->metric_count; j++)
        TRY(mark_column(report, j, classes, grid.columns - 2 - table->metric_count + j,
                        grid.columns));
    TRY(add_signs(&grid, classes, report->arena));
    TRY(html_grid(report->out, &grid, "Bits, quality and time", classes));
    TRY(strbuf_puts(report->out, "<ul class=\"soft\">\n"));
    for (int i = 0; i < notes.count; i++) {
        char mark[4];
        const char *text;
        note_mark(i, mark);
        TRY(arena_printf(report->arena, &text, "[%s] %s", mark, notes.texts[i]));
        TRY(html_element(report->out, "li", text));
    }
    for (int j = 0; j < table->metric_count; j++) {
        const char *legend;
        TRY(table_legend(&table->metrics[j], report->arena, &legend));
        TRY(html_element(report->out, "li", legend));
    }
    TRY(strbuf_puts(
        report->out,
        "<li>Bits: a weight as the paper counts; as stored, everything included; the whole file "
        "over all parameters. [low, high]: 95 % intervals, bootstrap over windows or items. ±: "
        "standard error.</li>\n<li>★ the best quantized point of a column; ≈ what cannot be "
        "told "
        "from it: paired on the same windows or items, its p by the sign test, corrected by "
        "Holm's procedure for the column, is above 0.05.</li>\n</ul>\n"));
out:
    return rc;
}

/* ---- differences to full precision ---- */

static int collect(struct report *report, struct compare *compare)
{
    const struct table *table = report->table;
    int rc;
    *compare = (struct compare){0};
    TRY(arena_calloc(report->arena, &compare->lines,
                     (size_t)table->row_count * (size_t)table->metric_count,
                     sizeof *compare->lines));
    for (int i = 0; i < table->row_count; i++)
        for (int j = 0; j < table->metric_count; j++)
            if (table->rows[i].values[j].compared == 1)
                compare->lines[compare->count++] = (struct compare_line){
                    .row = &table->rows[i],
                    .metric = &table->metrics[j],
                    .ours = &table->rows[i].values[j],
                    .paired = table->rows[i].values[j].paired};
    TRY(compare_correct(compare, report->arena));
out:
    return rc;
}

static int difference_cells(struct report *report, const struct compare_line *line,
                            const char **cells)
{
    const struct paired *d = &line->paired;
    const int ratio = table_metric_is_perplexity(line->metric);
    const double scale = ratio ? 1 : 100;
    const int digits = !ratio ? 1 : d->value < 10 ? 3 : 1;
    struct arena *arena = report->arena;
    int rc;
    cells[0] = report->names[line->row - report->table->rows];
    TRY(arena_printf(arena, &cells[1], "%s %s", line->metric->title, ratio ? "ppl" : "%"));
    TRY(arena_printf(arena, &cells[2], "%s%.*f", ratio ? "× " : "", digits, scale * d->value));
    cells[3] = "–";
    if (!isnan(d->low))
        TRY(arena_printf(arena, &cells[3], "[%.*f, %.*f]", digits, scale * d->low, digits,
                         scale * d->high));
    TRY(arena_printf(arena, &cells[4], "%d of %d", ratio ? d->above : d->below,
                     d->above + d->below));
    TRY(arena_printf(arena, &cells[5], "%.2g", line->corrected));
    int higher = d->above > d->below;
    cells[6] = line->corrected > level ? "no difference found"
               : higher == ratio       ? "worse"
                                       : "better";
out:
    return rc;
}

static int differences(struct report *report)
{
    enum { COLUMNS = 7 };
    static const char *const heads[COLUMNS] = {
        "method", "metric", "difference", "95 % interval", "worse in", "p (Holm)", "found"};
    struct compare compare;
    struct grid grid = {.columns = COLUMNS};
    const char **classes;
    int rc;
    TRY(collect(report, &compare));
    if (compare.count == 0) {
        rc = html_element(report->out, "p",
                          "There is no full-precision point that was measured on the same data.");
        goto out;
    }
    grid.rows = compare.count + 1;
    TRY(arena_calloc(report->arena, &grid.cells, (size_t)grid.rows * COLUMNS, sizeof *grid.cells));
    TRY(arena_calloc(report->arena, &classes, (size_t)grid.rows * COLUMNS, sizeof *classes));
    memcpy(grid.cells, heads, sizeof heads);
    classes[1] = classes[6] = "text";
    for (int i = 0; i < compare.count; i++) {
        const char **row_classes = classes + (size_t)(i + 1) * COLUMNS;
        TRY(difference_cells(report, &compare.lines[i], grid.cells + (size_t)(i + 1) * COLUMNS));
        row_classes[1] = row_classes[6] = "text";
        if (compare.lines[i].corrected > level)
            row_classes[6] = "text near";
    }
    TRY(html_grid(report->out, &grid, "Against full precision, on the same windows and items",
                  classes));
    TRY(strbuf_printf(report->out,
                      "<p class=\"soft\">Difference: the ratio of perplexities, or points of a "
                      "hundred. Worse in: windows or items that got worse, of those that changed. "
                      "p: the exact sign test (of items: McNemar's), corrected for the %d "
                      "comparisons of this table by Holm's procedure.</p>\n",
                      compare.count));
out:
    return rc;
}

static int fronts(struct report *report)
{
    struct grid marks, areas;
    int rc;
    TRY(pareto_marks(&marks, report->table, report->arena));
    TRY(pareto_areas(&areas, report->table, report->arena));
    if (marks.rows == 0)
        goto out;
    TRY(strbuf_puts(report->out, "<h3>Pareto fronts</h3>\n"));
    TRY(html_grid(report->out, &marks,
                  "Against which bits or time no other point is as cheap and as good", NULL));
    TRY(html_grid(report->out, &areas,
                  "Perplexity at equal cost over the best there is, geometric mean along each "
                  "method's front",
                  NULL));
out:
    return rc;
}

int report_results(struct report *report)
{
    int rc;
    TRY(strbuf_puts(report->out, "<section id=\"results\"><h2>Results</h2>\n"));
    TRY(results(report));
    TRY(fronts(report));
    TRY(strbuf_puts(report->out, "</section>\n<section id=\"differences\"><h2>Differences to full "
                                 "precision</h2>\n"));
    TRY(differences(report));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
