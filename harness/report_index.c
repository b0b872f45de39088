/* One page that leads to the reports of several experiments. */
#include "core/err.h"
#include "harness/report_internal.h"
#include "harness/store_internal.h"

static int add_experiment(struct store *store, const char *experiment, const char *file,
                          struct strbuf *out)
{
    static const char sql[] =
        "SELECT e.title, e.text, count(r.id), ifnull(sum(r.status = 'failed'), 0), "
        "min(r.started), max(r.finished), group_concat(DISTINCT r.model) FROM experiments e LEFT "
        "JOIN experiment_rows r ON r.experiment = e.name WHERE e.name = ?1";
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(store_prepare(store, &statement, sql));
    TRY(store_bind(store, statement, "t", experiment));
    TRY(store_step(store, statement, &row));
    const char *text[7];
    for (int i = 0; i < 7; i++) {
        text[i] = (const char *)sqlite3_column_text(statement, i);
        text[i] = text[i] ? text[i] : "";
    }
    TRY(strbuf_puts(out, "<section><h2><a href=\""));
    TRY(html_text(out, file));
    TRY(strbuf_puts(out, "\">"));
    TRY(html_text(out, *text[0] ? text[0] : experiment));
    TRY(strbuf_puts(out, "</a></h2>\n"));
    TRY(html_question(out, text[1]));
    TRY(strbuf_printf(out, "<p class=\"soft\">%d points", sqlite3_column_int(statement, 2)));
    if (sqlite3_column_int(statement, 3) > 0)
        TRY(strbuf_printf(out, ", <span class=\"bad\">%d failed</span>",
                          sqlite3_column_int(statement, 3)));
    TRY(strbuf_puts(out, "; model "));
    TRY(html_text(out, text[6]));
    TRY(strbuf_puts(out, "; measured from "));
    TRY(html_text(out, text[4]));
    TRY(strbuf_puts(out, " to "));
    TRY(html_text(out, text[5]));
    TRY(strbuf_puts(out, ".</p>\n</section>\n"));
out:
    sqlite3_finalize(statement);
    return rc;
}

int report_index(struct store *store, const char *const *experiments, const char *const *files,
                 int count, struct strbuf *out)
{
    int rc;
    TRY(report_begin(out, "Experiments"));
    TRY(strbuf_puts(out, "<h1>Experiments</h1>\n</header>\n<main>\n"));
    for (int i = 0; i < count; i++)
        TRY(add_experiment(store, experiments[i], files[i], out));
    TRY(report_end(out));
out:
    return rc;
}
