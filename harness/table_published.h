/* Our figures beside the papers': the lines of `bitbench table --published`. */
#ifndef HARNESS_TABLE_PUBLISHED_H
#define HARNESS_TABLE_PUBLISHED_H

#include "harness/published.h"
#include "harness/table.h"
#include "harness/table_data.h"

struct comparison_line {
    const struct published_row *theirs;
    const struct table_row *row;
    const struct table_metric *metric; /* NULL: a mean of several, or a size */
    const char *what;                  /* "wikitext2 ppl", "boolq acc %", "size GB" */
    double value;                      /* ours in their unit: accuracies in percent */
    double low, high;                  /* of its interval, in that unit; NaN: none */
    double difference, relative;       /* ours - theirs; the same over theirs */
    const char *remark;                /* "" or how the two differ all the same */
};

struct comparison {
    struct comparison_line *lines; /* in the order of our rows */
    int count;
    int published; /* rows of the file */
};

int comparison_make(struct comparison *comparison, const struct table *table,
                    const struct published *published, struct arena *arena);
int comparison_print(const struct comparison *comparison, const struct table *table,
                     enum table_format format, FILE *out, struct arena *arena);

#endif
