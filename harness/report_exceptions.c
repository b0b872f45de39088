/* What did not go as the spec asked: points that failed, and tensors that did not get the method,
 * the groups or the damping that were asked for. */
#include "core/err.h"
#include "harness/report_internal.h"

int report_failures(struct report *report)
{
    const struct table *table = report->table;
    int rc = 0, failed = 0;
    for (int i = 0; i < table->row_count; i++) {
        if (!table->rows[i].failed)
            continue;
        if (failed++ == 0)
            TRY(strbuf_puts(report->out, "<section id=\"failed\"><h2>Failed points</h2>\n<dl>\n"));
        TRY(html_element(report->out, "dt", report->names[i]));
        TRY(html_element(report->out, "dd class=bad", table->rows[i].error));
    }
    if (failed)
        TRY(strbuf_puts(report->out, "</dl>\n<p>The command for each is under <a "
                                     "href=\"#again\">Reproduction</a>.</p>\n</section>\n"));
out:
    return rc;
}

/* Layers of one kind and reason are one row: a width that is not divisible is so in each block. */
int report_exceptions(struct report *report)
{
    static const char *const heads[] = {"point", "kind", "tensors", "what", "which"};
    static const struct report_query query = {
        "Tensors that did not get what was asked", "Ntiww",
        "SELECT r.id, x.kind, count(*), min(x.detail), group_concat(CASE WHEN x.block >= 0 THEN "
        "x.block || '.' || x.name ELSE x.name END, ', ') FROM experiment_rows r JOIN exceptions x "
        "ON x.point_id = r.id WHERE r.experiment = ?1 GROUP BY r.id, x.kind, x.detail ORDER BY "
        "r.position, r.id, x.kind, min(x.block)",
        heads};
    int rc, rows;
    TRY(strbuf_puts(report->out, "<section id=\"exceptions\"><h2>Exceptions</h2>\n"));
    TRY(report_query(report, &query, &rows));
    if (rows == 0)
        TRY(html_element(report->out, "p",
                         "Every tensor got the method, the groups and the "
                         "damping that were asked for."));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
