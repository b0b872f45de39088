/* Between the files of a run. */
#ifndef HARNESS_RUN_INTERNAL_H
#define HARNESS_RUN_INTERNAL_H

#include "harness/run.h"
#include "harness/shared_work.h"

/* Computes the point and stores it, done or failed. Only a failure to store, or an interruption, is
 * an error here. */
int run_point(struct run *run, struct store *store, struct shared_work *shared, int index,
              struct run_summary *summary);

#endif
