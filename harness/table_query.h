/* SQL expressions over the points of an experiment: `bitbench table --where` and the columns of a
 * pivot. An expression reads columns and nothing else: the connection is for reading only, and an
 * authorizer refuses whatever is not a SELECT. The columns (query_columns lists them):
 *
 *     method, label, model, status, id, position, weights, paper_bits, marks_bits, stored_bits,
 *     file_bits, file_bytes, peak_memory, quantize_seconds, total_seconds, saved, exceptions, busy,
 *     started, finished, warnings, error, settings, host (both JSON)
 *     every option of the methods and of the harness by its name; NULL where a point has none
 *     calibration.corpus, calibration.samples, calibration.seed, ...
 *     after.sparsity, ...: options of the method that another one follows ("prune+gptq")
 *     "perplexity:kjv", "accuracy:kjv_half", ...: values, quoted, as the table titles them
 *     settings ->> '$.a.b' for anything else
 *
 * Booleans are 1 and 0. */
#ifndef HARNESS_TABLE_QUERY_H
#define HARNESS_TABLE_QUERY_H

#include "harness/table_data.h"

struct strbuf;

/* keep[i] = 1 for the rows for whose (first) point the expression is true. ERR_USAGE for one that
 * is wrong: one line with what is, and the nearest column. */
int query_filter(struct store *store, const struct table *table, const char *where,
                 unsigned char *keep);

/* What an expression gives for each row's (first) point: texts[i], NULL where it is NULL (booleans
 * of options as "true" and "false"), and numbers[i], NaN where it is no number. `what` names its
 * place for messages: "--rows". */
int query_column(struct store *store, const struct table *table, const char *what,
                 const char *expression, const char **texts, double *numbers, struct arena *arena);

/* Appends the names of all columns, one a line. */
int query_columns(struct store *store, const struct table *table, struct strbuf *out);

#endif
