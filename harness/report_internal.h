/* Between the report's own files. A section is appended as <section> with a heading. */
#ifndef HARNESS_REPORT_INTERNAL_H
#define HARNESS_REPORT_INTERNAL_H

#include "harness/report.h"
#include "harness/table_document.h"

struct report {
    struct store *store;
    const char *database;
    const struct table *table;
    const char **names; /* of the table's rows: the label, with the model where there are several */
    int last_name;
    const char *spec_path, *spec_text, *started, *finished; /* of the first and last point */
    struct arena *arena;
    struct strbuf *out;
};

/* Text with < > & and quotes escaped, and without control characters. */
int html_text(struct strbuf *out, const char *text);
/* <tag>text</tag>, the text escaped; tag may have attributes: "p class=soft". */
int html_element(struct strbuf *out, const char *tag, const char *text);
/* The comment on top of a spec, which says what it is about, as a paragraph. */
int html_question(struct strbuf *out, const char *spec);
/* The tables of a form of `bitbench table`, and the lines below them. */
int html_document(struct strbuf *out, const struct document *document);
/* A table in a box of its own that scrolls; marked cells get their signs. classes (rows x columns
 * of the grid, or NULL) are of the cells; NULL: none. */
int html_grid(struct strbuf *out, const struct grid *grid, const char *caption,
              const char *const *classes);

/* A table that one statement gives; ?1 is the experiment. Each letter of formats is a column: N the
 * name of the point whose id the SQL gives, t text, w text that wraps, i whole, 2 and 4 digits
 * behind the point, g three digits, % a share, G bytes as gigabytes, n a
 * number that the SQL has made ready. */
struct report_query {
    const char *caption, *formats, *sql;
    const char *const *heads;
};
/* *rows = how many there are; nothing is appended when there are none. */
int report_query(struct report *report, const struct report_query *query, int *rows);

int report_results(struct report *report);
int report_measures(struct report *report);
int report_plots(struct report *report);
int report_bits(struct report *report);
int report_exceptions(struct report *report);
int report_layers(struct report *report);
int report_times(struct report *report);
int report_setup(struct report *report);
int report_failures(struct report *report);
int report_again(struct report *report);

extern const char *const report_style[]; /* ends with NULL */
extern const char report_script[];
/* <head> up to the end of <body>'s <header> tag, and what closes the page. */
int report_begin(struct strbuf *out, const char *title);
int report_end(struct strbuf *out);
/* The <meta> element that lets the page's style and script act and nothing else. */
int report_policy(struct strbuf *out);
/* The names of enum split, which settings hold by number. */
extern const char *const report_splits[3];

#endif
