/* The whole of a table with all its digits, as CSV (RFC 4180) and JSON. */
#include "core/err.h"
#include "harness/table_grid.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* The numbers of a row. */
static const char *const fixed_columns[] = {"paper_bits",        "paper_bits_marks",
                                            "stored_bits",       "file_bits",
                                            "file_bytes",        "weights",
                                            "quantize_seconds",  "total_seconds",
                                            "peak_memory_bytes", "seeds",
                                            "exceptions",        "busy"};
enum { FIXED = sizeof fixed_columns / sizeof *fixed_columns, PER_METRIC = 13 };

static void fixed_values(const struct table_row *row, double values[FIXED])
{
    const double all[FIXED] = {row->paper_bits,       row->marks_bits,    row->stored_bits,
                               row->full_bits,        row->file_bytes,    row->weights,
                               row->quantize_seconds, row->total_seconds, row->peak_memory,
                               row->id_count,         row->exceptions,    row->busy};
    memcpy(values, all, sizeof all);
}

/* What follows a metric's title in a column's name: "kjv_perplexity_low", "kjv_half_accuracy". */
static const char *const perplexity_columns[PER_METRIC] = {"",
                                                           "_standard_error",
                                                           "_low",
                                                           "_high",
                                                           "_ratio",
                                                           "_ratio_low",
                                                           "_ratio_high",
                                                           "_ratio_p",
                                                           "_seeds_deviation",
                                                           "_bits_per_byte",
                                                           "_kl",
                                                           "_same_top",
                                                           "_overlap"};
static const char *const accuracy_columns[PER_METRIC] = {"",
                                                         "_standard_error",
                                                         "_low",
                                                         "_high",
                                                         "_difference",
                                                         "_difference_low",
                                                         "_difference_high",
                                                         "_difference_p",
                                                         "_seeds_deviation",
                                                         "_to_wrong",
                                                         "_to_right"};

/* Fills values in the order of the columns above; returns how many. */
static int metric_values(const struct table_metric *m, const struct table_value *v,
                         double values[PER_METRIC], const char *const **names)
{
    const bool perplexity = table_metric_is_perplexity(m);
    const double *shown[] = {&v->value, &v->standard_error, &v->low, &v->high};
    const double *paired[] = {&v->paired.value, &v->paired.low, &v->paired.high, &v->paired.p};
    const double *of_text[] = {&v->bits_per_byte, &v->kl, &v->same_top, &v->overlap};
    int n = 0;
    for (int i = 0; i < 4; i++)
        values[n++] = v->present ? *shown[i] : NAN;
    for (int i = 0; i < 4; i++)
        values[n++] = v->compared ? *paired[i] : NAN;
    values[n++] = v->present ? v->deviation : NAN;
    for (int i = 0; i < 4 && perplexity; i++)
        values[n++] = v->present ? *of_text[i] : NAN;
    if (!perplexity) {
        values[n++] = v->compared ? v->to_wrong : NAN;
        values[n++] = v->compared ? v->to_right : NAN;
    }
    *names = perplexity ? perplexity_columns : accuracy_columns;
    return n;
}

static void csv_name(const struct table_metric *m, const char *what, FILE *out)
{
    char name[512];
    snprintf(name, sizeof name, "%s_%s%s", m->title, m->kind, what);
    csv_text(name, 0, out);
}

static void csv_header(const struct table *table, FILE *out)
{
    const char *const *names;
    double unused[PER_METRIC];
    fputs("label,method,status", out);
    for (int k = 0; k < FIXED; k++)
        csv_text(fixed_columns[k], 0, out);
    for (int j = 0; j < table->metric_count; j++) {
        const struct table_metric *m = &table->metrics[j];
        int count = metric_values(m, &(struct table_value){0}, unused, &names);
        for (int k = 0; k < count; k++)
            csv_name(m, names[k], out);
        csv_name(m, "_mark", out);
        csv_name(m, "_mark_p", out);
    }
    fputs(",warnings,error,id,model\r\n", out);
}

int table_csv(const struct table *table, FILE *out)
{
    const char *const *names;
    double values[PER_METRIC], fixed[FIXED];
    csv_header(table, out);
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        csv_text(row->label, 1, out);
        csv_text(row->method, 0, out);
        csv_text(row->failed ? "failed" : "done", 0, out);
        fixed_values(row, fixed);
        for (int k = 0; k < FIXED; k++)
            csv_number(fixed[k], out);
        for (int j = 0; j < table->metric_count; j++) {
            int count = metric_values(&table->metrics[j], &row->values[j], values, &names);
            for (int k = 0; k < count; k++)
                csv_number(values[k], out);
            csv_text(mark_name(row->values[j].mark), 0, out);
            csv_number(row->values[j].mark_p, out);
        }
        csv_text(row->warnings, 0, out);
        csv_text(row->error, 0, out);
        csv_text(row->id, 0, out);
        csv_text(row->model, 0, out);
        fputs("\r\n", out);
    }
    return 0;
}

static json_t *metric_object(const struct table_metric *m, const struct table_value *v)
{
    const char *const *names;
    double values[PER_METRIC];
    int count = metric_values(m, v, values, &names);
    json_t *object = json_pack("{s:s,s:s,s:s,s:s,s:i,s:I,s:s,s:s,s:b,s:o}", "kind", m->kind,
                               "dataset", m->dataset, "split", m->split, "rule", m->rule, "window",
                               m->window, "count", (json_int_t)m->count, "data_hash", m->data_hash,
                               "mark", mark_name(v->mark), "overlap_allowed", v->overlap_allowed,
                               "mark_p", json_number_or_null(v->mark_p));
    for (int k = 0; object && k < count; k++)
        json_object_set_new(object, *names[k] ? names[k] + 1 : "value",
                            json_number_or_null(values[k]));
    return object;
}

static json_t *row_object(const struct table *table, const struct table_row *row)
{
    double fixed[FIXED];
    json_t *metrics = json_array(), *ids = json_array();
    for (int j = 0; j < table->metric_count; j++)
        if (row->values[j].present)
            json_array_append_new(metrics, metric_object(&table->metrics[j], &row->values[j]));
    for (int i = 0; i < row->id_count; i++)
        json_array_append_new(ids, json_string(row->ids[i]));
    json_t *object = json_pack("{s:s,s:o,s:s,s:s,s:s,s:s,s:s,s:s}", "id", row->id, "ids", ids,
                               "label", row->label, "model", row->model, "method", row->method,
                               "status", row->failed ? "failed" : "done", "warnings", row->warnings,
                               "error", row->error);
    fixed_values(row, fixed);
    for (int k = 0; k < FIXED; k++)
        json_object_set_new(object, fixed_columns[k], json_number_or_null(fixed[k]));
    json_object_set_new(object, "metrics", metrics);
    return object;
}

int table_json(const struct table *table, FILE *out)
{
    json_t *rows = json_array();
    for (int i = 0; i < table->row_count; i++)
        json_array_append_new(rows, row_object(table, &table->rows[i]));
    return json_print_line(json_pack("{s:s,s:s,s:s,s:o}", "experiment", table->experiment, "title",
                                     table->title, "model", table->model, "rows", rows),
                           out);
}
