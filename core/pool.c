#include "core/pool.h"

#include "core/err.h"
#include "core/mem.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum { MAX_THREADS = 256, SPIN_TURNS = 20000 };

static inline void spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static struct {
    pthread_t threads[MAX_THREADS];
    int count; /* the caller included */
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    atomic_uint generation; /* grows by one for each pool_run; workers wait for it to change */
    int stopping;
    pool_task *task;
    void *context;
    int tasks;
    atomic_int next, busy, failed_index;
    struct err_saved failure;
} pool = {.count = 1,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .wake = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

/* The task that this thread is in, if any: a pool_run from within runs on this thread alone. */
static _Thread_local int inside, own_worker;

static void record_failure(int index, int code)
{
    pthread_mutex_lock(&pool.lock);
    if (index < atomic_load(&pool.failed_index)) {
        atomic_store(&pool.failed_index, index);
        err_save(&pool.failure, code);
    }
    pthread_mutex_unlock(&pool.lock);
}

static void work(int worker)
{
    for (;;) {
        int i = atomic_fetch_add(&pool.next, 1);
        if (i >= pool.tasks || atomic_load(&pool.failed_index) < i)
            return;
        inside = 1;
        own_worker = worker;
        int code = pool.task(pool.context, i, worker);
        inside = 0;
        if (code)
            record_failure(i, code);
    }
}

/* Waits until the generation differs from seen: a short spin first, since a block's stages follow
 * each other closely. */
static unsigned wait_for_work(unsigned seen)
{
    for (int turn = 0; turn < SPIN_TURNS; turn++) {
        unsigned now = atomic_load(&pool.generation);
        if (now != seen)
            return now;
        spin_pause();
    }
    pthread_mutex_lock(&pool.lock);
    while (atomic_load(&pool.generation) == seen)
        pthread_cond_wait(&pool.wake, &pool.lock);
    pthread_mutex_unlock(&pool.lock);
    return atomic_load(&pool.generation);
}

static void *worker_main(void *argument)
{
    int worker = (int)(long)argument;
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_work(seen);
        if (pool.stopping)
            return NULL;
        work(worker);
        if (atomic_fetch_sub(&pool.busy, 1) == 1) {
            pthread_mutex_lock(&pool.lock);
            pthread_cond_signal(&pool.done);
            pthread_mutex_unlock(&pool.lock);
        }
    }
}

static void announce(void)
{
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.generation, 1);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
}

void pool_stop(void)
{
    if (pool.count > 1) {
        pool.stopping = 1;
        announce();
        for (int i = 1; i < pool.count; i++)
            pthread_join(pool.threads[i], NULL);
    }
    pool.stopping = 0;
    pool.count = 1;
    atomic_store(&pool.generation, 0);
}

static int cores_available(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return CPU_COUNT(&set);
    return (int)sysconf(_SC_NPROCESSORS_ONLN);
}

int pool_start(int threads)
{
    pool_stop();
    if (threads <= 0)
        threads = cores_available();
    if (threads > MAX_THREADS)
        threads = MAX_THREADS;
    for (int i = 1; i < threads; i++) {
        if (pthread_create(&pool.threads[i], NULL, worker_main, (void *)(long)i) != 0)
            return err_set(ERR_MEMORY, "cannot start thread %d of %d: use --threads %d", i + 1,
                           threads, i);
        pool.count = i + 1;
    }
    return 0;
}

int pool_threads(void)
{
    return pool.count;
}

int pool_run(pool_task *task, void *context, int count)
{
    if (inside) {
        int rc = 0;
        for (int i = 0; rc == 0 && i < count; i++)
            rc = task(context, i, own_worker);
        return rc;
    }
    pool.task = task;
    pool.context = context;
    pool.tasks = count;
    atomic_store(&pool.next, 0);
    atomic_store(&pool.failed_index, count);
    int helpers = pool.count - 1;
    if (count > 1 && helpers > 0) {
        atomic_store(&pool.busy, helpers);
        announce();
    } else {
        helpers = 0;
    }
    work(0);
    if (helpers) {
        for (int turn = 0; turn < SPIN_TURNS && atomic_load(&pool.busy) > 0; turn++)
            spin_pause();
        pthread_mutex_lock(&pool.lock);
        while (atomic_load(&pool.busy) > 0)
            pthread_cond_wait(&pool.done, &pool.lock);
        pthread_mutex_unlock(&pool.lock);
    }
    return atomic_load(&pool.failed_index) < count ? err_restore(&pool.failure) : 0;
}

struct rows {
    pool_rows_task *task;
    void *context;
    long count;
    int step;
};

static int run_rows(void *context, int index, int worker)
{
    const struct rows *r = context;
    const long first = (long)index * r->step, rest = r->count - first;
    return r->task(r->context, first, first + (rest < r->step ? rest : r->step), worker);
}

int pool_run_rows(pool_rows_task *task, void *context, long count, int step)
{
    struct rows rows = {task, context, count, step};
    return pool_run(run_rows, &rows, (int)((count + step - 1) / step));
}
