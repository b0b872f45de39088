/* The tables: what was measured, which of it is best, and what really differs. */
#include "core/err.h"
#include "harness/compare.h"
#include "harness/report_internal.h"
#include "harness/table_marks.h"
#include "harness/table_pareto.h"

#include <math.h>
#include <string.h>

static int add_item(struct report *report, const char *text)
{
    return html_element(report->out, "li", text);
}

static int add_notes(struct report *report, const struct notes *notes)
{
    int rc = 0;
    for (int i = 0; i < notes->count; i++) {
        char mark[4];
        const char *text;
        note_mark(i, mark);
        TRY(arena_printf(report->arena, &text, "[%s] %s", mark, notes->texts[i]));
        TRY(add_item(report, text));
    }
out:
    return rc;
}

static int results(struct report *report)
{
    const struct table *table = report->table;
    struct notes notes;
    struct grid grid;
    int rc;
    TRY(table_notes(&notes, table, true, report->arena));
    TRY(table_results(&grid, table, &notes, report->arena));
    TRY(html_grid(report->out, &grid, "Bits, quality and time", NULL));
    TRY(strbuf_puts(report->out, "<ul class=\"soft\">\n"));
    TRY(add_notes(report, &notes));
    for (int j = 0; j < table->metric_count; j++) {
        const char *legend;
        TRY(table_legend(&table->metrics[j], report->arena, &legend));
        TRY(add_item(report, legend));
    }
    TRY(add_item(report, "Bits: a weight as the paper counts; as stored, everything included; the "
                         "whole file over all parameters. [low, high]: 95 % intervals, bootstrap "
                         "over windows or items. ±: standard error."));
    TRY(add_item(report,
                 "★ the best quantized point of a column; ≈ what cannot be told from "
                 "it: paired on the same windows or items, its p by the sign test, corrected "
                 "by Holm's procedure for the column, is above 0.05."));
    TRY(strbuf_puts(report->out, "</ul>\n"));
out:
    return rc;
}

/* Points that differ in the calibration seed alone, as one row each: how much the draw of the
 * segments matters, apart from the error of sampling the evaluation. */
static int over_seeds(struct report *report)
{
    const struct table_selection together = {.experiment = report->table->experiment,
                                             .seeds_together = true};
    struct table table;
    struct notes notes;
    struct grid grid;
    int rc, count = 0;
    TRY(table_select(&table, report->store, &together, report->arena));
    for (int i = 0; i < table.row_count; i++)
        if (table.rows[i].id_count > 1)
            table.rows[count++] = table.rows[i];
    table.row_count = count;
    if (count == 0)
        goto out;
    TRY(table_mark(&table, report->store, report->arena));
    TRY(table_notes(&notes, &table, true, report->arena));
    TRY(table_results(&grid, &table, &notes, report->arena));
    TRY(strbuf_puts(report->out, "<h3>Over calibration seeds</h3>\n"));
    TRY(html_grid(report->out, &grid, "Means over the seeds, with the deviation among them", NULL));
    TRY(strbuf_puts(report->out, "<ul class=\"soft\">\n"));
    TRY(add_notes(report, &notes));
    TRY(add_item(report,
                 "± of a perplexity: the standard deviation among the seeds, which is apart "
                 "from the error of sampling the evaluation."));
    TRY(strbuf_puts(report->out, "</ul>\n"));
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
    cells[6] = line->corrected > MARKS_LEVEL ? "no difference found"
               : higher == ratio             ? "worse"
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
        if (compare.lines[i].corrected > MARKS_LEVEL)
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
    TRY(over_seeds(report));
    TRY(fronts(report));
    TRY(strbuf_puts(report->out, "</section>\n<section id=\"differences\"><h2>Differences to full "
                                 "precision</h2>\n"));
    TRY(differences(report));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
