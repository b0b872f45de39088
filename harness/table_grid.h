/* A grid of texts: what is printed in a cell, whatever the format. */
#ifndef HARNESS_TABLE_GRID_H
#define HARNESS_TABLE_GRID_H

#include "harness/table_data.h"
#include "harness/table_numbers.h"

#include <stdio.h>

struct grid {
    int rows, columns;    /* row 0 is the header; column 0 holds labels and is left-aligned */
    const char **cells;   /* rows x columns, never NULL */
    const double *values; /* the numbers behind the texts, NaN where there is none; or NULL */
    const enum table_mark *marks; /* of the cells; or NULL */
    int left;                     /* how many columns are left-aligned; 0 stands for 1 */
};

/* Cells of TABLE_NOTHING; with_numbers: also values (NaN) and marks, which the pointers lend out
 * for writing. */
struct grid_writer {
    double *values;
    enum table_mark *marks;
};
int grid_init(struct grid *grid, int rows, int columns, struct grid_writer *writer,
              struct arena *arena);

/* What stands below a table: marks "a", "b", ... with the warnings and errors they stand for. */
struct notes {
    const char **texts;
    int *of_row; /* the note of each row, or -1; equal texts share one */
    int count;
};

/* What a reader of each row must know: errors, warnings, exceptions, overlap that was allowed,
 * calibration seeds, and where `times` are shown also that the machine was busy. */
int table_notes(struct notes *notes, const struct table *table, bool times, struct arena *arena);

/* "embedded: gptq bits=3 [a]": with several models a row says which it is of; note -1: none. */
int table_label(const struct table *table, const struct table_row *row, int note,
                struct arena *arena, const char **out);

/* Bits, quality and time. */
int table_results(struct grid *grid, const struct table *table, const struct notes *notes,
                  struct arena *arena);
/* A line on what a column holds: "kjv: perplexity, test split, ...". */
int table_legend(const struct table_metric *metric, struct arena *arena, const char **out);

/* As Markdown that reads as plain text, and as LaTeX (booktabs): best in bold, what cannot be told
 * from it with a dagger. */
int grid_markdown(const struct grid *grid, FILE *out, struct arena *arena);
int grid_latex(const struct grid *grid, FILE *out);
void markdown_text(const char *text, FILE *out);
void latex_text(const char *text, FILE *out);

/* One line a row with all digits; a column with marks is followed by "NAME mark": "best", "near" or
 * nothing. */
int grid_csv(const struct grid *grid, FILE *out);
/* An array of one object a row: members are named by the header, marks are in "marks". NULL without
 * memory. */
json_t *grid_json(const struct grid *grid);

/* A field of a CSV line, quoted where it has to be; the comma stands before all but the first. */
void csv_text(const char *text, int first, FILE *out);
void csv_number(double value, FILE *out);    /* all digits; NaN is empty */
const char *mark_name(enum table_mark mark); /* "best", "near", "" */

/* NaN and infinities have no place in JSON: null. */
json_t *json_number_or_null(double value);
/* Prints one line and takes the object over; ERR_MEMORY for NULL. */
int json_print_line(json_t *object, FILE *out);

int table_csv(const struct table *table, FILE *out);
int table_json(const struct table *table, FILE *out);

#endif
