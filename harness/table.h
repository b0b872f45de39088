/* The results of an experiment as a table: reads only SQL. */
#ifndef HARNESS_TABLE_H
#define HARNESS_TABLE_H

#include "harness/store.h"

#include <stdio.h>

enum table_format { TABLE_MARKDOWN, TABLE_CSV, TABLE_LATEX, TABLE_JSON };

/* Prints the points of an experiment in the order of its spec. experiment NULL: the only one of the
 * database; with several ERR_USAGE lists them. A column holds only values that may be compared: one
 * data set, split, rule, window and content hash. Differences to full precision are paired by
 * window or item and are there where the same model's full-precision point was measured on the same
 * data. Markdown is aligned, so that it reads as plain text too. */
int table_print(struct store *store, const char *experiment, enum table_format format, FILE *out);

/* The same points beside the papers' numbers in the file `path`: a line for each of ours that
 * published_matches one of theirs. ERR_FORMAT for a file that is not as docs/published.md says. */
int table_print_published(struct store *store, const char *experiment, const char *path,
                          enum table_format format, FILE *out);

#endif
