/* The pool: every task runs once, the lowest failing one is reported, results do not depend on the
 * number of threads. */
#include "core/err.h"
#include "core/pool.h"
#include "core/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { TASKS = 500, ROUNDS = 500 };

struct counts {
    atomic_int runs[TASKS];
    int workers;
    atomic_int strangers;
};

static int count_task(void *context, int index, int worker)
{
    struct counts *counts = context;
    atomic_fetch_add(&counts->runs[index], 1);
    if (worker < 0 || worker >= counts->workers)
        atomic_fetch_add(&counts->strangers, 1);
    return 0;
}

static void every_task_runs_once(void **state)
{
    static const int threads[] = {1, 2, 3, 8};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        assert_int_equal(pool_start(threads[t]), 0);
        assert_int_equal(pool_threads(), threads[t]);
        for (int count = 0; count <= TASKS; count = count * 2 + 1) {
            struct counts counts = {.workers = threads[t]};
            assert_int_equal(pool_run(count_task, &counts, count), 0);
            assert_int_equal(atomic_load(&counts.strangers), 0);
            for (int i = 0; i < TASKS; i++)
                assert_int_equal(atomic_load(&counts.runs[i]), i < count);
        }
    }
    pool_stop();
}

struct marked_rows {
    long count, step;
    atomic_int runs[TASKS];
    atomic_int odd_ranges;
};

static int mark_rows(void *context, long first, long end, int worker)
{
    struct marked_rows *m = context;
    if (first % m->step != 0 || end <= first || end > m->count ||
        (end - first != m->step && end != m->count))
        atomic_fetch_add(&m->odd_ranges, 1);
    for (long r = first; r < end; r++)
        atomic_fetch_add(&m->runs[r], 1);
    return 0;
}

static void every_row_is_in_one_task(void **state)
{
    static const long counts[] = {0, 1, 15, 16, 17, 32, 100};
    pool_start(3);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct marked_rows m = {.count = counts[i], .step = 16};
        assert_int_equal(pool_run_rows(mark_rows, &m, m.count, (int)m.step), 0);
        assert_int_equal(atomic_load(&m.odd_ranges), 0);
        for (long r = 0; r < TASKS; r++)
            assert_int_equal(atomic_load(&m.runs[r]), r < m.count);
    }
    pool_stop();
}

static void many_short_runs_lose_nothing(void **state)
{
    pool_start(4);
    struct counts counts = {.workers = 4};
    for (int round = 0; round < ROUNDS; round++)
        assert_int_equal(pool_run(count_task, &counts, 5), 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(atomic_load(&counts.runs[i]), ROUNDS);
    pool_stop();
}

static void nap(long microseconds)
{
    struct timespec pause = {0, microseconds * 1000};
    nanosleep(&pause, NULL);
}

struct failing {
    int slow, quick; /* both fail; the slow one after the quick one */
    atomic_int last;
};

static int failing_task(void *context, int index, int worker)
{
    struct failing *f = context;
    int last = atomic_load(&f->last);
    while (index > last && !atomic_compare_exchange_weak(&f->last, &last, index))
        continue;
    if (index == f->slow) {
        nap(3000);
        return err_set(ERR_NUMERIC, "task %d was slow to fail", index);
    }
    if (index == f->quick)
        return err_set(ERR_FORMAT, "task %d failed at once", index);
    if (index > f->quick && f->quick >= 0)
        nap(1000);
    return 0;
}

static void the_lowest_failing_task_is_reported(void **state)
{
    for (int threads = 1; threads <= 4; threads++) {
        pool_start(threads);
        for (int round = 0; round < 5; round++) {
            struct failing f = {.slow = 10, .quick = 11};
            err_set(ERR_IO, "stale");
            assert_int_equal(pool_run(failing_task, &f, TASKS), ERR_NUMERIC);
            assert_string_equal(err_text(), "task 10 was slow to fail");
            /* Tasks that come after a failure are not started, a few apart that are under way
             * already. */
            assert_true(atomic_load(&f.last) < TASKS / 2);
        }
        struct failing only = {.slow = 0, .quick = -1};
        assert_int_equal(pool_run(failing_task, &only, 1), ERR_NUMERIC);
        struct counts counts = {.workers = threads};
        assert_int_equal(pool_run(count_task, &counts, TASKS), 0); /* the pool works on */
    }
    pool_stop();
}

static int sum_task(void *context, int index, int worker)
{
    struct rng rng;
    rng_seed(&rng, (uint64_t)index);
    float sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += (float)rng_normal(&rng);
    ((float *)context)[index] = sum;
    return 0;
}

static void one_and_many_threads_give_the_same_bytes(void **state)
{
    static float expected[TASKS], sums[TASKS];
    pool_start(1);
    assert_int_equal(pool_run(sum_task, expected, TASKS), 0);
    for (int threads = 2; threads <= 5; threads++) {
        pool_start(threads);
        memset(sums, 0, sizeof sums);
        assert_int_equal(pool_run(sum_task, sums, TASKS), 0);
        assert_memory_equal(sums, expected, sizeof sums);
    }
    pool_stop();
}

static void the_number_of_threads_is_sane(void **state)
{
    assert_int_equal(pool_threads(), 1);
    pool_start(0);
    assert_true(pool_threads() >= 1);
    pool_start(-3);
    assert_true(pool_threads() >= 1);
    pool_stop();
    pool_stop();
    assert_int_equal(pool_threads(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_number_of_threads_is_sane),
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(every_row_is_in_one_task),
        cmocka_unit_test(many_short_runs_lose_nothing),
        cmocka_unit_test(the_lowest_failing_task_is_reported),
        cmocka_unit_test(one_and_many_threads_give_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
