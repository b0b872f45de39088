/* Pictures of an experiment. A plot is a gnuplot script in plots/NAME.gp with its SQL on top, and a
 * line in plots/plots.list; nothing here knows a single plot. */
#ifndef HARNESS_PLOT_H
#define HARNESS_PLOT_H

#include "harness/weight_histogram.h"

struct plot_request {
    const char *name;       /* of plots.list; NULL or "all": every one that has something to draw */
    const char *database;   /* read by the plots that need it */
    const char *experiment; /* NULL: all of the database, in turn */
    const char *data;       /* CSV for a plot that reads a file; NULL: the one in plots.list */
    const struct weight_histogram *weights; /* for the plot that is computed from a model, or NULL
                                             */
    const char *format;                     /* "svg", "png", "pdf" */
    const char *folder;                     /* where the pictures go; made when it is not there */
};

/* Called for each plot: path is the picture, or NULL with the reason why it was left out. */
typedef void plot_report(void *context, const char *path, const char *reason);

/* Draws into FOLDER/EXPERIMENT-NAME.FORMAT (plots of a file: FOLDER/NAME.FORMAT; of a matrix:
 * FOLDER/MODEL-LAYER-NAME.FORMAT, with what was computed beside it, ending in .tsv). A picture is
 * the old one or the whole new one. A single plot that has nothing to draw is an error; among all,
 * it is reported and left out. ERR_MISSING without gnuplot; gnuplot's own errors are ERR_INTERNAL
 * with the script, the line and gnuplot's words. */
int plot_draw(const struct plot_request *request, plot_report *report, void *context);

#endif
