/* How long it took, and whether the machine was doing something else at the time. */
#include "core/err.h"
#include "harness/report_internal.h"

int report_times(struct report *report)
{
    static const char *const heads[] = {
        "point",        "load",          "calibrate",  "quantize",    "diagnose",
        "evaluate",     "total",         "CPU",        "repetitions", "longest",
        "load average", "measured when", "taken over", "peak memory"};
    /* The load is that of the quietest repetition. */
    static const struct report_query query = {
        "Seconds by stage", "N2222222i2nt2G",
        "SELECT r.id, max(t.wall) FILTER (WHERE t.stage = 'load'), max(t.wall) FILTER (WHERE "
        "t.stage = 'calibrate'), max(t.wall) FILTER (WHERE t.stage = 'quantize'), max(t.wall) "
        "FILTER (WHERE t.stage = 'diagnose'), max(t.wall) FILTER (WHERE t.stage = 'evaluate'), "
        "ifnull(max(t.wall) FILTER (WHERE t.stage = 'total'), sum(t.wall)), ifnull(max(t.cpu) "
        "FILTER (WHERE t.stage = 'total'), sum(t.cpu)), max(t.repetitions), max(t.longest) "
        "FILTER (WHERE t.stage = 'total'), (SELECT printf('%.1f → %.1f', p.load_before, "
        "p.load_after) FROM repetitions p WHERE p.point_id = r.id AND p.load_before IS NOT NULL "
        "ORDER BY p.busy, p.load_before LIMIT 1), (SELECT CASE WHEN sum(p.busy) = 0 THEN "
        "'quiet' WHEN sum(p.busy) = count(*) THEN '⚠ busy' ELSE sum(p.busy) || ' of ' || "
        "count(*) || ' busy' END FROM repetitions p WHERE p.point_id = r.id HAVING count(*) > "
        "0), r.saved, r.peak_memory FROM experiment_rows r JOIN stage_times t ON t.point_id = "
        "r.id WHERE r.experiment = ?1 GROUP BY r.id ORDER BY r.position, r.id",
        heads};
    int rc, rows;
    TRY(strbuf_puts(report->out, "<section id=\"times\"><h2>Times</h2>\n"));
    TRY(report_query(report, &query, &rows));
    if (rows)
        TRY(strbuf_puts(report->out,
                        "<p class=\"soft\">Wall-clock seconds, the least of the repetitions: what "
                        "else was running can only add to them. CPU: seconds of all threads. ⚠ "
                        "busy: the machine had other work in every repetition, so that the row is "
                        "no measure of the method. Taken over: seconds of work that another point "
                        "of the run had done already.</p>\n"));
    else
        TRY(html_element(report->out, "p", "No times were recorded."));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
