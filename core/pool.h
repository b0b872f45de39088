/* One pool of worker threads for the whole process. Work is cut into a number of tasks that does
 * not depend on the number of threads, and a task never shares a sum with another, so one thread
 * and N give the same bytes. */
#ifndef CORE_POOL_H
#define CORE_POOL_H

/* Starts the pool with `threads` threads, the caller included (0: one for each core available).
 * Call once, before any pool_run; calling again changes the number. Also sets OpenBLAS-independent
 * state only: BLAS threads are linalg's. */
int pool_start(int threads);
void pool_stop(void);
int pool_threads(void);

/* Runs task(context, i, worker) for i = 0..count-1 on the pool and waits for all. worker is
 * 0..pool_threads()-1 and names the thread, for scratch memory that is one per thread. A task
 * returns 0 or an error code (with err_set on its own thread); the error of the lowest failing i is
 * returned, with its text, after every started task has ended; tasks that have not started by then
 * are skipped. Called from within a task, it runs everything on that task's thread, one after the
 * other, with that thread's worker: so whole computations that use the pool can themselves be
 * tasks. */
typedef int pool_task(void *context, int index, int worker);
int pool_run(pool_task *task, void *context, int count);

/* The same for rows 0..count-1, `step` of them in a task: task(context, first, end, worker) does
 * rows first..end-1. */
typedef int pool_rows_task(void *context, long first, long end, int worker);
int pool_run_rows(pool_rows_task *task, void *context, long count, int step);

#endif
