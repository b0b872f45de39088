/* What gnuplot's SVG lacks: a name for those who do not see it, and a font that every machine has.
 */
#include "core/err.h"
#include "core/file.h"
#include "harness/plot_internal.h"

#include <string.h>

static int escaped(struct strbuf *out, const char *text)
{
    int rc = 0;
    for (; *text && rc == 0; text++)
        rc = *text == '<'   ? strbuf_puts(out, "&lt;")
             : *text == '>' ? strbuf_puts(out, "&gt;")
             : *text == '&' ? strbuf_puts(out, "&amp;")
                            : strbuf_add(out, text, 1);
    return rc;
}

/* Appends text with every `from` replaced by `to`. */
static int replaced(struct strbuf *out, const char *text, const char *from, const char *to)
{
    int rc;
    for (const char *at; (at = strstr(text, from)); text = at + strlen(from)) {
        TRY(strbuf_add(out, text, (size_t)(at - text)));
        TRY(strbuf_puts(out, to));
    }
    TRY(strbuf_puts(out, text));
out:
    return rc;
}

/* gnuplot writes "<svg ATTRIBUTES> <title>Gnuplot</title> <desc>...</desc> BODY". */
static int describe(struct strbuf *out, const char *svg, const struct plot_entry *entry,
                    const char *experiment)
{
    const char *tag = strstr(svg, "<svg"), *title = tag ? strstr(tag, "<title>") : NULL;
    const char *end = title ? strstr(title, "</desc>") : NULL;
    int rc;
    if (!end)
        return err_set(ERR_INTERNAL, "gnuplot's SVG has no title: is this another gnuplot?");
    TRY(strbuf_add(out, svg, (size_t)(tag - svg)));
    TRY(strbuf_puts(out, PLOT_SVG_OPEN));
    TRY(strbuf_add(out, tag + 4, (size_t)(title - tag - 4)));
    TRY(strbuf_puts(out, "<title id=\"title\">"));
    TRY(escaped(out, entry->name));
    if (experiment) {
        TRY(strbuf_puts(out, ", experiment "));
        TRY(escaped(out, experiment));
    }
    TRY(strbuf_puts(out, "</title>\n<desc id=\"desc\">"));
    TRY(escaped(out, entry->what));
    TRY(strbuf_puts(out, "</desc>"));
    TRY(replaced(out, end + strlen("</desc>"), "font-family=\"DejaVu Sans\"",
                 "font-family=\"DejaVu Sans, Verdana, sans-serif\""));
out:
    return rc;
}

int plot_svg_describe(const char *path, const struct plot_entry *entry, const char *experiment)
{
    struct strbuf out = {0};
    struct file_writer writer = {0};
    char *svg = NULL;
    int rc;
    TRY(file_read(path, &svg, NULL));
    TRY(describe(&out, svg, entry, experiment));
    TRY(file_write_begin(&writer, path));
    TRY(file_write(&writer, out.data, out.length));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    strbuf_release(&out);
    mem_free(svg);
    return rc;
}
