/* Points from one database to another, with every row that belongs to them. */
#ifndef HARNESS_STORE_COPY_H
#define HARNESS_STORE_COPY_H

#include "harness/store_internal.h"

struct store_copy; /* opaque: both databases with their prepared statements */

/* What became of the points and experiments, summed over the calls. */
struct store_copied {
    int added, replaced; /* replaced: a failed point there by a finished one */
    int there;           /* points that were there already and stayed */
    int experiments, joined;
    struct strbuf different; /* "a, b": joined experiments whose spec texts differ; theirs is kept
                              */
};

/* Both databases must have the newest schema and outlive the copy. Which tables belong to a point
 * is read from the schema: those with a column point_id, and those with a metric_id. A table that
 * nothing ties to a point is ERR_INTERNAL. */
int store_copy_open(struct store_copy **out, const struct store *from, const struct store *to);
void store_copy_close(struct store_copy *copy);

/* The points of an experiment (NULL: all of the database, listed or not). Where the id is there
 * already, a finished point takes the place of a failed one, and nothing else is replaced. */
int store_copy_points(struct store_copy *copy, const char *experiment, struct store_copied *copied);

/* The point as measured just now: in place of what is there of it, but for a finished point that a
 * failed attempt would take the place of, and with the earlier timings as repetitions. Within a
 * transaction of the caller's. */
int store_copy_measured(struct store_copy *copy, const char *id);

/* The experiment and its list: the points must be there. One of the same name is joined: its list
 * gains the points that it lacks, at their places; its title and text stay. */
int store_copy_experiment(struct store_copy *copy, const char *experiment,
                          struct store_copied *copied);

#endif
