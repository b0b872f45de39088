#include "harness/table.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/table_document.h"
#include "harness/table_layers.h"
#include "harness/table_ledger.h"
#include "harness/table_marks.h"
#include "harness/table_measure.h"
#include "harness/table_pareto.h"
#include "harness/table_pivot.h"
#include "harness/table_published.h"
#include "harness/table_query.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static bool has_measure(const struct measures *measures, enum quantity quantity)
{
    for (int i = 0; i < measures->count; i++)
        if (measures->all[i].quantity == quantity)
            return true;
    return false;
}

static bool is_of_metric(const struct measures *measures, int metric)
{
    for (int i = 0; i < measures->count; i++)
        if (measures->all[i].quantity >= QUANTITY_VALUE &&
            measures->all[i].quantity < QUANTITY_EXPRESSION && measures->all[i].metric == metric)
            return true;
    return false;
}

static int add_legends(struct document *document, const struct measures *measures,
                       struct arena *arena)
{
    int rc = 0;
    for (int j = 0; j < document->table->metric_count; j++) {
        const char *legend;
        if (!is_of_metric(measures, j))
            continue;
        TRY(table_legend(&document->table->metrics[j], arena, &legend));
        TRY(document_line(document, arena, "%s", legend));
    }
out:
    return rc;
}

/* What the columns of both tables hold. */
static int add_lines(struct document *document, const struct notes *notes,
                     const struct measures *results, const struct measures *differences,
                     struct arena *arena)
{
    static const struct {
        enum quantity quantity;
        const char *text;
    } legends[] = {
        {QUANTITY_VALUE, marks_note},
        {QUANTITY_DEVIATION,
         "s.d.: standard deviation over calibration seeds, apart from sampling error, which the "
         "intervals and ± are."},
        {QUANTITY_FLIPS,
         "flips: -n answers that are right in full precision and wrong here, +n the other way "
         "round."},
        {QUANTITY_KL, "KL: mean divergence from full precision's next-token distribution, nats a "
                      "token; same top: where both have the same most likely token."},
        {QUANTITY_PUBLISHED, "papers: the number that a paper prints for the same model, method, "
                             "settings, data set and rule (docs/published.md)."}};
    int rc;
    TRY(document_notes(document, notes, arena));
    TRY(add_legends(document, results, arena));
    TRY(document_line(document, arena,
                      "bits: a weight as the paper counts; as stored, everything included; the "
                      "whole file over all parameters. [low, high]: 95 %% intervals, bootstrap "
                      "over windows or items. ±: standard error."));
    for (size_t i = 0; i < sizeof legends / sizeof *legends; i++)
        if (has_measure(results, legends[i].quantity) ||
            has_measure(differences, legends[i].quantity))
            TRY(document_line(document, arena, "%s", legends[i].text));
out:
    return rc;
}

static int results(struct document *document, struct store *store, struct table *table,
                   const struct table_request *request, const struct comparison *papers,
                   struct arena *arena)
{
    struct measures measures, differences = {0};
    struct notes notes;
    struct grid grid;
    int rc;
    TRY(table_mark(table, store, arena));
    if (request->show)
        TRY(measures_parse(&measures, store, table, "--show", request->show, papers, arena));
    else
        TRY(measures_results(&measures, table, papers, arena));
    TRY(table_notes(&notes, table, measures_have_times(&measures), arena));
    TRY(measures_grid(&grid, table, &measures, &notes, arena));
    TRY(document_add(document, "", &grid));
    if (!request->show)
        TRY(measures_differences(&differences, table, arena));
    if (differences.count) {
        TRY(measures_grid(&grid, table, &differences, NULL, arena));
        TRY(document_add(document, "Against full precision, on the same windows and items", &grid));
    }
    TRY(add_lines(document, &notes, &measures, &differences, arena));
out:
    return rc;
}

static int fields(struct store *store, const struct table *table, FILE *out)
{
    struct strbuf names = {0};
    int rc = query_columns(store, table, &names);
    if (rc == 0)
        fputs(names.data, out);
    strbuf_release(&names);
    return rc;
}

/* Results with all digits have a form of their own in CSV and JSON. */
static bool is_whole(const struct table_request *request)
{
    return request->form == TABLE_RESULTS && !request->show && !request->papers &&
           (request->format == TABLE_CSV || request->format == TABLE_JSON);
}

static int print_whole(struct store *store, struct table *table, enum table_format format,
                       FILE *out, struct arena *arena)
{
    int rc;
    TRY(table_mark(table, store, arena));
    TRY(format == TABLE_CSV ? table_csv(table, out) : table_json(table, out));
out:
    return rc;
}

static int make_document(struct document *document, struct store *store, struct table *table,
                         const struct table_request *request, const struct comparison *papers,
                         struct arena *arena)
{
    const struct pivot pivot = {.rows = request->rows,
                                .columns = request->columns,
                                .value = request->value,
                                .best = request->best,
                                .intervals = request->intervals};
    switch (request->form) {
    case TABLE_PIVOT: return pivot_make(document, store, table, &pivot, papers, arena);
    case TABLE_BITS: return ledger_bits(document, store, table, arena);
    case TABLE_EXCEPTIONS: return ledger_exceptions(document, store, table, arena);
    case TABLE_LAYERS: return layers_document(document, store, table, arena);
    default: return results(document, store, table, request, papers, arena);
    }
}

static int answer(struct store *store, struct table *table, const struct table_request *request,
                  FILE *out, struct arena *arena)
{
    struct document document = {.table = table};
    struct published published;
    struct comparison papers;
    int rc = 0;
    if (request->papers) {
        TRY(published_load(&published, request->papers, arena));
        TRY(comparison_make(&papers, table, &published, arena));
    }
    if (request->form == TABLE_PUBLISHED) {
        TRY(comparison_print(&papers, table, request->format, out, arena));
    } else if (request->form == TABLE_PARETO) {
        TRY(pareto_print(table, request->format, out, arena));
    } else if (request->form == TABLE_FIELDS) {
        TRY(fields(store, table, out));
    } else if (is_whole(request)) {
        TRY(print_whole(store, table, request->format, out, arena));
    } else {
        TRY(make_document(&document, store, table, request, request->papers ? &papers : NULL,
                          arena));
        TRY(document_print(&document, request->format, out, arena));
    }
out:
    return rc;
}

int table_answer(struct store *store, const struct table_request *request, FILE *out)
{
    const struct table_selection selection = {.experiment = request->experiment,
                                              .where = request->where,
                                              .seeds_together = !request->seeds_apart};
    struct arena arena = {0};
    struct table table;
    int rc;
    if (request->form == TABLE_PUBLISHED && !request->papers)
        return err_set(ERR_INTERNAL, "table: no file with the papers' numbers is named");
    TRY(table_select(&table, store, &selection, &arena));
    TRY(answer(store, &table, request, out, &arena));
    if (fflush(out) != 0 || ferror(out))
        rc = err_set(ERR_IO, "table: cannot write: %s", strerror(errno));
out:
    arena_release(&arena);
    return rc;
}

int table_print(struct store *store, const char *experiment, enum table_format format, FILE *out)
{
    return table_answer(store, &(struct table_request){.experiment = experiment, .format = format},
                        out);
}
