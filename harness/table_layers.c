#include "harness/table_layers.h"

#include "core/err.h"
#include "harness/table_internal.h"

#include <math.h>
#include <string.h>

/* What is known of a layer, in the order of layer_sql. */
enum fact {
    FACT_RELATIVE,
    FACT_HESSIAN,
    FACT_MSE,
    FACT_CONDITION,
    FACT_SALIENT,
    FACT_SPLIT,
    FACT_DAMPING,
    FACT_RAISED,
    FACT_BITS,
    FACTS
};
static const char *const fact_names[FACTS] = {"relative loss", "hessian loss",   "weight mse",
                                              "condition",     "salient",        "split",
                                              "damping",       "damping raised", "stored bits"};
static const char layer_sql[] =
    "SELECT block, name, relative_loss, hessian_loss, weight_mse, condition, salient, split, "
    "damping, damping_raised, stored_bits FROM layers WHERE point_id = ?1 AND method <> '' "
    "ORDER BY block, name";

struct layer {
    const struct table_row *row;
    int block, name; /* name: of names.all */
    double facts[FACTS];
};

/* Kinds of projection, in the order in which they stand in a block. */
struct names {
    const char **all;
    int count;
};

struct layers {
    struct layer *all;
    int count, blocks; /* blocks: the largest number + 1 */
    struct names names;
};

/* ---- reading ---- */

static int find_name(struct names *names, const char *name, struct arena *arena, int *at)
{
    for (*at = 0; *at < names->count; ++*at)
        if (strcmp(names->all[*at], name) == 0)
            return 0;
    if (names->count % 16 == 0) {
        const char **more;
        int rc = arena_alloc(arena, &more, (size_t)names->count + 16, sizeof *more);
        if (rc)
            return rc;
        if (names->count)
            memcpy(more, names->all, (size_t)names->count * sizeof *more);
        names->all = more;
    }
    return arena_printf(arena, &names->all[names->count++], "%s", name);
}

static int read_row(struct layers *layers, sqlite3_stmt *statement, struct store *store,
                    const struct table_row *row, struct arena *arena)
{
    int rc, there;
    TRY(store_bind(store, statement, "t", row->id));
    for (;; layers->count++) {
        TRY(store_step(store, statement, &there));
        if (!there)
            break;
        if (!layers->all) { /* the statement is run once to count */
            layers->blocks = (int)fmax(layers->blocks, sqlite3_column_int(statement, 0) + 1);
            continue;
        }
        struct layer *layer = &layers->all[layers->count];
        layer->row = row;
        layer->block = sqlite3_column_int(statement, 0);
        TRY(find_name(&layers->names, (const char *)sqlite3_column_text(statement, 1), arena,
                      &layer->name));
        for (int f = 0; f < FACTS; f++)
            layer->facts[f] = table_column_real(statement, 2 + f);
    }
out:
    return rc;
}

static int read_layers(struct layers *layers, struct store *store, const struct table *table,
                       struct arena *arena)
{
    sqlite3_stmt *statement = NULL;
    int rc;
    *layers = (struct layers){0};
    TRY(store_prepare(store, &statement, layer_sql));
    for (int i = 0; i < table->row_count; i++)
        TRY(read_row(layers, statement, store, &table->rows[i], arena));
    if (layers->count == 0)
        TRY(err_set(ERR_MISSING, "%s: no layer was quantized", table->experiment));
    TRY(arena_alloc(arena, &layers->all, (size_t)layers->count, sizeof *layers->all));
    layers->count = 0;
    for (int i = 0; i < table->row_count; i++)
        TRY(read_row(layers, statement, store, &table->rows[i], arena));
out:
    sqlite3_finalize(statement);
    return rc;
}

/* ---- summaries ---- */

/* Which layers a cell is of: those of a row, and of a kind (-1: all) or a block (-1: all). */
struct choice {
    const struct table_row *row;
    int name, block;
};

