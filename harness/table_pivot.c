#include "harness/table_pivot.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/table_marks.h"
#include "harness/table_pivot_side.h"
#include "harness/table_settings.h"

#include <math.h>
#include <string.h>

/* ---- several points in a cell ---- */

static int refuse(const struct table_row *a, const struct table_row *b)
{
    struct strbuf names = {0};
    int rc;
    TRY(settings_differences(a, b, &names));
    rc = err_set(ERR_USAGE,
                 "--rows, --columns: '%s' and '%s' fall into one cell; they differ in %s: name one "
                 "of these in --rows or --columns, choose with --where, or take the best with "
                 "--best",
                 a->label, b->label, names.length ? names.data : "nothing that is a setting");
out:
    strbuf_release(&names);
    return rc;
}

/* Less is better, but for accuracies and what is made of them. */
static bool is_better(const struct table *table, const struct measure *measure, int a, int b,
                      struct arena *arena)
{
    const bool more = (measure->quantity == QUANTITY_VALUE ||
                       measure->quantity == QUANTITY_DIFFERENCE) &&
                      !table_metric_is_perplexity(&table->metrics[measure->metric]);
    const char *text;
    double ours = NAN, theirs = NAN;
    if (measure_cell(measure, table, a, arena, &text, &ours) != 0 ||
        measure_cell(measure, table, b, arena, &text, &theirs) != 0 || isnan(ours))
        return false;
    return isnan(theirs) ||
           (more || measure->quantity == QUANTITY_SAME_TOP ? ours > theirs : ours < theirs);
}

/* The best is the best by the first metric; where the values have none, by the first of them. */
static const struct measure *deciding(const struct measures *measures)
{
    for (int m = 0; m < measures->count; m++)
        if (measures->all[m].quantity == QUANTITY_VALUE)
            return &measures->all[m];
    return &measures->all[0];
}

/* cells[r * columns + c] = the row of the table that stands there, or -1. */
static int place_rows(const struct table *table, const struct pivot *pivot,
                      const struct pivot_side *down, const struct pivot_side *across,
                      const unsigned char *takes_part, const struct measure *measure,
                      struct arena *arena, int *cells)
{
    for (int i = 0; i < down->group_count * across->group_count; i++)
        cells[i] = -1;
    for (int i = 0; i < table->row_count; i++) {
        if (!takes_part[i])
            continue;
        int *cell =
            &cells[pivot_side_group(down, i) * across->group_count + pivot_side_group(across, i)];
        if (*cell >= 0 && !pivot->best)
            return refuse(&table->rows[*cell], &table->rows[i]);
        if (*cell < 0 || is_better(table, measure, i, *cell, arena))
            *cell = i;
    }
    return 0;
}

/* of_cell[i] = the note of the point in cell i, or -1. */
static int note_cells(struct notes *notes, int *of_cell, const struct table *table, bool times,
                      const int *cells, int count, struct arena *arena)
{
    struct table placed = *table;
    int rc, k = 0;
    TRY(arena_alloc(arena, &placed.rows, (size_t)count, sizeof *placed.rows));
    placed.row_count = 0;
    for (int i = 0; i < count; i++)
        if (cells[i] >= 0)
            placed.rows[placed.row_count++] = table->rows[cells[i]];
    TRY(table_notes(notes, &placed, times, arena));
    for (int i = 0; i < count; i++)
        of_cell[i] = cells[i] >= 0 ? notes->of_row[k++] : -1;
out:
    return rc;
}

/* ---- cells ---- */

/* Which row of the table stands in each cell, -1: none, and its note. */
struct layout {
    const int *cells, *notes;
    int groups, columns; /* down and across */
};

static int add_mark(const char **text, int note, struct arena *arena)
{
    char mark[4];
    note_mark(note, mark);
    return arena_printf(arena, text, "%s [%s]", *text, mark);
}

