#include "harness/table_ledger.h"

#include "core/err.h"
#include "harness/table_internal.h"

#include <math.h>
#include <string.h>

const char *const ledger_names[LEDGER_PARTS] = {
    "payload", "scales", "zero points",       "masks",          "indices",
    "salient", "other",  "layers left alone", "embedding+head", "norms"};

int ledger_read(struct ledger *ledger, struct store *store, const struct table_row *row)
{
    static const char sql[] =
        "SELECT sum(bytes_payload), sum(bytes_scales), sum(bytes_zeros), sum(bytes_masks), "
        "sum(bytes_indices), sum(bytes_salient), sum(bytes_other) FROM layers WHERE point_id = ?1 "
        "AND method <> ''";
    sqlite3_stmt *statement = NULL;
    int rc, there;
    *ledger = (struct ledger){0};
    TRY(store_prepare(store, &statement, sql));
    TRY(store_bind(store, statement, "t", row->id));
    TRY(store_step(store, statement, &there));
    for (int i = 0; i < LEDGER_LAYERS && there; i++) {
        ledger->bytes[i] = sqlite3_column_double(statement, i);
        ledger->layers += ledger->bytes[i];
    }
    ledger->bytes[LEDGER_LAYERS] = row->bytes_left;
    ledger->bytes[LEDGER_LAYERS + 1] = row->bytes_outer;
    ledger->bytes[LEDGER_LAYERS + 2] = row->bytes_vectors;
    ledger->rest = row->file_bytes - ledger->layers;
    ledger->linear_bits = 8 * (ledger->layers + row->bytes_left) /
                          (row->weights + row->weights_left);
out:
    sqlite3_finalize(statement);
    return rc;
}

/* ---- bits ---- */

static bool takes_part(const struct table_row *row)
{
    return !row->failed && row->weights > 0;
}

struct line {
    const struct table_row *row;
    struct ledger ledger;
};

/* Columns behind the parts. */
enum { REST = LEDGER_PARTS, PAPER, MARKS, STORED, UNCOUNTED, LINEAR, FILE_BITS, COLUMNS };
static const char *const heads[COLUMNS] = {[REST] = "rest of the file",
                                           [PAPER] = "paper",
                                           [MARKS] = "paper's marks",
                                           [STORED] = "stored",
                                           [UNCOUNTED] = "not counted by the paper",
                                           [LINEAR] = "all linear",
                                           [FILE_BITS] = "file"};

static double column_value(const struct line *line, int column, bool in_bytes)
{
    const struct table_row *row = line->row;
    const struct ledger *l = &line->ledger;
    const double scale = in_bytes ? 1 : 8 / row->weights;
    switch (column) {
    case REST: return isnan(row->bytes_left) ? l->rest * scale : NAN;
    case PAPER: return row->paper_bits;
    case MARKS: return row->marks_bits;
    case STORED: return row->stored_bits;
    case UNCOUNTED: return row->stored_bits - row->paper_bits;
    case LINEAR: return l->linear_bits;
    case FILE_BITS: return row->full_bits;
    default: return l->bytes[column] * scale;
    }
}

static bool is_used(const struct line *lines, int count, int column)
{
    for (int i = 0; i < count; i++) {
        double value = column_value(&lines[i], column, true);
        if (!isnan(value) && value != 0)
            return true;
    }
    return false;
}

/* Columns first..end - 1, those in which something is; bytes or bits. all: also empty ones. */
static int make_grid(struct grid *grid, const struct table *table, const struct line *lines,
                     int count, int first, int end, bool in_bytes, struct arena *arena)
{
    struct grid_writer writer;
    int rc, used[COLUMNS], columns = 0;
    for (int c = first; c < end; c++)
        if (is_used(lines, count, c))
            used[columns++] = c;
    TRY(grid_init(grid, count + 1, columns + 1, &writer, arena));
    grid->cells[0] = "method";
    for (int k = 0; k < columns; k++)
        grid->cells[k + 1] = used[k] < LEDGER_PARTS ? ledger_names[used[k]] : heads[used[k]];
    for (int i = 0; i < count; i++) {
        const int at = (i + 1) * grid->columns;
        TRY(table_label(table, lines[i].row, -1, arena, &grid->cells[at]));
        for (int k = 0; k < columns; k++) {
            char text[TABLE_NUMBER];
            double value = column_value(&lines[i], used[k], in_bytes);
            writer.values[at + k + 1] = value;
            table_fixed(text, value, in_bytes ? 0 : 3);
            TRY(arena_printf(arena, &grid->cells[at + k + 1], "%s", text));
        }
    }
out:
    return rc;
}

/* Everything in one: bits and bytes of all parts, and the totals. */
static int make_records(struct grid *grid, const struct table *table, const struct line *lines,
                        int count, struct arena *arena)
{
    struct grid_writer writer;
    int rc;
    TRY(grid_init(grid, count + 1, 2 + COLUMNS + LEDGER_PARTS + 1, &writer, arena));
    grid->cells[0] = "label";
    grid->cells[grid->columns - 1] = "id";
    for (int i = -1; i < count; i++)
        for (int c = 0; c < COLUMNS + LEDGER_PARTS + 1; c++) {
            const bool in_bytes = c >= COLUMNS;
            const int column = in_bytes ? c - COLUMNS : c, at = (i + 1) * grid->columns + c + 1;
            if (i >= 0)
                writer.values[at] = column_value(&lines[i], column, in_bytes);
            else
                TRY(arena_printf(arena, &grid->cells[at], "%s %s",
                                 column < LEDGER_PARTS ? ledger_names[column] : heads[column],
                                 in_bytes ? "bytes" : "bits"));
        }
    for (int i = 0; i < count; i++) {
        TRY(table_label(table, lines[i].row, -1, arena, &grid->cells[(i + 1) * grid->columns]));
        grid->cells[(i + 2) * grid->columns - 1] = lines[i].row->id;
    }
out:
    return rc;
}

