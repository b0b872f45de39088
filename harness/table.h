/* The results of an experiment as a table: reads only SQL. */
#ifndef HARNESS_TABLE_H
#define HARNESS_TABLE_H

#include "harness/store.h"

#include <stdbool.h>
#include <stdio.h>

enum table_format { TABLE_MARKDOWN, TABLE_CSV, TABLE_LATEX, TABLE_JSON };

/* What is printed. */
enum table_form {
    TABLE_RESULTS,    /* a line a point: bits, quality, time; then differences to full precision */
    TABLE_PIVOT,      /* values by settings: where `rows` is there */
    TABLE_BITS,       /* what the bits are for */
    TABLE_EXCEPTIONS, /* tensors that did not get what was asked */
    TABLE_LAYERS,     /* errors by kind of projection and by block */
    TABLE_PUBLISHED,  /* the papers' numbers and ours, a line a match */
    TABLE_PARETO,     /* fronts of perplexity against bits and time */
    TABLE_FIELDS      /* the columns that expressions may use, one a line */
};

struct table_request {
    enum table_form form;
    enum table_format format;
    const char *experiment; /* NULL: the only one of the database */
    const char *where;      /* SQL (harness/table_query.h): which points; NULL: all */
    bool seeds_apart;       /* points that differ in the calibration seed alone are rows each */
    const char *show;       /* RESULTS: the columns (measures_parse); NULL: the usual ones */
    const char *rows, *columns, *value; /* PIVOT: see struct pivot */
    bool best, intervals;
    const char *papers; /* file of the papers' numbers: needed by PUBLISHED, beside the metrics in
                           RESULTS and PIVOT; NULL: without */
};

/* Prints the points of an experiment in the order of its spec. With several experiments and none
 * named, ERR_USAGE lists them. A column holds only values that may be compared: one data set,
 * split, rule, window and content hash. Differences to full precision are paired by window or item
 * and are there where the same model's full-precision point was measured on the same data. Best and
 * not distinguishable from it are marked (harness/table_marks.h). Markdown is aligned, so that it
 * reads as plain text too. ERR_FORMAT for a file of papers that is not as docs/published.md says.
 */
int table_answer(struct store *store, const struct table_request *request, FILE *out);

/* The results alone. */
int table_print(struct store *store, const char *experiment, enum table_format format, FILE *out);

#endif
