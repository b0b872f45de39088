/* What happened inside: the error of each kind of projection, what the methods chose there, and how
 * far the hidden states went away. */
#include "core/err.h"
#include "harness/report_internal.h"

/* Projections in the order of a block, not of the alphabet. */
#define KINDS                                                                                      \
    "SELECT l.name FROM experiment_rows r JOIN layers l ON l.point_id = r.id WHERE r.experiment "  \
    "= ?1 AND l.method <> '' GROUP BY l.name ORDER BY CASE WHEN l.name LIKE '%q_proj' THEN 0 "     \
    "WHEN l.name LIKE '%k_proj' THEN 1 WHEN l.name LIKE '%v_proj' THEN 2 WHEN l.name LIKE "        \
    "'%o_proj' OR l.name LIKE '%out_proj' THEN 3 WHEN l.name LIKE '%gate_proj' THEN 4 WHEN "       \
    "l.name LIKE '%up_proj' OR l.name LIKE '%fc1' THEN 5 ELSE 6 END, l.name"

static int losses(struct report *report, int *rows)
{
    static const struct report_pivot pivot = {
        "Relative Hessian loss by projection, mean over the blocks", KINDS,
        "SELECT r.id, l.name, avg(l.relative_loss) FROM experiment_rows r JOIN layers l ON "
        "l.point_id = r.id WHERE r.experiment = ?1 AND l.relative_loss IS NOT NULL GROUP BY r.id, "
        "l.name ORDER BY r.position, r.id",
        'g'};
    return report_pivot(report, &pivot, rows);
}

static int conditions(struct report *report, int *rows)
{
    static const struct report_pivot pivot = {
        "Condition number of the damped Hessian by projection, the largest of the blocks", KINDS,
        "SELECT r.id, l.name, max(l.condition) FROM experiment_rows r JOIN layers l ON l.point_id "
        "= r.id WHERE r.experiment = ?1 AND l.condition IS NOT NULL GROUP BY r.id, l.name ORDER BY "
        "r.position, r.id",
        'g'};
    return report_pivot(report, &pivot, rows);
}

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

static int drift(struct report *report, int *rows)
{
    static const struct report_pivot pivot = {
        "Drift of the hidden states behind each block, |quantized − full| / |full|",
        "SELECT 'block ' || b.block FROM experiment_rows r JOIN blocks b ON b.point_id = r.id "
        "WHERE "
        "r.experiment = ?1 GROUP BY b.block ORDER BY b.block",
        "SELECT r.id, 'block ' || b.block, b.drift FROM experiment_rows r JOIN blocks b ON "
        "b.point_id = r.id WHERE r.experiment = ?1 AND b.drift IS NOT NULL ORDER BY r.position, "
        "r.id, b.block",
        '4'};
    return report_pivot(report, &pivot, rows);
}

int report_layers(struct report *report)
{
    int rc, rows[4];
    TRY(strbuf_puts(report->out, "<section id=\"layers\"><h2>Inside the layers</h2>\n"));
    TRY(losses(report, &rows[0]));
    if (rows[0])
        TRY(strbuf_puts(report->out, "<p class=\"soft\">tr((W − Wq) H (W − Wq)ᵀ) / tr(W H Wᵀ) with "
                                     "the Hessian H of the layer's calibration inputs.</p>\n"));
    TRY(choices(report, &rows[1]));
    if (rows[1])
        TRY(strbuf_puts(report->out,
                        "<p class=\"soft\">Salient: the share of the weights that are kept or "
                        "binarized apart. Split: where BiLLM parts the others, over the largest "
                        "magnitude, mean over the layers. Damping: the largest that was added to a "
                        "Hessian's diagonal, as a share of its mean; raised: layers where the "
                        "asked one was not enough.</p>\n"));
    TRY(conditions(report, &rows[2]));
    TRY(drift(report, &rows[3]));
    if (rows[3])
        TRY(strbuf_puts(report->out, "<p class=\"soft\">On the calibration segments, Frobenius "
                                     "norms.</p>\n"));
    if (rows[0] + rows[1] + rows[2] + rows[3] == 0)
        TRY(html_element(report->out, "p", "No layer was quantized."));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
