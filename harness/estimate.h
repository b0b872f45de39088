/* What a run will take, before it begins: for --dry-run and for the weights of the time-left
 * display. */
#ifndef HARNESS_ESTIMATE_H
#define HARNESS_ESTIMATE_H

#include "harness/run.h"

/* costs[i] = the floating-point operations of point i, for all points of the experiment. A model
 * that cannot be estimated cannot be run either, which each point then says itself: *known is then
 * false and this no error. But a limit of memory that is too small for a point is one, before any
 * work. */
int estimate_costs(struct run *run, double *costs, bool *known);

/* Prints the grid: each point's label, whether it is already stored (the database may be absent),
 * the time at the sgemm rate (FLOP/s, as measured just now) and the memory. ERR_MEMORY or ERR_IO,
 * when all is printed, where a point has too little memory, or too little room for its files. */
int estimate_print(struct run *run, const char *database, double rate);

#endif
