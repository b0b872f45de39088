#include "harness/table_pareto.h"

#include "core/err.h"
#include "harness/pareto.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { COSTS = 4 };
static const char *const cost_names[COSTS] = {"paper", "stored", "file", "time"};

static double cost_of(const struct table_row *row, int cost)
{
    const double costs[COSTS] = {row->paper_bits, row->stored_bits, row->full_bits,
                                 row->quantize_seconds};
    return costs[cost];
}

static bool takes_part(const struct table_row *row)
{
    return !row->failed && row->weights > 0;
}

/* A point for each row of the table; those of another model, or another method (NULL: any), or that
 * take no part, are NaN. */
static int collect(const struct table *table, int metric, int cost, const char *model_hash,
                   const char *method, struct arena *arena, struct pareto_point **points)
{
    int rc = arena_alloc(arena, points, (size_t)table->row_count, sizeof **points);
    for (int i = 0; i < table->row_count && rc == 0; i++) {
        const struct table_row *row = &table->rows[i];
        const struct table_value *value = &row->values[metric];
        bool in = takes_part(row) && value->present && strcmp(row->model_hash, model_hash) == 0 &&
                  (!method || strcmp(row->method, method) == 0);
        (*points)[i] = (struct pareto_point){in ? cost_of(row, cost) : NAN,
                                             in ? value->value : NAN};
    }
    return rc;
}

/* *on = whether a row is on the front of its model's points. */
static int is_on(const struct table *table, int row, int metric, int cost, struct arena *arena,
                 bool *on)
{
    struct arena_mark mark = arena_mark(arena);
    struct pareto_point *points;
    int rc, *all;
    TRY(collect(table, metric, cost, table->rows[row].model_hash, NULL, arena, &points));
    TRY(arena_alloc(arena, &all, (size_t)table->row_count, sizeof *all));
    pareto_front(points, table->row_count, all);
    *on = all[row];
out:
    arena_reset(arena, mark);
    return rc;
}

static int count_perplexities(const struct table *table)
{
    int count = 0;
    while (count < table->metric_count && table_metric_is_perplexity(&table->metrics[count]))
        count++; /* they stand first */
    return count;
}

static int name_row(const struct table *table, const struct table_row *row, const char *what,
                    struct arena *arena, const char **out)
{
    return arena_printf(arena, out, "%s%s%s", table->models > 1 ? table_model_name(row->model) : "",
                        table->models > 1 ? ": " : "", what);
}

static int mark_cell(const struct table *table, int row, int metric, struct arena *arena,
                     const char **cell)
{
    int rc = 0;
    const char *text = "";
    for (int c = 0; c < COSTS; c++) {
        bool on;
        TRY(is_on(table, row, metric, c, arena, &on));
        if (on)
            TRY(arena_printf(arena, &text, "%s%s%s", text, *text ? ", " : "", cost_names[c]));
    }
    *cell = *text ? text : "–";
out:
    return rc;
}

int pareto_marks(struct grid *grid, const struct table *table, struct arena *arena)
{
    int rc = 0, metrics = count_perplexities(table);
    *grid = (struct grid){.columns = metrics + 1};
    if (metrics == 0)
        return 0;
    TRY(arena_calloc(arena, &grid->cells, (size_t)(table->row_count + 1) * (size_t)grid->columns,
                     sizeof *grid->cells));
    grid->cells[0] = "method";
    for (int j = 0; j < metrics; j++)
        TRY(arena_printf(arena, &grid->cells[j + 1], "%s ppl", table->metrics[j].title));
    grid->rows = 1;
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        if (!takes_part(row))
            continue;
        const char **cells = grid->cells + grid->rows++ * grid->columns;
        TRY(name_row(table, row, row->label, arena, &cells[0]));
        for (int j = 0; j < metrics; j++)
            TRY(mark_cell(table, i, j, arena, &cells[j + 1]));
    }
    if (grid->rows == 1)
        grid->rows = 0;
out:
    return rc;
}

/* True for the first row of its model and method. */
static bool is_first(const struct table *table, int row)
{
    for (int i = 0; i < row; i++)
        if (takes_part(&table->rows[i]) &&
            strcmp(table->rows[i].method, table->rows[row].method) == 0 &&
            strcmp(table->rows[i].model_hash, table->rows[row].model_hash) == 0)
            return false;
    return takes_part(&table->rows[row]);
}

