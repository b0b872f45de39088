/* Paired differences between stored points, on the same windows and items, corrected for the number
 * of comparisons. */
#ifndef HARNESS_COMPARE_H
#define HARNESS_COMPARE_H

#include "harness/table_data.h"

/* One metric of two points. */
struct compare_line {
    const struct table_row *row; /* what is compared with the base */
    const struct table_metric *metric;
    const struct table_value *base, *ours;
    struct paired paired; /* ours against base */
    double corrected;     /* p by Holm's step-down procedure over all lines */
    double resolvable; /* the smallest difference that such a comparison finds four times in five:
                          of a ratio, its distance from 1; of an accuracy, a share */
};

struct compare {
    const struct table_row *base;
    struct compare_line *lines;
    int count;
};

/* The row of the table that `text` names: the beginning of one id of its points (4 digits at
 * least), or one label as the table prints it. ERR_USAGE names what there is. */
int compare_find(const struct table *table, const char *text, const struct table_row **row);

/* Compares each of rows[0..count) with base, in all metrics that both have. All memory is the
 * arena's. ERR_USAGE when nothing can be compared. */
int compare_make(struct compare *compare, struct store *store, const struct table *table,
                 const struct table_row *base, const struct table_row *const *rows, int count,
                 struct arena *arena);

/* Sets `corrected` of all lines from the p of each, for lines that were made elsewhere. */
int compare_correct(struct compare *compare, struct arena *arena);

#endif
