/* An experiment as one page that one can send to somebody: reads the database only. */
#ifndef HARNESS_REPORT_H
#define HARNESS_REPORT_H

#include "core/mem.h"
#include "harness/store.h"

/* Appends a whole HTML page about the experiment (NULL: the only one of the database): the
 * question, results, differences, plots, bits, layers, exceptions, times, set-up, failed points,
 * and how to get each point again. It needs no network and no JavaScript (which only sorts tables);
 * every text from the database is escaped. `database` is the path that the plots are drawn from;
 * without gnuplot the page says so in their place. The same rows give the same bytes. */
int report_html(struct store *store, const char *database, const char *experiment,
                struct strbuf *out);

/* Appends a page that leads to the pages of several experiments: what each asks, how many points it
 * has and how many failed. files[i] is the page of experiments[i], as a link from this one. */
int report_index(struct store *store, const char *const *experiments, const char *const *files,
                 int count, struct strbuf *out);

#endif