static int plain_value(const struct table *table, const struct measure *measure, int row,
                       struct arena *arena, const char **text)
{
    const struct table_value *v = &table->rows[row].values[measure->metric];
    void (*format)(char *, double) = table_metric_is_perplexity(&table->metrics[measure->metric])
                                         ? table_number
                                         : table_points;
    char value[TABLE_NUMBER], deviation[TABLE_NUMBER];
    if (!v->present)
        return 0;
    format(value, v->value);
    format(deviation, v->deviation);
    return isnan(v->deviation) ? arena_printf(arena, text, "%s", value)
                               : arena_printf(arena, text, "%s ± %s", value, deviation);
}

/* One column of the grid: a group across, one of the values. */
struct column {
    int group, at; /* at: its place in the grid */
    const struct measure *measure;
    bool first; /* of its group */
};

static int mark_column(struct store *store, const struct table *table, const struct column *column,
                       const struct layout *layout, struct grid *grid, struct grid_writer *writer,
                       struct arena *arena)
{
    const struct table_row **rows;
    enum table_mark *marks;
    double *p;
    const int groups = layout->groups;
    int rc;
    TRY(arena_calloc(arena, &rows, (size_t)groups, sizeof *rows));
    TRY(arena_alloc(arena, &marks, (size_t)groups, sizeof *marks));
    TRY(arena_alloc(arena, &p, (size_t)groups, sizeof *p));
    for (int r = 0; r < groups; r++) {
        int row = layout->cells[r * layout->columns + column->group];
        rows[r] = row < 0 ? NULL : &table->rows[row];
    }
    TRY(marks_of(store, &table->metrics[column->measure->metric], column->measure->metric, rows,
                 groups, marks, p, arena));
    for (int r = 0; r < groups; r++)
        writer->marks[(r + 1) * grid->columns + column->at] = marks[r];
out:
    return rc;
}

static int fill_column(const struct table *table, const struct pivot *pivot,
                       const struct column *column, const struct layout *layout, struct grid *grid,
                       struct grid_writer *writer, struct arena *arena)
{
    int rc = 0;
    for (int r = 0; r < layout->groups; r++) {
        const int cell = r * layout->columns + column->group, row = layout->cells[cell];
        const int at = (r + 1) * grid->columns + column->at;
        if (row < 0)
            continue;
        if (table->rows[row].failed)
            grid->cells[at] = "failed";
        else
            TRY(measure_cell(column->measure, table, row, arena, &grid->cells[at],
                             &writer->values[at]));
        if (column->measure->quantity == QUANTITY_VALUE && !pivot->intervals)
            TRY(plain_value(table, column->measure, row, arena, &grid->cells[at]));
        if (column->first && layout->notes[cell] >= 0)
            TRY(add_mark(&grid->cells[at], layout->notes[cell], arena));
    }
out:
    return rc;
}

static int fill_keys(struct grid *grid, struct grid_writer *writer, const struct pivot_side *down)
{
    grid->left = down->key_count;
    for (int k = 0; k < down->key_count; k++) {
        grid->cells[k] = down->keys[k].name;
        for (int r = 0; r < down->group_count; r++) {
            const int at = (r + 1) * grid->columns + k;
            grid->cells[at] = down->keys[k].texts[down->groups[r]];
            writer->values[at] = down->keys[k].numeric ? down->keys[k].numbers[down->groups[r]]
                                                       : NAN;
        }
    }
    return 0;
}

static int make_grid(struct grid *grid, struct store *store, const struct table *table,
                     const struct pivot *pivot, const struct pivot_side *down,
                     const struct pivot_side *across, const struct measures *measures,
                     const struct layout *layout, struct arena *arena)
{
    struct grid_writer writer;
    int rc;
    TRY(grid_init(grid, down->group_count + 1,
                  down->key_count + across->group_count * measures->count, &writer, arena));
    TRY(fill_keys(grid, &writer, down));
    for (int c = 0; c < across->group_count * measures->count; c++) {
        const struct column column = {c / measures->count, down->key_count + c,
                                      &measures->all[c % measures->count],
                                      c % measures->count == 0};
        const char *name;
        TRY(pivot_side_name(across, column.group, arena, &name));
        if (*name && measures->count > 1)
            TRY(arena_printf(arena, &name, "%s, %s", name, column.measure->head));
        grid->cells[column.at] = *name ? name : column.measure->head;
        TRY(fill_column(table, pivot, &column, layout, grid, &writer, arena));
        if (measure_is_marked(column.measure))
            TRY(mark_column(store, table, &column, layout, grid, &writer, arena));
    }
out:
    return rc;
}

