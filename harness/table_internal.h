/* Between the files that read a table's rows: harness/table_data.c, table_values.c, table_seeds.c.
 */
#ifndef HARNESS_TABLE_INTERNAL_H
#define HARNESS_TABLE_INTERNAL_H

#include "harness/store_internal.h"
#include "harness/table_data.h"

/* *out = the column's text in the arena; NULL is "". */
int table_column_text(struct arena *arena, sqlite3_stmt *statement, int column, const char **out);

/* NULL is NaN. */
double table_column_real(sqlite3_stmt *statement, int column);

/* Rows whose settings are equal but for calibration.seed and calibration.hash become one, at the
 * place of the first: bits, sizes and times are means, memory is the largest. Failed points stay
 * apart. */
int table_join_seeds(struct table *table, struct arena *arena);

/* The same windows as table_parts gives, with each one's summed divergence from full precision;
 * *count = 0 where that was not measured. */
int table_divergence_parts(struct store *store, const struct table_row *row,
                           const struct table_metric *metric, struct arena *arena,
                           struct metric_part **parts, int *count);

/* Fills the row's value of a metric. */
int table_load_value(struct table_value *value, struct store *store, const struct table_row *row,
                     const struct table_metric *metric, struct arena *arena);

#endif
