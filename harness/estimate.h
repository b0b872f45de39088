/* What a run will take, before it begins: for --dry-run and for the weights of the time-left
 * display. */
#ifndef HARNESS_ESTIMATE_H
#define HARNESS_ESTIMATE_H

#include "harness/run.h"

struct estimate {
    double flop;   /* of matrix products, factorisations included */
    double memory; /* bytes held at once */
};

/* Counts the products that the pipeline will do for this point. */
int estimate_point(struct run *run, const struct point *point, struct estimate *estimate);

/* Prints the grid: each point's label, whether it is already stored (the database may be absent),
 * the time at the sgemm rate (FLOP/s, as measured just now) and the memory. */
int estimate_print(struct run *run, const char *database, double rate);

/* Seconds for this much work: a pass reaches about this share of the bare products' rate. */
double estimate_seconds(double flop, double rate);

#endif
