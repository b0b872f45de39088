/* Options as help text and as a page of documentation. */
#include "core/err.h"
#include "core/mem.h"
#include "core/options.h"
#include "core/text.h"

#include <string.h>

enum { HELP_WIDTH = 100 };

int options_meaning(const struct option *table, const struct option *row, struct strbuf *out)
{
    int rc = 0;
    if (row->alias_of && row->complement) {
        TRY(strbuf_printf(out, "%s (the same as %s = 1 - value)", row->help, row->alias_of));
    } else if (row->alias_of) {
        TRY(strbuf_printf(out, "%s (another name for %s)", row->help, row->alias_of));
    } else {
        TRY(strbuf_printf(out, "%s (", row->help));
        TRY(options_allowed(row, out));
        if (row->fallback && row->fallback[0])
            TRY(strbuf_printf(out, "; default %s", row->fallback));
        TRY(strbuf_puts(out, ")"));
    }
out:
    return rc;
}

int options_help(const struct option *table, struct strbuf *out)
{
    int rc = 0;
    size_t widest = 0;
    struct strbuf meaning = {0};
    TRY(strbuf_puts(out, ""));
    for (const struct option *row = table; row->name; row++)
        widest = strlen(row->name) > widest ? strlen(row->name) : widest;
    for (const struct option *row = table; row->name; row++) {
        meaning.length = 0;
        TRY(options_meaning(table, row, &meaning));
        TRY(strbuf_printf(out, "  %-*s  ", (int)widest, row->name));
        TRY(text_wrap(out, meaning.data, widest + 4, widest + 4, HELP_WIDTH));
        TRY(strbuf_puts(out, "\n"));
    }
out:
    strbuf_release(&meaning);
    return rc;
}

/* A cell of a Markdown table: | would end it. */
static int cell(struct strbuf *out, const char *text)
{
    int rc = 0;
    for (; *text; text++)
        TRY(*text == '|' ? strbuf_puts(out, "\\|") : strbuf_add(out, text, 1));
    TRY(strbuf_puts(out, " | "));
out:
    return rc;
}

int options_markdown(const struct option *table, struct strbuf *out)
{
    int rc = 0;
    struct strbuf allowed = {0};
    TRY(strbuf_puts(out, "| option | default | allowed | meaning |\n|---|---|---|---|\n"));
    for (const struct option *row = table; row->name; row++) {
        allowed.length = 0;
        if (row->alias_of && row->complement)
            TRY(strbuf_printf(&allowed, "1 - %s", row->alias_of));
        else if (row->alias_of)
            TRY(strbuf_printf(&allowed, "as %s", row->alias_of));
        else
            TRY(options_allowed(row, &allowed));
        int plain = !row->alias_of && row->fallback && row->fallback[0];
        TRY(strbuf_printf(out, "| `%s` | %s%s%s | ", row->name, plain ? "`" : "",
                          plain ? row->fallback : "", plain ? "`" : ""));
        TRY(cell(out, allowed.data));
        TRY(cell(out, row->help));
        out->length--; /* the space behind the last bar */
        TRY(strbuf_puts(out, "\n"));
    }
out:
    strbuf_release(&allowed);
    return rc;
}