static int add_lines(struct document *document, struct arena *arena)
{
    static const char *const texts[] = {
        "paper: bits a quantized weight by the paper's own formula; paper's marks: what it names "
        "apart and leaves out of that figure; stored: every byte that rebuilds the quantized "
        "weights; not counted by the paper: stored - paper.",
        "all linear: all linear layers as stored, those left alone too, over their weights; file: "
        "the whole packed file over all parameters.",
        "masks tell which weight belongs to which group (BiLLM: a bit a weight and more), indices "
        "are column numbers and permutations, salient the values kept at more bits."};
    int rc = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        TRY(document_line(document, arena, "%s", texts[i]));
out:
    return rc;
}

int ledger_bits(struct document *document, struct store *store, const struct table *table,
                struct arena *arena)
{
    struct line *lines;
    struct grid totals, bits, bytes, *records;
    int rc, count = 0;
    TRY(arena_alloc(arena, &lines, (size_t)table->row_count, sizeof *lines));
    for (int i = 0; i < table->row_count; i++) {
        if (!takes_part(&table->rows[i]))
            continue;
        lines[count].row = &table->rows[i];
        TRY(ledger_read(&lines[count++].ledger, store, &table->rows[i]));
    }
    if (count == 0)
        TRY(err_set(ERR_MISSING, "%s: nothing was quantized: there are no bits to account for",
                    table->experiment));
    TRY(make_grid(&totals, table, lines, count, PAPER, COLUMNS, false, arena));
    TRY(make_grid(&bits, table, lines, count, 0, PAPER, false, arena));
    TRY(make_grid(&bytes, table, lines, count, 0, PAPER, true, arena));
    TRY(arena_alloc(arena, &records, 1, sizeof *records));
    TRY(make_records(records, table, lines, count, arena));
    document->records = records;
    TRY(document_add(document, "Bits a weight, three ways to count", &totals));
    TRY(document_add(document, "What they are for: bits over the quantized weights", &bits));
    TRY(document_add(document, "The same in bytes", &bytes));
    TRY(add_lines(document, arena));
out:
    return rc;
}

/* ---- exceptions ---- */

static int exception_cells(sqlite3_stmt *statement, const struct table *table,
                           const struct table_row *row, struct arena *arena, const char **cells)
{
    const int block = sqlite3_column_int(statement, 0);
    int rc;
    TRY(table_label(table, row, -1, arena, &cells[0]));
    if (row->id_count > 1)
        TRY(arena_printf(arena, &cells[0], "%s (%.8s)", cells[0],
                         (const char *)sqlite3_column_text(statement, 4)));
    TRY(arena_printf(arena, &cells[1], block < 0 ? "outside" : "%d", block));
    for (int k = 0; k < 3; k++)
        TRY(table_column_text(arena, statement, 1 + k, &cells[2 + k]));
out:
    return rc;
}

/* grid NULL: they are only counted. */
static int read_exceptions(struct store *store, const struct table *table, struct grid *grid,
                           int *count, struct arena *arena)
{
    sqlite3_stmt *statement = NULL;
    int rc, there;
    *count = 0;
    TRY(store_prepare(store, &statement,
                      "SELECT block, name, kind, detail, point_id FROM exceptions WHERE "
                      "point_id = ?1 ORDER BY block, name, kind"));
    for (int i = 0; i < table->row_count; i++)
        for (int k = 0; k < table->rows[i].id_count; k++) {
            TRY(store_bind(store, statement, "t", table->rows[i].ids[k]));
            for (;; ++*count) {
                TRY(store_step(store, statement, &there));
                if (!there)
                    break;
                if (grid)
                    TRY(exception_cells(statement, table, &table->rows[i], arena,
                                        grid->cells + (*count + 1) * grid->columns));
            }
        }
out:
    sqlite3_finalize(statement);
    return rc;
}

int ledger_exceptions(struct document *document, struct store *store, const struct table *table,
                      struct arena *arena)
{
    static const char *const columns[] = {"method", "block", "tensor", "exception",
                                          "what was asked and what it got"};
    enum { WIDTH = sizeof columns / sizeof *columns };
    struct grid grid;
    struct grid_writer writer;
    int rc, count;
    TRY(read_exceptions(store, table, NULL, &count, arena));
    TRY(grid_init(&grid, count + 1, WIDTH, &writer, arena));
    memcpy(grid.cells, columns, sizeof columns);
    grid.left = WIDTH;
    TRY(read_exceptions(store, table, &grid, &count, arena));
    if (count == 0) {
        struct grid *records; /* a header alone */
        TRY(arena_alloc(arena, &records, 1, sizeof *records));
        *records = grid;
        document->records = records;
        TRY(document_line(document, arena,
                          "No exceptions: every tensor of every point got the method, the group "
                          "size and the damping that were asked for."));
    } else {
        TRY(document_add(document, "", &grid));
        TRY(document_line(document, arena,
                          "%d exception%s: tensors that did not get the method, the group size or "
                          "the damping that was asked for.",
                          count, count == 1 ? "" : "s"));
    }
out:
    return rc;
}
