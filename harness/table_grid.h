/* A grid of texts: what is printed in a cell, whatever the format. */
#ifndef HARNESS_TABLE_GRID_H
#define HARNESS_TABLE_GRID_H

#include "harness/table_data.h"

#include <stdio.h>

struct grid {
    int rows, columns;  /* row 0 is the header; column 0 holds labels and is left-aligned */
    const char **cells; /* rows x columns, never NULL */
};

/* What stands below a table: marks "a", "b", ... with the warnings and errors they stand for. */
struct notes {
    const char **texts;
    int *of_row; /* the note of each row, or -1; equal texts share one */
    int count;
};

int table_notes(struct notes *notes, const struct table *table, struct arena *arena);

/* Bits, quality and time. */
int table_results(struct grid *grid, const struct table *table, const struct notes *notes,
                  struct arena *arena);
/* Differences to full precision, and bits per byte. rows = 0 when there is nothing to compare. */
int table_differences(struct grid *grid, const struct table *table, struct arena *arena);
/* A line on what a column holds: "kjv: perplexity, test split, ...". */
int table_legend(const struct table_metric *metric, struct arena *arena, const char **out);

/* The last part of a path or a repository's name. */
const char *table_model_name(const char *model);

/* Numbers for a reader: "27.94", "1234", "1.20e+07". */
enum { TABLE_NUMBER = 32 };
void table_number(char out[TABLE_NUMBER], double value);

/* The mark of note i: a..z, then aa, ab, ... */
void note_mark(int i, char out[4]);

int grid_markdown(const struct grid *grid, FILE *out, struct arena *arena);
int grid_latex(const struct grid *grid, FILE *out);
void latex_text(const char *text, FILE *out);

/* A field of a CSV line, quoted where it has to be; the comma stands before all but the first. */
void csv_text(const char *text, int first, FILE *out);
void csv_number(double value, FILE *out); /* all digits; NaN is empty */

int table_csv(const struct table *table, FILE *out);
int table_json(const struct table *table, FILE *out);

#endif