/* *median and *mean of a fact over the layers; NaN without any. */
static int summarize(const struct layers *layers, const struct choice *choice, enum fact fact,
                     struct arena *arena, double *median, double *mean)
{
    struct arena_mark mark = arena_mark(arena);
    double *values, deviation;
    int count = 0, rc = arena_alloc(arena, &values, (size_t)layers->count, sizeof *values);
    if (rc)
        return rc;
    for (int i = 0; i < layers->count; i++) {
        const struct layer *l = &layers->all[i];
        if (l->row == choice->row && (choice->name < 0 || l->name == choice->name) &&
            (choice->block < 0 || l->block == choice->block) && !isnan(l->facts[fact]))
            values[count++] = l->facts[fact];
    }
    statistics_mean(values, count, mean, &deviation);
    statistics_sort(values, count);
    *median = count ? statistics_quantile(values, count, 0.5) : NAN;
    arena_reset(arena, mark);
    return 0;
}

/* One table: a line a point, a column a kind of projection or a block, and one over all. */
struct view {
    enum fact fact;
    bool by_block, mean; /* mean: else the median */
    const char *caption;
};
static const struct view views[] = {
    {FACT_RELATIVE, false, false,
     "Relative loss by kind of projection, tr((W - Wq) H (W - Wq)^T) / tr(W H W^T), median"},
    {FACT_RELATIVE, false, true, "The same, mean"},
    {FACT_RELATIVE, true, true, "Relative loss by block, mean"},
    {FACT_CONDITION, false, false, "Condition number of the damped Hessian, median"},
    {FACT_SALIENT, false, true, "Share of salient weights, mean"},
    {FACT_SPLIT, false, true, "Where the bell-shaped split fell, over the largest weight, mean"}};
enum { VIEWS = sizeof views / sizeof *views };

static int view_cell(const struct layers *layers, const struct view *view,
                     const struct table_row *row, int column, int columns, struct arena *arena,
                     const char **text, double *value)
{
    const int which = column == columns - 1 ? -1 : column;
    const struct choice choice = {row, view->by_block ? -1 : which, view->by_block ? which : -1};
    char shown[TABLE_NUMBER];
    double median, mean;
    int rc;
    TRY(summarize(layers, &choice, view->fact, arena, &median, &mean));
    *value = view->mean ? mean : median;
    table_short(shown, *value);
    TRY(arena_printf(arena, text, "%s", shown));
out:
    return rc;
}

static bool has_fact(const struct layers *layers, const struct table_row *row, enum fact fact)
{
    for (int i = 0; i < layers->count; i++)
        if ((!row || layers->all[i].row == row) && !isnan(layers->all[i].facts[fact]))
            return true;
    return false;
}

static int add_view(struct document *document, const struct layers *layers, const struct view *view,
                    struct arena *arena)
{
    const struct table *table = document->table;
    const int columns = (view->by_block ? layers->blocks : layers->names.count) + 1;
    struct grid grid;
    struct grid_writer writer;
    int rc, lines = 0;
    for (int i = 0; i < table->row_count; i++)
        lines += has_fact(layers, &table->rows[i], view->fact);
    TRY(grid_init(&grid, lines + 1, columns + 1, &writer, arena));
    grid.cells[0] = "method";
    grid.cells[columns] = "all";
    for (int c = 0; c + 1 < columns; c++)
        if (view->by_block)
            TRY(arena_printf(arena, &grid.cells[c + 1], "%d", c));
        else
            grid.cells[c + 1] = layers->names.all[c];
    for (int i = 0, line = 1; i < table->row_count; i++) {
        if (!has_fact(layers, &table->rows[i], view->fact))
            continue;
        const int at = line++ * grid.columns;
        TRY(table_label(table, &table->rows[i], -1, arena, &grid.cells[at]));
        for (int c = 0; c < columns; c++)
            TRY(view_cell(layers, view, &table->rows[i], c, columns, arena, &grid.cells[at + 1 + c],
                          &writer.values[at + 1 + c]));
    }
    TRY(document_add(document, view->caption, &grid));
out:
    return rc;
}

/* ---- drift ---- */

