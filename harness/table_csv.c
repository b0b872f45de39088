/* All figures with all their digits: CSV (RFC 4180) and JSON. */
#include "core/err.h"
#include "harness/table_grid.h"

#include <jansson.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNIFICANT = 10 };

/* A field is quoted when it holds a comma, a quote or the end of a line; quotes are doubled. */
void csv_text(const char *text, int first, FILE *out)
{
    int quoted = strpbrk(text, ",\"\r\n") != NULL;
    fputs(first ? "" : ",", out);
    fputs(quoted ? "\"" : "", out);
    for (; *text; text++)
        fputs(*text == '"' ? "\"\"" : (char[2]){*text, 0}, out);
    fputs(quoted ? "\"" : "", out);
}

/* NaN is an empty field. */
void csv_number(double value, FILE *out)
{
    if (isnan(value))
        fputs(",", out);
    else
        fprintf(out, ",%.*g", SIGNIFICANT, value);
}

static const char *const fixed_columns[] = {
    "label",         "method",           "status",     "paper_bits", "paper_bits_marks",
    "stored_bits",   "file_bits",        "file_bytes", "weights",    "quantize_seconds",
    "total_seconds", "peak_memory_bytes"};

/* What follows a metric's title in a column's name: "kjv_perplexity_low", "kjv_half_accuracy". */
static const char *const perplexity_columns[] = {"",           "_standard_error", "_low",
                                                 "_high",      "_bits_per_byte",  "_ratio",
                                                 "_ratio_low", "_ratio_high",     "_ratio_p"};
static const char *const accuracy_columns[] = {"",
                                               "_standard_error",
                                               "_low",
                                               "_high",
                                               "_difference",
                                               "_difference_low",
                                               "_difference_high",
                                               "_difference_p"};

/* Fills values in the order of the columns above; returns how many. */
static int metric_values(const struct table_metric *m, const struct table_value *v,
                         double values[9], const char *const **names)
{
    double missing = NAN;
    int n = 0, there = v->present, compared = v->compared;
    const double *shown[] = {&v->value, &v->standard_error, &v->low, &v->high};
    for (int i = 0; i < 4; i++)
        values[n++] = there ? *shown[i] : missing;
    if (table_metric_is_perplexity(m))
        values[n++] = there ? v->bits_per_byte : missing;
    const double *paired[] = {&v->paired.value, &v->paired.low, &v->paired.high, &v->paired.p};
    for (int i = 0; i < 4; i++)
        values[n++] = compared ? *paired[i] : missing;
    *names = table_metric_is_perplexity(m) ? perplexity_columns : accuracy_columns;
    return n;
}

static void csv_header(const struct table *table, FILE *out)
{
    const char *const *names;
    double unused[9];
    for (size_t i = 0; i < sizeof fixed_columns / sizeof *fixed_columns; i++)
        csv_text(fixed_columns[i], i == 0, out);
    for (int j = 0; j < table->metric_count; j++) {
        const struct table_metric *m = &table->metrics[j];
        int count = metric_values(m, &(struct table_value){0}, unused, &names);
        for (int k = 0; k < count; k++) {
            char name[256];
            snprintf(name, sizeof name, "%s_%s%s", m->title, m->kind, names[k]);
            csv_text(name, 0, out);
        }
    }
    fputs(",warnings,error,id,model\r\n", out);
}

int table_csv(const struct table *table, FILE *out)
{
    const char *const *names;
    double values[9];
    csv_header(table, out);
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        csv_text(row->label, 1, out);
        csv_text(row->method, 0, out);
        csv_text(row->failed ? "failed" : "done", 0, out);
        const double fixed[] = {row->paper_bits,       row->marks_bits,    row->stored_bits,
                                row->full_bits,        row->file_bytes,    row->weights,
                                row->quantize_seconds, row->total_seconds, row->peak_memory};
        for (size_t k = 0; k < sizeof fixed / sizeof *fixed; k++)
            csv_number(fixed[k], out);
        for (int j = 0; j < table->metric_count; j++) {
            int count = metric_values(&table->metrics[j], &row->values[j], values, &names);
            for (int k = 0; k < count; k++)
                csv_number(values[k], out);
        }
        csv_text(row->warnings, 0, out);
        csv_text(row->error, 0, out);
        csv_text(row->id, 0, out);
        csv_text(row->model, 0, out);
        fputs("\r\n", out);
    }
    return 0;
}

/* NaN and infinities have no place in JSON. */
static json_t *json_number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *metric_object(const struct table_metric *m, const struct table_value *v)
{
    const char *const *names;
    double values[9];
    int count = metric_values(m, v, values, &names);
    json_t *object = json_pack("{s:s,s:s,s:s,s:s,s:i,s:I,s:s}", "kind", m->kind, "dataset",
                               m->dataset, "split", m->split, "rule", m->rule, "window", m->window,
                               "count", (json_int_t)m->count, "data_hash", m->data_hash);
    for (int k = 0; object && k < count; k++)
        json_object_set_new(object, *names[k] ? names[k] + 1 : "value",
                            json_number_or_null(values[k]));
    return object;
}

static json_t *row_object(const struct table *table, const struct table_row *row)
{
    json_t *metrics = json_array();
    for (int j = 0; j < table->metric_count; j++)
        if (row->values[j].present)
            json_array_append_new(metrics, metric_object(&table->metrics[j], &row->values[j]));
    json_t *object = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:s}", "id", row->id, "label", row->label,
                               "model", row->model, "method", row->method, "status",
                               row->failed ? "failed" : "done", "warnings", row->warnings, "error",
                               row->error);
    const double fixed[] = {row->paper_bits,       row->marks_bits,    row->stored_bits,
                            row->full_bits,        row->file_bytes,    row->weights,
                            row->quantize_seconds, row->total_seconds, row->peak_memory};
    for (size_t k = 0; k < sizeof fixed / sizeof *fixed; k++)
        json_object_set_new(object, fixed_columns[3 + k], json_number_or_null(fixed[k]));
    json_object_set_new(object, "metrics", metrics);
    return object;
}

int table_json(const struct table *table, FILE *out)
{
    json_t *rows = json_array();
    for (int i = 0; i < table->row_count; i++)
        json_array_append_new(rows, row_object(table, &table->rows[i]));
    json_t *object = json_pack("{s:s,s:s,s:s,s:o}", "experiment", table->experiment, "title",
                               table->title, "model", table->model, "rows", rows);
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(SIGNIFICANT))
                        : NULL;
    int rc = text ? 0 : err_set(ERR_MEMORY, "table: the rows cannot be written as JSON");
    if (text)
        fprintf(out, "%s\n", text);
    free(text);
    json_decref(object);
    return rc;
}
