#include "harness/report.h"

#include "core/err.h"
#include "harness/report_internal.h"
#include "harness/store_internal.h"
#include "harness/table_marks.h"

#include <string.h>

static int count_failed(const struct table *table)
{
    int failed = 0;
    for (int i = 0; i < table->row_count; i++)
        failed += table->rows[i].failed;
    return failed;
}

static int write_head(struct report *report, const char *title)
{
    struct strbuf *out = report->out;
    int rc;
    TRY(report_begin(out, title));
    TRY(html_element(out, "h1", title));
    TRY(strbuf_puts(out, "<p class=\"soft\">Experiment <code>"));
    TRY(html_text(out, report->table->experiment));
    TRY(strbuf_printf(out, "</code>: %d points", report->table->row_count));
    if (count_failed(report->table))
        TRY(strbuf_printf(out, ", <span class=\"bad\">%d failed</span>",
                          count_failed(report->table)));
    TRY(strbuf_puts(out, ", measured from "));
    TRY(html_text(out, report->started));
    TRY(strbuf_puts(out, " to "));
    TRY(html_text(out, report->finished));
    TRY(strbuf_puts(out, ".</p>\n"));
out:
    return rc;
}

static int write_page(struct report *report)
{
    static const char navigation[] =
        "<nav aria-label=\"Contents\"><ul><li><a href=\"#results\">Results</a></li>"
        "<li><a href=\"#differences\">Differences</a></li><li><a href=\"#measures\">Predictions "
        "and answers</a></li><li><a href=\"#plots\">Plots</a></li><li><a "
        "href=\"#bits\">Bits</a></li><li><a href=\"#layers\">Layers</a></li><li><a "
        "href=\"#exceptions\">Exceptions</a></li><li><a href=\"#times\">Times</a></li><li><a "
        "href=\"#setup\">Set-up</a></li><li><a href=\"#again\">Reproduction</a></li></ul></nav>\n"
        "</header>\n<main>\n";
    const struct table *table = report->table;
    int rc;
    TRY(write_head(report, *table->title ? table->title : table->experiment));
    TRY(html_question(report->out, report->spec_text));
    TRY(strbuf_puts(report->out, navigation));
    TRY(report_failures(report));
    TRY(report_results(report));
    TRY(report_measures(report));
    TRY(report_plots(report));
    TRY(report_bits(report));
    TRY(report_layers(report));
    TRY(report_exceptions(report));
    TRY(report_times(report));
    TRY(report_setup(report));
    TRY(report_again(report));
    TRY(report_end(report->out));
out:
    return rc;
}

static int load_head(struct report *report)
{
    sqlite3_stmt *statement = NULL;
    const char **const texts[] = {&report->spec_path, &report->spec_text, &report->started,
                                  &report->finished};
    int rc, row;
    TRY(store_prepare(report->store, &statement,
                      "SELECT e.path, e.text, min(r.started), max(r.finished) FROM experiments e "
                      "JOIN experiment_rows r ON r.experiment = e.name WHERE e.name = ?1"));
    TRY(store_bind(report->store, statement, "t", report->table->experiment));
    TRY(store_step(report->store, statement, &row));
    for (int i = 0; i < 4; i++) {
        const char *text = (const char *)sqlite3_column_text(statement, i);
        TRY(arena_printf(report->arena, texts[i], "%s", text ? text : ""));
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

/* What tells the points apart for a reader. */
static int load_names(struct report *report)
{
    const struct table *table = report->table;
    int rc;
    TRY(arena_calloc(report->arena, &report->names, (size_t)table->row_count + 1,
                     sizeof *report->names));
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        report->names[i] = row->label;
        if (table->models > 1)
            TRY(arena_printf(report->arena, &report->names[i], "%s: %s",
                             table_model_name(row->model), row->label));
    }
out:
    return rc;
}

int report_html(struct store *store, const char *database, const char *experiment,
                struct strbuf *out)
{
    struct arena arena = {0};
    struct table table;
    struct report report = {
        .store = store, .database = database, .table = &table, .arena = &arena, .out = out};
    int rc;
    TRY(table_load(&table, store, experiment, &arena));
    TRY(table_mark(&table, store, &arena));
    TRY(load_head(&report));
    TRY(load_names(&report));
    TRY(write_page(&report));
out:
    arena_release(&arena);
    return rc;
}
