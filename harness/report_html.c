/* The few forms that the page is made of. */
#include "core/err.h"
#include "harness/report_internal.h"

#include <string.h>

int html_text(struct strbuf *out, const char *text)
{
    int rc = 0;
    for (; *text && rc == 0; text++) {
        switch (*text) {
        case '<': rc = strbuf_puts(out, "&lt;"); break;
        case '>': rc = strbuf_puts(out, "&gt;"); break;
        case '&': rc = strbuf_puts(out, "&amp;"); break;
        case '"': rc = strbuf_puts(out, "&quot;"); break;
        case '\'': rc = strbuf_puts(out, "&#39;"); break;
        default:
            if ((unsigned char)*text >= ' ' || *text == '\n' || *text == '\t')
                rc = strbuf_add(out, text, 1);
        }
    }
    return rc;
}

int html_element(struct strbuf *out, const char *tag, const char *text)
{
    int rc;
    TRY(strbuf_printf(out, "<%s>", tag));
    TRY(html_text(out, text));
    TRY(strbuf_printf(out, "</%.*s>\n", (int)strcspn(tag, " "), tag));
out:
    return rc;
}

/* The marks do not hang on colour alone. */
static int html_cell(struct strbuf *out, const struct grid *grid, int row, int column,
                     const char *class)
{
    const int at = row * grid->columns + column, head = row == 0 || column == 0;
    const enum table_mark mark = grid->marks && !head ? grid->marks[at] : MARK_NONE;
    int rc;
    TRY(strbuf_puts(out, head ? row == 0 ? "<th scope=\"col\"" : "<th scope=\"row\"" : "<td"));
    if (!class && column > 0 && column < grid->left)
        class = "text";
    if (mark != MARK_NONE)
        class = mark == MARK_BEST ? "best" : "near";
    if (class)
        TRY(strbuf_printf(out, " class=\"%s\"", class));
    TRY(strbuf_puts(out, mark == MARK_BEST ? ">★ " : mark == MARK_NEAR ? ">≈ " : ">"));
    TRY(html_text(out, grid->cells[at]));
    TRY(strbuf_puts(out, head ? "</th>" : "</td>"));
out:
    return rc;
}

int html_grid(struct strbuf *out, const struct grid *grid, const char *caption,
              const char *const *classes)
{
    int rc;
    TRY(strbuf_puts(out, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\""));
    TRY(html_text(out, caption));
    TRY(strbuf_printf(out, "\"><table%s>\n", grid->rows > 2 ? " class=\"sortable\"" : ""));
    TRY(strbuf_puts(out, "<caption><span>"));
    TRY(html_text(out, caption));
    TRY(strbuf_puts(out, "</span></caption>\n"));
    for (int i = 0; i < grid->rows; i++) {
        TRY(strbuf_puts(out, i == 0 ? "<thead><tr>" : i == 1 ? "<tbody><tr>" : "<tr>"));
        for (int j = 0; j < grid->columns; j++)
            TRY(html_cell(out, grid, i, j, classes ? classes[i * grid->columns + j] : NULL));
        TRY(strbuf_puts(out, i == 0 ? "</tr></thead>\n" : "</tr>\n"));
    }
    TRY(strbuf_puts(out, grid->rows > 1 ? "</tbody></table></div>\n" : "</table></div>\n"));
out:
    return rc;
}

int html_document(struct strbuf *out, const struct document *document)
{
    int rc = 0;
    for (int i = 0; i < document->section_count; i++)
        TRY(html_grid(out, &document->sections[i].grid, document->sections[i].caption, NULL));
    if (document->line_count > 0)
        TRY(strbuf_puts(out, "<ul class=\"soft\">\n"));
    for (int i = 0; i < document->line_count; i++)
        TRY(html_element(out, "li", document->lines[i]));
    if (document->line_count > 0)
        TRY(strbuf_puts(out, "</ul>\n"));
out:
    return rc;
}

int html_question(struct strbuf *out, const char *spec)
{
    struct strbuf text = {0};
    int rc = 0;
    for (const char *at = spec; *at == '#';) {
        size_t length = strcspn(at, "\n"), blanks = strspn(at + 1, " ");
        if (blanks < length)
            TRY(strbuf_add(&text, at + 1 + blanks, length - 1 - blanks));
        TRY(strbuf_puts(&text, length > 1 + blanks ? " " : "\n")); /* an empty line parts paragraphs
                                                                    */
        at += length + (at[length] == '\n');
    }
    if (text.length > 0)
        TRY(html_element(out, "p class=\"question\"", text.data));
out:
    strbuf_release(&text);
    return rc;
}

int report_begin(struct strbuf *out, const char *title)
{
    int rc;
    TRY(strbuf_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                         "<meta name=\"viewport\" content=\"width=device-width, "
                         "initial-scale=1\">\n"));
    TRY(report_policy(out));
    TRY(html_element(out, "title", title));
    TRY(strbuf_puts(out, "<style>\n"));
    for (int i = 0; report_style[i]; i++)
        TRY(strbuf_puts(out, report_style[i]));
    TRY(strbuf_puts(out, "</style>\n</head>\n<body>\n<header>\n"));
out:
    return rc;
}

int report_end(struct strbuf *out)
{
    return strbuf_printf(out, "</main>\n<script>%s</script>\n</body>\n</html>\n", report_script);
}
