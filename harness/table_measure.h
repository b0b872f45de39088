/* The columns of a table: what of a row each shows. A table is a list of measures over rows. */
#ifndef HARNESS_TABLE_MEASURE_H
#define HARNESS_TABLE_MEASURE_H

#include "harness/table_data.h"
#include "harness/table_grid.h"
#include "harness/table_published.h"

enum quantity {
    QUANTITY_PAPER_BITS,
    QUANTITY_MARKS_BITS,
    QUANTITY_STORED_BITS,
    QUANTITY_FILE_BITS,
    QUANTITY_QUANTIZE,
    QUANTITY_TOTAL,
    QUANTITY_MEMORY,
    QUANTITY_SEEDS,
    QUANTITY_MEAN_ACCURACY, /* over the tasks */
    /* of a metric */
    QUANTITY_VALUE,
    QUANTITY_DEVIATION, /* over calibration seeds */
    QUANTITY_DIFFERENCE,
    QUANTITY_BITS_PER_BYTE,
    QUANTITY_KL,
    QUANTITY_SAME_TOP,
    QUANTITY_FLIPS,
    QUANTITY_TO_WRONG,
    QUANTITY_TO_RIGHT,
    QUANTITY_PUBLISHED,
    /* an SQL expression (table_query.h) */
    QUANTITY_EXPRESSION
};

struct measure {
    enum quantity quantity;
    int metric;       /* of table.metrics, where it is of one */
    const char *rule; /* MEAN_ACCURACY: of tasks that are scored by several rules */
    const char *head;
    const char **texts; /* EXPRESSION and PUBLISHED: of each row, NULL: nothing; else NULL */
    double *numbers;    /* the same; NaN: no number */
};

struct measures {
    struct measure *all;
    int count;
};

/* The columns of `bitbench table`: bits, quality, time; with the papers' numbers beside the metrics
 * that some match (NULL: without). */
int measures_results(struct measures *measures, const struct table *table,
                     const struct comparison *papers, struct arena *arena);

/* Those of its second table: everything against full precision, and bits per byte. None when there
 * is nothing to compare. */
int measures_differences(struct measures *measures, const struct table *table, struct arena *arena);

/* A list such as "stored_bits, perplexity, kl:kjv, low_frac": names of quantities, of all metrics
 * that they are of or of the one behind the colon; anything else is an SQL expression. ERR_USAGE
 * names the option `what`. papers: may be NULL, then "published" is refused. */
int measures_parse(struct measures *measures, struct store *store, const struct table *table,
                   const char *what, const char *list, const struct comparison *papers,
                   struct arena *arena);

/* list cut at the commas outside brackets and quotes, blanks taken off: *parts (count of them) in
 * the arena. */
int measures_split(const char *list, const char ***parts, int *count, struct arena *arena);

/* What stands in a cell: the text for a reader, and the number behind it (NaN: none). */
int measure_cell(const struct measure *measure, const struct table *table, int row,
                 struct arena *arena, const char **text, double *number);

/* Whether its values are marked as best and not distinguishable. */
static inline bool measure_is_marked(const struct measure *measure)
{
    return measure->quantity == QUANTITY_VALUE;
}

/* Whether one shows seconds; an SQL expression does that names them. */
bool measures_have_times(const struct measures *measures);

/* A line a row, a column a measure, with marks and numbers. notes: may be NULL. */
int measures_grid(struct grid *grid, const struct table *table, const struct measures *measures,
                  const struct notes *notes, struct arena *arena);

#endif
