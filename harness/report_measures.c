/* What perplexity and accuracy hide: how far the predictions moved from full precision's, answers
 * that changed in both directions, and calibration text that is in the evaluation. */
#include "core/err.h"
#include "harness/report_internal.h"

static int divergence(struct report *report, int *rows)
{
    static const char *const heads[] = {"point",  "text",          "rule",     "window",
                                        "tokens", "KL divergence", "± (nats)", "same top token"};
    static const struct report_query query = {
        "Next-token predictions against full precision, on the same tokens", "Nttii44%",
        "SELECT r.id, m.dataset || ' ' || m.split, m.rule, m.window, m.count, m.kl_divergence, "
        "m.kl_error, m.same_top FROM experiment_rows r JOIN metrics m ON m.point_id = r.id WHERE "
        "r.experiment = ?1 AND m.kl_divergence IS NOT NULL AND r.method <> 'full' ORDER BY "
        "r.position, r.id, m.id",
        heads};
    return report_query(report, &query, rows);
}

/* The full-precision point is the model's own; its items are the same ones by the hash of the
 * questions. */
static int flips(struct report *report, int *rows)
{
    static const char *const heads[] = {"point",          "task",           "rule",    "items",
                                        "right to wrong", "wrong to right", "changed", "accuracy"};
    static const struct report_query query = {
        "Answers that changed against full precision", "Nttiiinn",
        "WITH a AS (SELECT r.id, r.position, r.method, r.model_hash, m.id AS metric, m.dataset, "
        "m.split, m.rule, m.data_hash FROM experiment_rows r JOIN metrics m ON m.point_id = r.id "
        "WHERE r.experiment = ?1 AND m.kind = 'accuracy'), f AS (SELECT * FROM a WHERE method = "
        "'full' GROUP BY model_hash, dataset, split, rule, data_hash) SELECT a.id, a.dataset, "
        "a.rule, count(*), sum(y.correct > x.correct), sum(x.correct > y.correct), "
        "printf('%.1f %%', 100.0 * sum(x.choice <> y.choice) / count(*)), printf('%+.1f', 100.0 * "
        "(avg(x.correct) - avg(y.correct))) FROM a JOIN f USING (model_hash, dataset, split, rule, "
        "data_hash) JOIN items x ON x.metric_id = a.metric JOIN items y ON y.metric_id = f.metric "
        "AND y.number = x.number WHERE a.method <> 'full' GROUP BY a.metric ORDER BY a.position, "
        "a.id, a.metric",
        heads};
    return report_query(report, &query, rows);
}

static int overlap(struct report *report, int *rows)
{
    static const char *const heads[] = {"point", "data", "calibration", "overlap", ""};
    static const struct report_query query = {
        "Share of the evaluation's 13-grams of tokens that the calibration holds", "Nttnt",
        "SELECT r.id, m.dataset || ' ' || m.split, r.settings ->> '$.calibration.corpus', "
        "printf('%.2f %%', 100 * m.overlap), CASE WHEN m.overlap_allowed THEN 'above the limit, "
        "allowed by the spec' ELSE '' END FROM experiment_rows r JOIN metrics m ON m.point_id = "
        "r.id WHERE r.experiment = ?1 AND m.overlap IS NOT NULL AND (m.overlap > 0 OR "
        "m.overlap_allowed) ORDER BY r.position, r.id, m.id",
        heads};
    return report_query(report, &query, rows);
}

int report_measures(struct report *report)
{
    static const char nothing[] = "<p>No divergence from full precision, no changed answers and no "
                                  "overlap with calibration text were recorded.</p>\n";
    int rc, rows[3];
    TRY(strbuf_puts(report->out, "<section id=\"measures\"><h2>Predictions and answers</h2>\n"));
    TRY(divergence(report, &rows[0]));
    if (rows[0])
        TRY(strbuf_puts(report->out, "<p class=\"soft\">KL(full ‖ quantized), the mean over the "
                                     "scored tokens, with its standard error over windows. Same "
                                     "top token: both find the same next token most "
                                     "likely.</p>\n"));
    TRY(flips(report, &rows[1]));
    if (rows[1])
        TRY(strbuf_puts(report->out, "<p class=\"soft\">An unchanged accuracy can hide answers "
                                     "that changed in both directions. Changed: any other choice, "
                                     "a wrong one for another wrong one too. Accuracy: the "
                                     "difference in points of a hundred.</p>\n"));
    TRY(overlap(report, &rows[2]));
    if (rows[0] + rows[1] + rows[2] == 0)
        TRY(strbuf_puts(report->out, nothing));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
