#include "harness/table_pivot.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/table_marks.h"
#include "harness/table_query.h"
#include "harness/table_settings.h"

#include <math.h>
#include <string.h>

/* One side of the pivot: expressions, and the groups that their values make. */
struct side {
    struct key {
        const char *name;
        const char **texts; /* of each row of the table; NULL: the row takes no part */
        double *numbers;
        bool numeric;
    } * keys;
    int key_count;
    int *groups; /* a row of the table that stands for each group, in their order */
    int group_count;
};

/* ---- groups ---- */

static int read_keys(struct side *side, struct store *store, const struct table *table,
                     const char *what, const char *list, struct arena *arena)
{
    const size_t n = (size_t)table->row_count;
    const char **names;
    int rc = 0;
    *side = (struct side){0};
    if (!list)
        return 0;
    TRY(measures_split(list, &names, &side->key_count, arena));
    TRY(arena_calloc(arena, &side->keys, (size_t)side->key_count, sizeof *side->keys));
    for (int k = 0; k < side->key_count; k++) {
        struct key *key = &side->keys[k];
        key->name = names[k];
        key->numeric = true;
        TRY(arena_calloc(arena, &key->texts, n, sizeof *key->texts));
        TRY(arena_calloc(arena, &key->numbers, n, sizeof *key->numbers));
        TRY(query_column(store, table, what, names[k], key->texts, key->numbers, arena));
        for (int i = 0; i < table->row_count; i++)
            key->numeric &= !key->texts[i] || !isnan(key->numbers[i]);
    }
out:
    return rc;
}

static bool has_keys(const struct side *side, int row)
{
    for (int k = 0; k < side->key_count; k++)
        if (!side->keys[k].texts[row])
            return false;
    return true;
}

static bool same_group(const struct side *side, int a, int b)
{
    for (int k = 0; k < side->key_count; k++)
        if (strcmp(side->keys[k].texts[a], side->keys[k].texts[b]) != 0)
            return false;
    return true;
}

/* Where a text first stands: texts keep the order of the spec. */
static int first_place(const struct key *key, int row)
{
    int i = 0;
    while (!key->texts[i] || strcmp(key->texts[i], key->texts[row]) != 0)
        i++;
    return i;
}

static bool comes_before(const struct side *side, int a, int b)
{
    for (int k = 0; k < side->key_count; k++) {
        const struct key *key = &side->keys[k];
        if (strcmp(key->texts[a], key->texts[b]) == 0)
            continue;
        return key->numeric ? key->numbers[a] < key->numbers[b]
                            : first_place(key, a) < first_place(key, b);
    }
    return false;
}

static int group_of(const struct side *side, int row)
{
    int g = 0;
    while (g < side->group_count && !same_group(side, side->groups[g], row))
        g++;
    return g;
}

static int make_groups(struct side *side, const unsigned char *takes_part, int rows,
                       struct arena *arena)
{
    int rc = arena_alloc(arena, &side->groups, (size_t)rows, sizeof *side->groups);
    for (int i = 0; i < rows && rc == 0; i++) {
        if (!takes_part[i] || group_of(side, i) < side->group_count)
            continue;
        int at = side->group_count++;
        for (; at > 0 && comes_before(side, i, side->groups[at - 1]); at--)
            side->groups[at] = side->groups[at - 1];
        side->groups[at] = i;
    }
    return rc;
}

/* "hessian", "bits=3": texts speak for themselves. */
static int group_name(const struct side *side, int group, struct arena *arena, const char **out)
{
    int rc = 0;
    *out = "";
    for (int k = 0; k < side->key_count; k++) {
        const struct key *key = &side->keys[k];
        const char *text = key->texts[side->groups[group]];
        const bool named = key->numeric || strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        TRY(arena_printf(arena, out, "%s%s%s%s%s", *out, k ? ", " : "", named ? key->name : "",
                         named ? "=" : "", text));
    }
out:
    return rc;
}

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
static int place_rows(const struct table *table, const struct pivot *pivot, const struct side *down,
                      const struct side *across, const unsigned char *takes_part,
                      const struct measure *measure, struct arena *arena, int *cells)
{
    for (int i = 0; i < down->group_count * across->group_count; i++)
        cells[i] = -1;
    for (int i = 0; i < table->row_count; i++) {
        if (!takes_part[i])
            continue;
        int *cell = &cells[group_of(down, i) * across->group_count + group_of(across, i)];
        if (*cell >= 0 && !pivot->best)
            return refuse(&table->rows[*cell], &table->rows[i]);
        if (*cell < 0 || is_better(table, measure, i, *cell, arena))
            *cell = i;
    }
    return 0;
}

/* ---- cells ---- */

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
};