static int area_cell(const struct table *table, const struct table_row *row, int metric, int cost,
                     struct arena *arena, const char **cell)
{
    struct pareto_point *ours, *all;
    int rc;
    TRY(collect(table, metric, cost, row->model_hash, row->method, arena, &ours));
    TRY(collect(table, metric, cost, row->model_hash, NULL, arena, &all));
    double ratio = pareto_ratio(ours, table->row_count, all, table->row_count);
    if (isnan(ratio))
        *cell = "–";
    else
        TRY(arena_printf(arena, cell, ratio < 10 ? "%.3f" : "%.1f", ratio));
out:
    return rc;
}

int pareto_areas(struct grid *grid, const struct table *table, struct arena *arena)
{
    int rc = 0, metrics = count_perplexities(table);
    *grid = (struct grid){.columns = metrics * COSTS + 1};
    if (metrics == 0)
        return 0;
    TRY(arena_calloc(arena, &grid->cells, (size_t)(table->row_count + 1) * (size_t)grid->columns,
                     sizeof *grid->cells));
    grid->cells[0] = "front of";
    for (int k = 0; k < metrics * COSTS; k++)
        TRY(arena_printf(arena, &grid->cells[k + 1], "%s, %s", table->metrics[k / COSTS].title,
                         cost_names[k % COSTS]));
    grid->rows = 1;
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        if (!is_first(table, i))
            continue;
        const char **cells = grid->cells + grid->rows++ * grid->columns;
        TRY(name_row(table, row, row->method, arena, &cells[0]));
        for (int k = 0; k < metrics * COSTS; k++)
            TRY(area_cell(table, row, k / COSTS, k % COSTS, arena, &cells[k + 1]));
    }
    if (grid->rows == 1)
        grid->rows = 0;
out:
    return rc;
}

/* The cost of the pairs: what is stored is the bits that all methods count alike. */
enum { PAIR_COST = 1 };

static int pair_cell(const struct table *table, const struct table_row *ours,
                     const struct table_row *base, int metric, struct arena *arena,
                     const char **cell)
{
    struct pareto_point *mine, *theirs;
    int rc;
    TRY(collect(table, metric, PAIR_COST, ours->model_hash, ours->method, arena, &mine));
    TRY(collect(table, metric, PAIR_COST, base->model_hash, base->method, arena, &theirs));
    double ratio = pareto_ratio(mine, table->row_count, theirs, table->row_count);
    *cell = "–";
    if (!isnan(ratio) && strcmp(ours->model_hash, base->model_hash) == 0)
        TRY(arena_printf(arena, cell, "%+.3f", log2(ratio)));
out:
    return rc;
}

/* A line and a column a method (of each model): log2 of the pareto_ratio of the line's front to the
 * column's, against stored bits. rows = 0 where there are not two. */
static int pareto_pairs(struct grid *grid, const struct table *table, int metric,
                        struct arena *arena)
{
    int rc, count = 0, *firsts;
    TRY(arena_alloc(arena, &firsts, (size_t)table->row_count, sizeof *firsts));
    for (int i = 0; i < table->row_count; i++)
        if (is_first(table, i))
            firsts[count++] = i;
    *grid = (struct grid){.rows = count > 1 ? count + 1 : 0, .columns = count + 1};
    TRY(arena_calloc(arena, &grid->cells, (size_t)(count + 1) * (size_t)(count + 1),
                     sizeof *grid->cells));
    TRY(arena_printf(arena, &grid->cells[0], "%s: front of", table->metrics[metric].title));
    for (int i = 0; i < count; i++) {
        const struct table_row *ours = &table->rows[firsts[i]];
        const char **cells = grid->cells + (i + 1) * grid->columns;
        TRY(name_row(table, ours, ours->method, arena, &cells[0]));
        grid->cells[i + 1] = cells[0];
        for (int k = 0; k < count; k++)
            TRY(pair_cell(table, ours, &table->rows[firsts[k]], metric, arena, &cells[k + 1]));
    }
out:
    return rc;
}

