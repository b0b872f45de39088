/* Where the bits of each method go: every byte of its layers by what it is for, and the rest of the
 * file, per quantized weight. */
#include "core/err.h"
#include "harness/report_internal.h"
#include "harness/store_internal.h"

#include <math.h>
#include <string.h>

enum { CATEGORIES = BITS_CATEGORIES + 1, LEFT = 250, RIGHT = 880, LINE = 26, TOP = 64 };

static const char *const category_names[CATEGORIES] = {
    "payload", "scales", "zeros", "masks", "indices", "salient", "other", "rest of the file"};

struct bar {
    const struct table_row *row;
    double bits[CATEGORIES]; /* per quantized weight */
    double whole;
};

static int load_bar(struct report *report, const struct table_row *row, struct bar *bar)
{
    static const char sql[] =
        "SELECT sum(bytes_payload), sum(bytes_scales), sum(bytes_zeros), sum(bytes_masks), "
        "sum(bytes_indices), sum(bytes_salient), sum(bytes_other) FROM layers WHERE point_id = ?1 "
        "AND method <> ''";
    sqlite3_stmt *statement = NULL;
    int rc, there;
    *bar = (struct bar){.row = row};
    TRY(store_prepare(report->store, &statement, sql));
    TRY(store_bind(report->store, statement, "t", row->id));
    TRY(store_step(report->store, statement, &there));
    for (int i = 0; i < BITS_CATEGORIES && there; i++) {
        bar->bits[i] = 8 * sqlite3_column_double(statement, i) / row->weights;
        bar->whole += bar->bits[i];
    }
    double rest = 8 * row->file_bytes / row->weights - bar->whole;
    bar->bits[BITS_CATEGORIES] = rest > 0 ? rest : 0; /* also where file_bytes is not known */
    bar->whole += bar->bits[BITS_CATEGORIES];
out:
    sqlite3_finalize(statement);
    return rc;
}

/* At most `most` letters; longer ones end with an ellipsis. A letter begins with a byte that does
 * not continue one. */
static int shorten(struct arena *arena, const char *text, int most, const char **out)
{
    int letters = 0;
    for (const char *at = text; *at; at++)
        if (((unsigned char)*at & 0xc0) != 0x80 && ++letters == most && strlen(at) > 1)
            return arena_printf(arena, out, "%.*s…", (int)(at - text), text);
    return arena_printf(arena, out, "%s", text);
}

static int draw_axis(struct strbuf *out, double scale, double most, int bottom)
{
    double step = most > 12 ? 4 : most > 5 ? 2 : 1;
    int rc = 0;
    for (int tick = 0; tick * step <= most; tick++) {
        double at = tick * step, x = LEFT + at * scale;
        TRY(strbuf_printf(out,
                          "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                          "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
                          x, x, TOP - 6, bottom, x, bottom + 16, at));
    }
    TRY(strbuf_printf(out,
                      "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">bits per quantized "
                      "weight</text>\n",
                      (LEFT + RIGHT) / 2, bottom + 34));
out:
    return rc;
}

static int draw_key(struct strbuf *out, const int *used)
{
    int rc = 0, x = 12, y = 12;
    for (int i = 0; i < CATEGORIES; i++) {
        if (!used[i])
            continue;
        TRY(strbuf_printf(out,
                          "<rect class=\"k%d\" x=\"%d\" y=\"%d\" width=\"14\" height=\"14\"/>"
                          "<text x=\"%d\" y=\"%d\">%s</text>\n",
                          i, x, y, x + 20, y + 12, category_names[i]));
        x += 34 + 8 * (int)strlen(category_names[i]);
    }
    if (used[CATEGORIES - 1])
        TRY(strbuf_printf(out,
                          "<line class=\"tick\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>"
                          "<text x=\"%d\" y=\"%d\">as the paper counts</text>\n",
                          x + 4, x + 4, y - 1, y + 15, x + 14, y + 12));
out:
    return rc;
}

static int draw_bar(struct report *report, const struct bar *bar, int y, double scale)
{
    struct strbuf *out = report->out;
    const char *label, *name = report->names[bar->row - report->table->rows];
    double x = LEFT, paper = bar->row->paper_bits;
    int rc;
    TRY(shorten(report->arena, name, 34, &label));
    TRY(strbuf_puts(out, "<g><title>"));
    TRY(html_text(out, name));
    TRY(strbuf_printf(out, "</title><text x=\"%d\" y=\"%d\" text-anchor=\"end\">", LEFT - 8,
                      y + 14));
    TRY(html_text(out, label));
    TRY(strbuf_puts(out, "</text>"));
    for (int i = 0; i < CATEGORIES; i++) {
        if (bar->bits[i] > 0)
            TRY(strbuf_printf(out,
                              "<rect class=\"k%d\" x=\"%.2f\" y=\"%d\" width=\"%.2f\" "
                              "height=\"%d\"/>",
                              i, x, y, bar->bits[i] * scale, LINE - 8));
        x += bar->bits[i] * scale;
    }
    if (!isnan(paper))
        TRY(strbuf_printf(out, "<line class=\"tick\" x1=\"%.2f\" x2=\"%.2f\" y1=\"%d\" y2=\"%d\"/>",
                          LEFT + paper * scale, LEFT + paper * scale, y - 3, y + LINE - 5));
    TRY(strbuf_puts(out, "</g>\n"));
out:
    return rc;
}

