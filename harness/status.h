/* How far an experiment is: what its spec asks for beside what the database holds. Nothing is
 * opened but the spec and the database: points are known by their places and labels, not by their
 * ids. */
#ifndef HARNESS_STATUS_H
#define HARNESS_STATUS_H

#include "core/arena.h"
#include "harness/spec.h"
#include "harness/store.h"

enum point_state { POINT_DONE, POINT_FAILED, POINT_LEFT, POINT_RUNNING };

struct status_point {
    const char *label, *model, *method;
    const char *error; /* of a failed one, else "" */
    const char *id;    /* "" for one that is left */
    double seconds;    /* it took; of one that is left: what it will, or NaN */
    enum point_state state;
};

struct status {
    const char *name, *title, *path;
    struct status_point *points; /* in the order of the spec */
    int count;
    int done, failed, left, running; /* a failed point that is tried again is running */
    int left_known;      /* 0: the spec was not there, so only stored points are listed */
    int changed;         /* the spec's text is not the one of the last run */
    double seconds_left; /* NaN when no finished point tells; 0 when nothing is left */
};

/* The experiment `name` of the store; spec NULL: unknown. store NULL: nothing was run yet. All
 * memory is the arena's, but for what the spec holds. */
int status_load(struct status *status, const struct store *store, const char *name,
                const struct experiment *spec, struct arena *arena);

/* Marks the points that the writer is computing, and takes into account that they are computed side
 * by side. They are known by their labels: of several models, the first that has it open counts. */
void status_mark_running(struct status *status, const struct store_writer *writer);

#endif
