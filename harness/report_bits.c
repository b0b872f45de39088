/* Where the bits of each method go: every byte of its packed model by what it is for, per quantized
 * weight, and what the paper counts of it. */
#include "harness/report_bits.h"
#include "core/err.h"
#include "harness/store_internal.h"

#include <math.h>
#include <string.h>

const char *const report_bits_names[REPORT_BITS] = {"payload",
                                                    "scales",
                                                    "zeros",
                                                    "masks",
                                                    "indices",
                                                    "salient",
                                                    "other",
                                                    "layers left alone",
                                                    "embedding and head",
                                                    "norms and biases",
                                                    "rest of the file"};

/* What older databases do not tell apart is the rest of the file. */
static int load_bar(struct report *report, const struct table_row *row, struct bits_bar *bar)
{
    static const char sql[] =
        "SELECT sum(bytes_payload), sum(bytes_scales), sum(bytes_zeros), sum(bytes_masks), "
        "sum(bytes_indices), sum(bytes_salient), sum(bytes_other), (SELECT bytes_left FROM points "
        "WHERE id = ?1), (SELECT bytes_outer FROM points WHERE id = ?1), (SELECT bytes_vectors "
        "FROM points WHERE id = ?1) FROM layers WHERE point_id = ?1 AND method <> ''";
    const double whole = 8 * row->file_bytes / row->weights;
    sqlite3_stmt *statement = NULL;
    int rc, there;
    *bar = (struct bits_bar){.row = row};
    TRY(store_prepare(report->store, &statement, sql));
    TRY(store_bind(report->store, statement, "t", row->id));
    TRY(store_step(report->store, statement, &there));
    for (int i = 0; i < REPORT_BITS_REST && there; i++) {
        bar->bits[i] = 8 * sqlite3_column_double(statement, i) / row->weights;
        bar->whole += bar->bits[i];
        if (i <= REPORT_BITS_LEFT)
            bar->linear = bar->whole;
    }
    if (whole > bar->whole * (1 + 1e-9)) { /* false where the file's size is not known */
        bar->bits[REPORT_BITS_REST] = whole - bar->whole;
        bar->whole = whole;
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

static int bits_table(struct report *report, const struct bits_bar *bars, int count,
                      const int *used)
{
    struct arena *arena = report->arena;
    struct grid grid = {.rows = count + 1, .columns = 4};
    int rc;
    for (int i = 0; i < REPORT_BITS; i++)
        grid.columns += used[i];
    TRY(arena_alloc(arena, &grid.cells, (size_t)grid.rows * (size_t)grid.columns,
                    sizeof *grid.cells));
    for (int i = -1; i < count; i++) {
        const char **cell = grid.cells + (i + 1) * grid.columns;
        const struct bits_bar *bar = &bars[i < 0 ? 0 : i];
        const struct table_row *row = bar->row;
        const double ends[3] = {row->paper_bits, bar->linear, bar->whole};
        static const char *const heads[3] = {"as the paper counts", "linear layers as stored",
                                             "whole file"};
        *cell++ = i < 0 ? "method" : report->names[row - report->table->rows];
        for (int k = 0; k < 3; k++)
            if (i < 0)
                *cell++ = heads[k];
            else
                TRY(arena_printf(arena, cell++, isnan(ends[k]) ? "–" : "%.3f", ends[k]));
        for (int k = 0; k < REPORT_BITS; k++)
            if (used[k] && i < 0)
                *cell++ = report_bits_names[k];
            else if (used[k])
                TRY(arena_printf(arena, cell++, "%.3f", bar->bits[k]));
    }
    TRY(html_grid(report->out, &grid, "Bits per quantized weight by what they are for", NULL));
out:
    return rc;
}

int report_bits(struct report *report)
{
    const struct table *table = report->table;
    struct bits_bar *bars;
    int rc, count = 0, used[REPORT_BITS] = {0};
    TRY(strbuf_puts(report->out, "<section id=\"bits\"><h2>Where the bits go</h2>\n"));
    TRY(arena_alloc(report->arena, &bars, (size_t)table->row_count, sizeof *bars));
    for (int i = 0; i < table->row_count; i++) {
        if (table->rows[i].failed || !(table->rows[i].weights > 0))
            continue;
        TRY(load_bar(report, &table->rows[i], &bars[count]));
        for (int k = 0; k < REPORT_BITS; k++)
            used[k] |= bars[count].bits[k] > 0;
        count++;
    }
    if (count > 0) {
        TRY(report_bits_figure(report, bars, count, used));
        TRY(bits_table(report, bars, count, used));
        TRY(strbuf_puts(report->out,
                        "<p class=\"soft\">Three totals: the paper's own formula, which may leave "
                        "marks and masks out; every byte of the linear layers, those left in full "
                        "precision included; the whole packed model. All are bits over the "
                        "quantized weights, so that they can be added up.</p>\n"));
    } else {
        TRY(html_element(report->out, "p", "Nothing was quantized."));
    }
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