static int draw_bars(struct report *report, const struct bar *bars, int count, const int *used)
{
    static const char what[] =
        "Stacked bars, one for each point: bits per quantized weight by what "
        "they are for; the table below has the numbers.";
    struct strbuf *out = report->out;
    const int bottom = TOP + count * LINE;
    double most = 0;
    int rc;
    for (int i = 0; i < count; i++)
        most = fmax(most, fmax(bars[i].whole, bars[i].row->paper_bits));
    double scale = (RIGHT - LEFT) / fmax(most, 1);
    TRY(strbuf_printf(
        out,
        "<figure><div class=\"scroll\" role=\"region\" tabindex=\"0\" "
        "aria-label=\"Where the bits go\"><svg role=\"img\" aria-labelledby=\"bits-t "
        "bits-d\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 %d\">\n"
        "<title id=\"bits-t\">Where the bits go</title><desc id=\"bits-d\">%s</desc>\n",
        bottom + 46, what));
    TRY(draw_axis(out, scale, most, bottom));
    TRY(draw_key(out, used));
    for (int i = 0; i < count; i++)
        TRY(draw_bar(report, &bars[i], TOP + i * LINE, scale));
    TRY(strbuf_puts(out, "</svg></div>\n"));
    TRY(html_element(out, "figcaption",
                     "Every byte that rebuilds the quantized weights, and what the rest of the "
                     "packed model (embeddings, norms, head, layers left alone) adds to it, over "
                     "the quantized weights. The upright line is the count by the paper's own "
                     "formula, which may leave marks and masks out."));
    TRY(strbuf_puts(out, "</figure>\n"));
out:
    return rc;
}

static int bits_table(struct report *report, const struct bar *bars, int count, const int *used)
{
    struct arena *arena = report->arena;
    struct grid grid = {.rows = count + 1, .columns = 4};
    int rc;
    for (int i = 0; i < CATEGORIES; i++)
        grid.columns += used[i];
    TRY(arena_alloc(arena, &grid.cells, (size_t)grid.rows * (size_t)grid.columns,
                    sizeof *grid.cells));
    for (int i = -1; i < count; i++) {
        const char **cell = grid.cells + (i + 1) * grid.columns;
        const struct bar *bar = &bars[i < 0 ? 0 : i];
        const struct table_row *row = bar->row;
        const double ends[3] = {row->paper_bits, row->stored_bits, bar->whole};
        static const char *const heads[3] = {"paper", "stored", "file"};
        *cell++ = i < 0 ? "method" : report->names[row - report->table->rows];
        for (int k = 0; k < CATEGORIES; k++)
            if (used[k] && i < 0)
                *cell++ = category_names[k];
            else if (used[k])
                TRY(arena_printf(arena, cell++, "%.3f", bar->bits[k]));
        for (int k = 0; k < 3; k++)
            if (i < 0)
                *cell++ = heads[k];
            else
                TRY(arena_printf(arena, cell++, isnan(ends[k]) ? "–" : "%.3f", ends[k]));
    }
    TRY(html_grid(report->out, &grid, "Bits per quantized weight by what they are for", NULL));
out:
    return rc;
}

int report_bits(struct report *report)
{
    const struct table *table = report->table;
    struct bar *bars;
    int rc, count = 0, used[CATEGORIES] = {0};
    TRY(strbuf_puts(report->out, "<section id=\"bits\"><h2>Where the bits go</h2>\n"));
    TRY(arena_alloc(report->arena, &bars, (size_t)table->row_count, sizeof *bars));
    for (int i = 0; i < table->row_count; i++) {
        if (table->rows[i].failed || !(table->rows[i].weights > 0))
            continue;
        TRY(load_bar(report, &table->rows[i], &bars[count]));
        for (int k = 0; k < CATEGORIES; k++)
            used[k] |= bars[count].bits[k] > 0;
        count++;
    }
    if (count > 0) {
        TRY(draw_bars(report, bars, count, used));
        TRY(bits_table(report, bars, count, used));
    } else {
        TRY(html_element(report->out, "p", "Nothing was quantized."));
    }
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