static int print_pairs(const struct table *table, bool latex, FILE *out, struct arena *arena)
{
    static const char title[] =
        "Area between the fronts of two methods: mean difference in log2 perplexity (line less "
        "column) at equal stored bits, where both are";
    struct grid grid;
    int rc = 0;
    for (int j = 0; j < count_perplexities(table); j++) {
        TRY(pareto_pairs(&grid, table, j, arena));
        if (grid.rows == 0)
            break;
        if (j == 0)
            fprintf(out, latex ? "\n%% %s\n" : "\n%s\n\n", title);
        else
            fputs("\n", out);
        TRY(latex ? grid_latex(&grid, out) : grid_markdown(&grid, out, arena));
    }
out:
    return rc;
}

static int print_grids(const struct table *table, enum table_format format, FILE *out,
                       struct arena *arena)
{
    struct grid marks, areas;
    int rc;
    bool latex = format == TABLE_LATEX;
    TRY(pareto_marks(&marks, table, arena));
    TRY(pareto_areas(&areas, table, arena));
    if (marks.rows == 0) {
        rc = err_set(ERR_MISSING, "%s: there is no perplexity of a quantized point: no front",
                     table->experiment);
        goto out;
    }
    fputs(latex ? "\n% Pareto fronts: against which cost a point is on the front\n"
                : "\nPareto fronts: against which bits or time a point is on the front\n\n",
          out);
    TRY(latex ? grid_latex(&marks, out) : grid_markdown(&marks, out, arena));
    fputs(latex ? "\n% best perplexity at equal cost over that of all methods, geometric mean\n"
                : "\nArea between each method's front and that of all: perplexity at equal cost "
                  "over the best there is, geometric mean\n\n",
          out);
    TRY(latex ? grid_latex(&areas, out) : grid_markdown(&areas, out, arena));
    TRY(print_pairs(table, latex, out, arena));
out:
    return rc;
}

static int print_lines(const struct table *table, enum table_format format, FILE *out,
                       struct arena *arena)
{
    json_t *lines = json_array();
    int rc = 0, metrics = count_perplexities(table);
    char *text = NULL;
    if (format == TABLE_CSV)
        fputs("label,metric,cost,cost_value,perplexity,on_front,id,model\r\n", out);
    for (int n = 0; n < table->row_count * metrics * COSTS; n++) {
        const int i = n / (metrics * COSTS), j = n / COSTS % metrics, c = n % COSTS;
        const struct table_row *row = &table->rows[i];
        bool on;
        if (!takes_part(row) || !row->values[j].present || isnan(cost_of(row, c)))
            continue;
        TRY(is_on(table, i, j, c, arena, &on));
        if (format == TABLE_JSON) {
            json_array_append_new(
                lines, json_pack("{s:s,s:s,s:s,s:f,s:f,s:b,s:s,s:s}", "label", row->label, "metric",
                                 table->metrics[j].title, "cost", cost_names[c], "cost_value",
                                 cost_of(row, c), "perplexity", row->values[j].value, "on_front",
                                 (int)on, "id", row->id, "model", row->model));
            continue;
        }
        csv_text(row->label, 1, out);
        csv_text(table->metrics[j].title, 0, out);
        csv_text(cost_names[c], 0, out);
        csv_number(cost_of(row, c), out);
        csv_number(row->values[j].value, out);
        csv_text(on ? "1" : "0", 0, out);
        csv_text(row->id, 0, out);
        csv_text(row->model, 0, out);
        fputs("\r\n", out);
    }
    if (format == TABLE_JSON) {
        text = json_dumps(lines, JSON_COMPACT | JSON_REAL_PRECISION(17));
        rc = text ? 0 : err_set(ERR_MEMORY, "out of memory: the fronts as JSON");
        fprintf(out, "%s\n", text ? text : "");
    }
out:
    free(text);
    json_decref(lines);
    return rc;
}

int pareto_print(const struct table *table, enum table_format format, FILE *out,
                 struct arena *arena)
{
    return format == TABLE_CSV || format == TABLE_JSON ? print_lines(table, format, out, arena)
                                                       : print_grids(table, format, out, arena);
}
