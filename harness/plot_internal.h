/* Between the plots' own files. */
#ifndef HARNESS_PLOT_INTERNAL_H
#define HARNESS_PLOT_INTERNAL_H

#include "core/mem.h"
#include "harness/plot.h"
#include "harness/store.h"

/* A line of plots.list. */
struct plot_entry {
    char name[64];
    char source[512]; /* "database", "weights", or the path of a CSV below the data folder */
    char what[256];   /* a sentence on what it shows; "" when the list says nothing */
};

struct plot_list {
    struct plot_entry *entries; /* owned */
    int count;
    char *folder; /* of the scripts, owned */
};
int plot_list_load(struct plot_list *list);
void plot_list_release(struct plot_list *list);

/* A script made ready: everything that gnuplot is to read. */
struct plot_script {
    const char *path;       /* of the .gp file, for messages */
    const char *experiment; /* NULL for a plot of a file */
    const char *data;       /* the CSV, or NULL */
    const char *format, *output, *folder;
    struct store *store;
};

/* Appends the terminal, the data blocks that the script's SQL gives, and the script itself. lacking
 * receives what the database lacks for it, in the script's own words, or nothing. */
int plot_script_build(const struct plot_script *script, struct strbuf *out, struct strbuf *lacking);

/* How every picture begins: whoever puts it into a page has names of their own for the two. */
#define PLOT_SVG_OPEN "<svg role=\"img\" aria-labelledby=\"title desc\""

/* Gives gnuplot's SVG an accessible name and description (role="img", <title>, <desc>) and a
 * generic font behind its own. experiment may be NULL. */
int plot_svg_describe(const char *path, const struct plot_entry *entry, const char *experiment);

/* Runs gnuplot on the text. ERR_MISSING when there is no gnuplot. */
int plot_gnuplot(const char *script_path, const struct strbuf *text);

#endif
