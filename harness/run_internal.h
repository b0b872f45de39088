/* Between the files of a run. */
#ifndef HARNESS_RUN_INTERNAL_H
#define HARNESS_RUN_INTERNAL_H

#include "harness/run.h"
#include "harness/shared_work.h"

/* What lives while points are computed. */
struct run_work {
    struct run *run;
    const struct run_options *options;
    struct run_summary *summary;
    struct store *store;
    struct shared_work *shared;
    char (*ids)[HASH_HEX_SIZE];
    int *order, *group; /* shared_order */
    bool *there;        /* stored, and not to be computed anew; or dealt with in this run */
    double *costs;
    int count;
};

/* Computes the point and stores it, done or failed. Only a failure to store, or an interruption, is
 * an error here. */
int run_point(struct run *run, struct store *store, struct shared_work *shared, int index,
              struct run_summary *summary);
/* Stores that the process which computed the point came to a sudden end. */
int run_lost_point(struct run *run, struct store *store, int index, const char *error);

/* run_jobs.c: computes what is not there in options->jobs processes. */
int run_in_processes(struct run_work *work);

/* run_worker.c: the other process. Reads numbers of points from `in`, computes them, and writes
 * messages to `out`, until there are no more; does not return. */
void run_worker(struct run_work *work, int threads, int in, int out) __attribute__((noreturn));

struct run_message {
    enum { RUN_PROGRESS, RUN_RESULT, RUN_ERROR } kind;
    size_t size; /* of what follows: struct progress_event; run_result and the image of a database
                    with the point; struct err_saved */
};
struct run_result {
    int failed;
    double spent, saved;
};

#endif
