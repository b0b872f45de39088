/* How fast this machine multiplies: the yardstick of every benchmark. */
#ifndef LINALG_RATE_H
#define LINALG_RATE_H

/* *rate = FLOP/s of float32 products of 1024 x 1024 matrices on the calling thread (all = 0) or in
 * tiles on the pool (all = 1): the best of as many as fit into `seconds`, at least two. Not from
 * within a task. */
int rate_sgemm(double seconds, int all, double *rate);

#endif