/* ---- below the table ---- */

static int add_lines(struct document *document, const struct table *table,
                     const struct pivot *pivot, const struct measures *measures,
                     const struct notes *notes, int left_out, struct arena *arena)
{
    bool marked = false, seeds = false;
    int rc;
    TRY(document_notes(document, notes, arena));
    for (int m = 0; m < measures->count; m++) {
        const struct measure *measure = &measures->all[m];
        const char *legend;
        if (measure->quantity < QUANTITY_VALUE || measure->quantity > QUANTITY_PUBLISHED)
            continue;
        marked |= measure_is_marked(measure);
        TRY(table_legend(&table->metrics[measure->metric], arena, &legend));
        TRY(document_line(document, arena, "%s", legend));
    }
    if (marked)
        TRY(document_line(document, arena, "%s", marks_note));
    for (int i = 0; i < table->row_count; i++)
        seeds |= table->rows[i].id_count > 1;
    if (seeds && !pivot->intervals)
        TRY(document_line(document, arena,
                          "±: standard deviation over calibration seeds (not sampling error)"));
    if (left_out)
        TRY(document_line(document, arena, "%d point%s without one of %s%s%s: not in this table",
                          left_out, left_out == 1 ? "" : "s", pivot->rows,
                          pivot->columns ? ", " : "", pivot->columns ? pivot->columns : ""));
out:
    return rc;
}

int pivot_make(struct document *document, struct store *store, const struct table *table,
               const struct pivot *pivot, const struct comparison *papers, struct arena *arena)
{
    struct pivot_side down, across;
    struct measures measures;
    struct grid grid;
    const char *caption, *value = pivot->value;
    unsigned char *takes_part;
    struct notes notes;
    int rc, left_out = 0, *cells, *of_cell;
    if (!value && table->metric_count == 0)
        return err_set(ERR_USAGE, "--rows: nothing was measured; name a column with --value");
    if (!value)
        TRY(arena_printf(arena, &value, "%s:%s", table->metrics[0].kind, table->metrics[0].title));
    TRY(measures_parse(&measures, store, table, "--value", value, papers, arena));
    TRY(pivot_side_read(&down, store, table, "--rows", pivot->rows, arena));
    TRY(pivot_side_read(&across, store, table, "--columns", pivot->columns, arena));
    TRY(arena_calloc(arena, &takes_part, (size_t)table->row_count, 1));
    for (int i = 0; i < table->row_count; i++) {
        takes_part[i] = pivot_side_has(&down, i) && pivot_side_has(&across, i);
        left_out += !takes_part[i];
    }
    if (left_out == table->row_count)
        TRY(err_set(ERR_MISSING, "%s: no point has all of %s%s%s", table->experiment, pivot->rows,
                    pivot->columns ? ", " : "", pivot->columns ? pivot->columns : ""));
    TRY(pivot_side_sort(&down, takes_part, table->row_count, arena));
    TRY(pivot_side_sort(&across, takes_part, table->row_count, arena));
    const int cell_count = down.group_count * across.group_count;
    TRY(arena_alloc(arena, &cells, (size_t)cell_count, sizeof *cells));
    TRY(arena_alloc(arena, &of_cell, (size_t)cell_count, sizeof *of_cell));
    TRY(place_rows(table, pivot, &down, &across, takes_part, deciding(&measures), arena, cells));
    TRY(note_cells(&notes, of_cell, table, measures_have_times(&measures), cells, cell_count,
                   arena));
    const struct layout layout = {cells, of_cell, down.group_count, across.group_count};
    TRY(make_grid(&grid, store, table, pivot, &down, &across, &measures, &layout, arena));
    caption = "";
    if (measures.count == 1)
        TRY(arena_printf(arena, &caption, "%s%s%s", measures.all[0].head,
                         pivot->columns ? ", by " : "", pivot->columns ? pivot->columns : ""));
    TRY(document_add(document, caption, &grid));
    TRY(add_lines(document, table, pivot, &measures, &notes, left_out, arena));
out:
    return rc;
}
