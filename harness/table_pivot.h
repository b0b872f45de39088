/* Pivots: one value, or a few, by any settings of the points: `bitbench table --rows low_frac
 * --columns salient_metric --value perplexity:kjv`. */
#ifndef HARNESS_TABLE_PIVOT_H
#define HARNESS_TABLE_PIVOT_H

#include "harness/table_document.h"
#include "harness/table_measure.h"

struct pivot {
    const char *rows;    /* SQL expressions (table_query.h), separated by commas */
    const char *columns; /* the same, or NULL: one column a value */
    const char *value;   /* as measures_parse takes it, or NULL: the first metric */
    bool best; /* of several points in a cell take the best by the first metric among the values
                  (without one: by the first value); else they are an error */
    bool intervals; /* the cells hold intervals and standard errors too */
};

/* A line for each combination of the values of `rows`, a column for each of `columns` (and of the
 * values, when they are several). Points for which one of the expressions is NULL take no part; a
 * line below says how many. Best and not distinguishable are marked within each column. ERR_USAGE
 * for several points in a cell, with the settings in which they differ. */
int pivot_make(struct document *document, struct store *store, const struct table *table,
               const struct pivot *pivot, const struct comparison *papers, struct arena *arena);

#endif