static int read_drift(struct store *store, const struct table_row *row, int blocks, double *drift,
                      bool *any)
{
    sqlite3_stmt *statement = NULL;
    int rc, there;
    *any = false;
    for (int b = 0; b < blocks; b++)
        drift[b] = NAN;
    TRY(store_prepare(store, &statement, "SELECT block, drift FROM blocks WHERE point_id = ?1"));
    TRY(store_bind(store, statement, "t", row->id));
    for (;;) {
        TRY(store_step(store, statement, &there));
        if (!there)
            break;
        int block = sqlite3_column_int(statement, 0);
        if (block >= 0 && block < blocks) {
            drift[block] = table_column_real(statement, 1);
            *any |= !isnan(drift[block]);
        }
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

static int add_drift(struct document *document, struct store *store, struct arena *arena)
{
    const struct table *table = document->table;
    struct grid grid;
    struct grid_writer writer;
    int64_t blocks = 0;
    int rc, lines = 0;
    double *drift;
    TRY(store_integer(store, "SELECT max(block) + 1 FROM blocks", &blocks));
    if (blocks <= 0 || blocks > 10000)
        goto out;
    TRY(arena_alloc(arena, &drift, (size_t)blocks, sizeof *drift));
    TRY(grid_init(&grid, table->row_count + 1, (int)blocks + 1, &writer, arena));
    grid.cells[0] = "method";
    for (int b = 0; b < blocks; b++)
        TRY(arena_printf(arena, &grid.cells[b + 1], "%d", b));
    for (int i = 0; i < table->row_count; i++) {
        const int at = (lines + 1) * grid.columns;
        bool any;
        TRY(read_drift(store, &table->rows[i], (int)blocks, drift, &any));
        if (!any)
            continue;
        lines++;
        TRY(table_label(table, &table->rows[i], -1, arena, &grid.cells[at]));
        for (int b = 0; b < blocks; b++) {
            char text[TABLE_NUMBER];
            table_short(text, drift[b]);
            writer.values[at + 1 + b] = drift[b];
            TRY(arena_printf(arena, &grid.cells[at + 1 + b], "%s", text));
        }
    }
    grid.rows = lines + 1;
    if (lines)
        TRY(document_add(document,
                         "Drift of the hidden states behind each block, |quantized - full| / "
                         "|full|",
                         &grid));
out:
    return rc;
}

/* ---- all of it ---- */

static int make_records(struct grid *grid, const struct table *table, const struct layers *layers,
                        struct arena *arena)
{
    struct grid_writer writer;
    int rc;
    TRY(grid_init(grid, layers->count + 1, FACTS + 4, &writer, arena));
    grid->cells[0] = "label";
    grid->cells[1] = "block";
    grid->cells[2] = "projection";
    grid->cells[FACTS + 3] = "id";
    for (int f = 0; f < FACTS; f++)
        grid->cells[3 + f] = fact_names[f];
    for (int i = 0; i < layers->count; i++) {
        const struct layer *l = &layers->all[i];
        const int at = (i + 1) * grid->columns;
        TRY(table_label(table, l->row, -1, arena, &grid->cells[at]));
        writer.values[at + 1] = l->block;
        grid->cells[at + 2] = layers->names.all[l->name];
        for (int f = 0; f < FACTS; f++)
            writer.values[at + 3 + f] = l->facts[f];
        grid->cells[at + 3 + FACTS] = l->row->id;
    }
out:
    return rc;
}

int layers_document(struct document *document, struct store *store, const struct table *table,
                    struct arena *arena)
{
    struct layers layers;
    struct grid *records;
    bool seeds = false;
    int rc;
    TRY(read_layers(&layers, store, table, arena));
    TRY(arena_alloc(arena, &records, 1, sizeof *records));
    TRY(make_records(records, table, &layers, arena));
    document->records = records;
    for (int v = 0; v < VIEWS; v++)
        if (has_fact(&layers, NULL, views[v].fact))
            TRY(add_view(document, &layers, &views[v], arena));
    TRY(add_drift(document, store, arena));
    for (int i = 0; i < table->row_count; i++)
        seeds |= table->rows[i].id_count > 1;
    if (seeds)
        TRY(document_line(document, arena,
                          "Of points that differ in the calibration seed alone, the first is "
                          "shown; --seeds apart shows all."));
    if (document->section_count == 0)
        TRY(document_line(document, arena, "No errors of layers were measured."));
out:
    return rc;
}
