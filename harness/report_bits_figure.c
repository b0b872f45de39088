/* The figure of where the bits go: a bar for each point, end to end what its bits are for. Drawn
 * here and not by gnuplot, so that a page without plots has it. */
#include "core/err.h"
#include "harness/report_bits.h"

#include <math.h>
#include <string.h>

enum { LEFT = 250, RIGHT = 880, LINE = 26, TOP = 86 };

static const char *part_name(int part)
{
    return part < LEDGER_PARTS ? ledger_names[part] : "rest of the file";
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
    for (int i = 0; i < REPORT_BITS; i++) {
        if (!used[i])
            continue;
        const int width = 34 + 8 * (int)strlen(part_name(i));
        if (x + width > RIGHT) {
            x = 12;
            y += 24;
        }
        TRY(strbuf_printf(out,
                          "<rect class=\"k%d\" x=\"%d\" y=\"%d\" width=\"14\" height=\"14\"/>"
                          "<text x=\"%d\" y=\"%d\">%s</text>\n",
                          i, x, y, x + 20, y + 12, part_name(i)));
        x += width;
    }
    if (x > RIGHT - 180) {
        x = 12;
        y += 24;
    }
    TRY(strbuf_printf(out,
                      "<line class=\"tick\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>"
                      "<text x=\"%d\" y=\"%d\">as the paper counts</text>\n",
                      x + 4, x + 4, y - 1, y + 15, x + 14, y + 12));
out:
    return rc;
}

static int draw_bar(struct report *report, const struct bits_bar *bar, int y, double scale)
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
    for (int i = 0; i < REPORT_BITS; i++) {
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

int report_bits_figure(struct report *report, const struct bits_bar *bars, int count,
                       const int *used)
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
                     "packed model adds to it, over the quantized weights. The upright line is the "
                     "count by the paper's own formula, which may leave marks and masks out."));
    TRY(strbuf_puts(out, "</figure>\n"));
out:
    return rc;
}
