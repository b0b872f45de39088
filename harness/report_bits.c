/* Where the bits of each method go: every byte of its packed model by what it is for, per quantized
 * weight, and what the paper counts of it. */
#include "harness/report_bits.h"
#include "core/err.h"

#include <math.h>

/* What older databases do not tell apart is the rest of the file. */
static int load_bar(struct report *report, const struct table_row *row, struct bits_bar *bar)
{
    struct ledger ledger;
    int rc;
    TRY(ledger_read(&ledger, report->store, row));
    *bar = (struct bits_bar){.row = row};
    for (int i = 0; i < LEDGER_PARTS; i++)
        if (!isnan(ledger.bytes[i])) {
            bar->bits[i] = 8 * ledger.bytes[i] / row->weights;
            bar->whole += bar->bits[i];
        }
    const double rest = 8 * row->file_bytes / row->weights - bar->whole;
    if (rest > 1e-9 * bar->whole) { /* false where the file's size is not known */
        bar->bits[LEDGER_PARTS] = rest;
        bar->whole += rest;
    }
out:
    return rc;
}

int report_bits(struct report *report)
{
    const struct table *table = report->table;
    struct document document = {.table = table};
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
        TRY(ledger_bits(&document, report->store, table, report->arena));
        TRY(html_document(report->out, &document));
    } else {
        TRY(html_element(report->out, "p", "Nothing was quantized."));
    }
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