static int mark_column(struct store *store, const struct table *table, const struct column *column,
                       const int *cells, int groups, int group_columns, struct grid *grid,
                       struct grid_writer *writer, struct arena *arena)
{
    const struct table_row **rows;
    enum table_mark *marks;
    double *p;
    int rc;
    TRY(arena_calloc(arena, &rows, (size_t)groups, sizeof *rows));
    TRY(arena_alloc(arena, &marks, (size_t)groups, sizeof *marks));
    TRY(arena_alloc(arena, &p, (size_t)groups, sizeof *p));
    for (int r = 0; r < groups; r++) {
        int row = cells[r * group_columns + column->group];
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
                       const struct column *column, const int *cells, int groups, int group_columns,
                       struct grid *grid, struct grid_writer *writer, struct arena *arena)
{
    int rc = 0;
    for (int r = 0; r < groups; r++) {
        const int row = cells[r * group_columns + column->group];
        const int at = (r + 1) * grid->columns + column->at;
        if (row < 0)
            continue;
        if (table->rows[row].failed) {
            grid->cells[at] = "failed";
            continue;
        }
        TRY(measure_cell(column->measure, table, row, arena, &grid->cells[at],
                         &writer->values[at]));
        if (column->measure->quantity == QUANTITY_VALUE && !pivot->intervals)
            TRY(plain_value(table, column->measure, row, arena, &grid->cells[at]));
    }
out:
    return rc;
}

static int fill_keys(struct grid *grid, struct grid_writer *writer, const struct side *down)
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
                     const struct pivot *pivot, const struct side *down, const struct side *across,
                     const struct measures *measures, const int *cells, struct arena *arena)
{
    struct grid_writer writer;
    int rc;
    TRY(grid_init(grid, down->group_count + 1,
                  down->key_count + across->group_count * measures->count, &writer, arena));
    TRY(fill_keys(grid, &writer, down));
    for (int c = 0; c < across->group_count * measures->count; c++) {
        const struct column column = {c / measures->count, down->key_count + c,
                                      &measures->all[c % measures->count]};
        const char *name;
        TRY(group_name(across, column.group, arena, &name));
        if (*name && measures->count > 1)
            TRY(arena_printf(arena, &name, "%s, %s", name, column.measure->head));
        grid->cells[column.at] = *name ? name : column.measure->head;
        TRY(fill_column(table, pivot, &column, cells, down->group_count, across->group_count, grid,
                        &writer, arena));
        if (measure_is_marked(column.measure))
            TRY(mark_column(store, table, &column, cells, down->group_count, across->group_count,
                            grid, &writer, arena));
    }
out:
    return rc;
}

/* ---- below the table ---- */

static int add_lines(struct document *document, const struct table *table,
                     const struct pivot *pivot, const struct measures *measures, int left_out,
                     const int *cells, int cell_count, struct arena *arena)
{
    struct notes notes;
    bool marked = false, seeds = false;
    int rc;
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
    if (left_out)
        TRY(document_line(document, arena, "%d point%s without one of %s%s%s: not in this table",
                          left_out, left_out == 1 ? "" : "s", pivot->rows,
                          pivot->columns ? ", " : "", pivot->columns ? pivot->columns : ""));
    TRY(table_notes(&notes, table, arena));
    for (int i = 0; i < cell_count; i++) {
        if (cells[i] < 0)
            continue;
        const struct table_row *row = &table->rows[cells[i]];
        seeds |= row->id_count > 1;
        if (notes.of_row[cells[i]] >= 0)
            TRY(document_line(document, arena, "%s: %s", row->label,
                              notes.texts[notes.of_row[cells[i]]]));
    }
    if (seeds && !pivot->intervals)
        TRY(document_line(document, arena,
                          "±: standard deviation over calibration seeds (not sampling error)"));
out:
    return rc;
}

int pivot_make(struct document *document, struct store *store, const struct table *table,
               const struct pivot *pivot, const struct comparison *papers, struct arena *arena)
{
    struct side down, across;
    struct measures measures;
    struct grid grid;
    const char *caption, *value = pivot->value;
    unsigned char *takes_part;
    int rc, left_out = 0, *cells;
    if (!value && table->metric_count == 0)
        return err_set(ERR_USAGE, "--rows: nothing was measured; name a column with --value");
    if (!value)
        TRY(arena_printf(arena, &value, "%s:%s", table->metrics[0].kind, table->metrics[0].title));
    TRY(measures_parse(&measures, store, table, "--value", value, papers, arena));
    TRY(read_keys(&down, store, table, "--rows", pivot->rows, arena));
    TRY(read_keys(&across, store, table, "--columns", pivot->columns, arena));
    TRY(arena_calloc(arena, &takes_part, (size_t)table->row_count, 1));
    for (int i = 0; i < table->row_count; i++) {
        takes_part[i] = has_keys(&down, i) && has_keys(&across, i);
        left_out += !takes_part[i];
    }
    if (left_out == table->row_count)
        TRY(err_set(ERR_MISSING, "%s: no point has all of %s%s%s", table->experiment, pivot->rows,
                    pivot->columns ? ", " : "", pivot->columns ? pivot->columns : ""));
    TRY(make_groups(&down, takes_part, table->row_count, arena));
    TRY(make_groups(&across, takes_part, table->row_count, arena));
    const int cell_count = down.group_count * across.group_count;
    TRY(arena_alloc(arena, &cells, (size_t)cell_count, sizeof *cells));
    TRY(place_rows(table, pivot, &down, &across, takes_part, deciding(&measures), arena, cells));
    TRY(make_grid(&grid, store, table, pivot, &down, &across, &measures, cells, arena));
    caption = "";
    if (measures.count == 1)
        TRY(arena_printf(arena, &caption, "%s%s%s", measures.all[0].head,
                         pivot->columns ? ", by " : "", pivot->columns ? pivot->columns : ""));
    TRY(document_add(document, caption, &grid));
    TRY(add_lines(document, table, pivot, &measures, left_out, cells, cell_count, arena));
out:
    return rc;
}
