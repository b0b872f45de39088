/* What of a column is best, and what cannot be told from it. */
#ifndef HARNESS_TABLE_MARKS_H
#define HARNESS_TABLE_MARKS_H

#include "harness/table_data.h"

/* The level of all tests in tables. */
#define MARKS_LEVEL 0.05

/* marks[i] of rows[i] (NULL entries are passed over) in a metric: the best quantized one (least
 * perplexity, highest accuracy) and those that cannot be told from it: paired on the same windows
 * or items by the exact sign test (items: McNemar's), p corrected by Holm's procedure over the
 * comparisons of this call, above MARKS_LEVEL. p[i] is the corrected p, NaN where nothing was
 * compared. Full precision, failed rows, and rows of another model than the best's are not marked.
 */
int marks_of(struct store *store, const struct table_metric *metric, int metric_index,
             const struct table_row *const *rows, int count, enum table_mark *marks, double *p,
             struct arena *arena);

/* Sets mark and mark_p of every value: each metric is a column for each model. */
int table_mark(struct table *table, struct store *store, struct arena *arena);

/* One line on the marks, for below a table. */
extern const char marks_note[];

#endif
