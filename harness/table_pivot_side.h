/* One side of a pivot: the values of its expressions over the rows of a table, and the groups that
 * they make. */
#ifndef HARNESS_TABLE_PIVOT_SIDE_H
#define HARNESS_TABLE_PIVOT_SIDE_H

#include "harness/table_data.h"

/* One side of the pivot: expressions, and the groups that their values make. */
struct pivot_side {
    struct key {
        const char *name;
        const char **texts; /* of each row of the table; NULL: the row takes no part */
        double *numbers;
        bool numeric;
    } * keys;
    int key_count;
    int *groups; /* a row of the table that stands for each group, in their order */
    int group_count;
};

/* list: SQL expressions separated by commas (table_query.h), or NULL: one group of all. `what`
 * names the option for messages. */
int pivot_side_read(struct pivot_side *side, struct store *store, const struct table *table,
                    const char *what, const char *list, struct arena *arena);

/* Whether no expression is NULL for the row. */
bool pivot_side_has(const struct pivot_side *side, int row);

/* Makes the groups of the rows that take part: numbers ascending, texts as they come first. */
int pivot_side_sort(struct pivot_side *side, const unsigned char *takes_part, int rows,
                    struct arena *arena);

/* The group of a row; group_count where it is of none. */
int pivot_side_group(const struct pivot_side *side, int row);

/* "hessian", "bits=3": texts speak for themselves. */
int pivot_side_name(const struct pivot_side *side, int group, struct arena *arena,
                    const char **out);

#endif
