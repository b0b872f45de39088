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

/* What is changed in the body: all from `begin` to the end of the next `end` becomes `to`. gnuplot
 * numbers the plots of each panel anew, so that ids are there twice, and names them in titles that
 * a reader of the picture would be told. */
static const struct change {
    const char *begin, *end, *to;
} changes[] = {
    {"<title>", "</title>", ""},
    {" id=\"gnuplot_plot_", "\"", ""},
    {"font-family=\"DejaVu Sans\"", "", "font-family=\"DejaVu Sans, Verdana, sans-serif\""},
};
enum { CHANGES = sizeof changes / sizeof *changes };

static const struct change *change_at(const char *text)
{
    for (int i = 0; i < CHANGES; i++)
        if (strncmp(text, changes[i].begin, strlen(changes[i].begin)) == 0)
            return &changes[i];
    return NULL;
}

static int add_body(struct strbuf *out, const char *text)
{
    int rc = 0;
    while (*text && rc == 0) {
        const struct change *change = change_at(text);
        const char *end = change ? strstr(text + strlen(change->begin), change->end) : NULL;
        if (end) {
            TRY(strbuf_puts(out, change->to));
            text = end + strlen(change->end);
            continue;
        }
        size_t plain = 1 + strcspn(text + 1, "< f"); /* where a change can begin */
        TRY(strbuf_add(out, text, plain));
        text += plain;
    }
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
    TRY(add_body(out, end + strlen("</desc>")));
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
