/* What happened inside: the error of each kind of projection, what the methods chose there, and how
 * far the hidden states went away. */
#include "core/err.h"
#include "harness/report_internal.h"
#include "harness/table_layers.h"

/* Weighted by weights, as the bits are. */
static int choices(struct report *report, int *rows)
{
    static const char *const heads[] = {"point",   "layers",         "salient weights",  "split",
                                        "damping", "damping raised", "mean of (W − Wq)²"};
    static const struct report_query query = {
        "What the methods chose", "Ni%4gig",
        "SELECT r.id, count(*), sum(l.salient * l.rows * l.columns) / sum(CASE WHEN l.salient IS "
        "NOT NULL THEN l.rows * l.columns END), avg(l.split), max(l.damping), "
        "sum(l.damping_raised > 0), sum(l.weight_mse * l.rows * l.columns) / sum(l.rows * "
        "l.columns) FROM experiment_rows r JOIN layers l ON l.point_id = r.id WHERE r.experiment = "
        "?1 AND l.method <> '' GROUP BY r.id ORDER BY r.position, r.id",
        heads};
    return report_query(report, &query, rows);
}

int report_layers(struct report *report)
{
    struct document document = {.table = report->table};
    int rc, rows;
    TRY(strbuf_puts(report->out, "<section id=\"layers\"><h2>Inside the layers</h2>\n"));
    rc = layers_document(&document, report->store, report->table, report->arena);
    if (rc == ERR_MISSING)
        rc = html_element(report->out, "p", "No layer was quantized.");
    else if (rc == 0)
        rc = html_document(report->out, &document);
    TRY(rc);
    TRY(choices(report, &rows));
    if (rows)
        TRY(strbuf_puts(report->out,
                        "<p class=\"soft\">Salient: the share of the weights that are kept or "
                        "binarized apart. Split: where BiLLM parts the others, over the largest "
                        "magnitude, mean over the layers. Damping: the largest that was added to a "
                        "Hessian's diagonal, as a share of its mean; raised: layers where the "
                        "asked one was not enough.</p>\n"));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
