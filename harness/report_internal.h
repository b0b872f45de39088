/* Between the report's own files. A section is appended as <section> with a heading. */
#ifndef HARNESS_REPORT_INTERNAL_H
#define HARNESS_REPORT_INTERNAL_H

#include "harness/report.h"
#include "harness/table_grid.h"

struct report {
    struct store *store;
    const char *database;
    const struct table *table;
    const char *spec_path, *spec_text, *started, *finished; /* of the first and last point */
    struct arena *arena;
    struct strbuf *out;
};

/* Text with < > & and quotes escaped, and without control characters. */
int html_text(struct strbuf *out, const char *text);
/* <tag>text</tag>, the text escaped; tag may have attributes: "p class=soft". */
int html_element(struct strbuf *out, const char *tag, const char *text);
/* A table in a box of its own that scrolls. classes (rows x columns of the grid, or NULL) are of
 * the cells; NULL: none. */
int html_grid(struct strbuf *out, const struct grid *grid, const char *caption,
              const char *const *classes);

int report_results(const struct report *report);
int report_plots(const struct report *report);
int report_bits(const struct report *report);
int report_setup(const struct report *report);
int report_failures(const struct report *report);
int report_again(const struct report *report);

extern const char report_style[];
/* The names of enum split, which settings hold by number. */
extern const char *const report_splits[3];

#endif
