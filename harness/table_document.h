/* What a form of `bitbench table` prints: tables with captions, and lines below them. The forms
 * (results, pivot, ledgers, layers) make documents; one function prints them in every format. */
#ifndef HARNESS_TABLE_DOCUMENT_H
#define HARNESS_TABLE_DOCUMENT_H

#include "harness/table.h"
#include "harness/table_grid.h"

struct document {
    const struct table *table; /* names the experiment and the model */
    struct section {
        const char *caption; /* "" for the first */
        struct grid grid;
    } sections[12];
    int section_count;
    const char **lines; /* below the tables */
    int line_count;
    const struct grid *records; /* what CSV and JSON hold; NULL: the first section */
};

int document_add(struct document *document, const char *caption, const struct grid *grid);
int document_line(struct document *document, struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Markdown and LaTeX: all of it; CSV: the records; JSON: {experiment, title, model, rows, notes}.
 */
int document_print(const struct document *document, enum table_format format, FILE *out,
                   struct arena *arena);

/* The lines on the notes. */
int document_notes(struct document *document, const struct notes *notes, struct arena *arena);

#endif
