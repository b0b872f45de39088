/* Whole runs on a small model: the same rows for one and two threads, after a kill, and on the
 * second run. */
#include "harness/run.h"

#include "core/interrupt.h"
#include "core/pool.h"
#include "model/safetensors.h"
#include "tests/run_rows.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

static void test_second_run_skips_and_limit_resumes(void **state)
{
    struct run_summary summary;
    run_spec_write("skips", four_points);
    assert_int_equal(run_spec("whole.db", 0, &summary), 0);
    assert_int_equal(summary.computed, 4);
    assert_int_equal(run_spec("whole.db", 0, &summary), 0);
    assert_int_equal(summary.computed, 0);
    assert_int_equal(summary.skipped, 4);
    char *drawn = run_query("whole.db",
                            "SELECT segments, length, length(ids), (SELECT count(*) FROM points "
                            "WHERE settings ->> '$.calibration.hash' = hash) FROM calibrations");
    assert_string_equal(drawn, "6|40|960|3|\n");
    mem_free(drawn);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(run_spec("pieces.db", 1, &summary), 0);
        assert_int_equal(summary.computed, 1);
        assert_int_equal(summary.left, 3 - i);
    }
    char *whole = run_rows("whole.db"), *pieces = run_rows("pieces.db");
    assert_string_equal(whole, pieces);
    mem_free(whole);
    mem_free(pieces);
}

static void test_threads_give_the_same_rows(void **state)
{
    struct run_summary summary;
    run_spec_write("threads", four_points);
    FIXTURE_OK(pool_start(1));
    assert_int_equal(run_spec("one.db", 0, &summary), 0);
    FIXTURE_OK(pool_start(3));
    assert_int_equal(run_spec("three.db", 0, &summary), 0);
    FIXTURE_OK(pool_start(2));
    char *one = run_rows("one.db"), *three = run_rows("three.db");
    assert_string_equal(one, three);
    mem_free(one);
    mem_free(three);
}

/* Runs in a child that is killed after the given time; returns 1 when it had ended by itself. */
static int run_and_kill(long microseconds)
{
    struct timespec nap = {microseconds / 1000000, microseconds % 1000000 * 1000};
    int status;
    pool_stop(); /* a forked child has no threads of its parent's */
    pid_t child = fork();
    if (child == 0) {
        struct run_summary summary;
        pool_start(2);
        _exit(run_spec("killed.db", 0, &summary));
    }
    nanosleep(&nap, NULL);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    pool_start(2);
    return WIFEXITED(status);
}

static void test_kill_loses_nothing(void **state)
{
    struct run_summary summary;
    struct rng rng;
    long finished = 0;
    int kills = getenv("BITBENCH_LONG") ? 200 : 10;
    rng_seed(&rng, 11);
    run_spec_write("killed", four_points);
    assert_int_equal(run_spec("reference.db", 0, &summary), 0);
    char *expected = run_rows("reference.db");
    for (int i = 0; i < kills; i++) {
        int ended = run_and_kill(1000 + (long)rng_below(&rng, 400000));
        char *path = run_path("killed.db");
        int exists = file_exists(path);
        mem_free(path);
        if (!exists)
            continue;
        char *check = run_query("killed.db", "PRAGMA integrity_check");
        assert_string_equal(check, "ok|\n");
        mem_free(check);
        char *tables = run_query("killed.db",
                                 "SELECT count(*) FROM sqlite_schema WHERE name = 'points'");
        char *count = strcmp(tables, "1|\n") == 0
                          ? run_query("killed.db", "SELECT count(*) FROM points")
                          : NULL;
        if (count) {
            assert_true(strtol(count, NULL, 10) >= finished); /* a finished point stays */
            finished = strtol(count, NULL, 10);
        }
        mem_free(count);
        mem_free(tables);
        if (ended) {
            path = run_path("killed.db");
            unlink(path);
            mem_free(path);
            finished = 0;
        }
    }
    assert_int_equal(run_spec("killed.db", 0, &summary), 0);
    char *rows = run_rows("killed.db");
    assert_string_equal(rows, expected);
    mem_free(rows);
    mem_free(expected);
}

static void test_interrupt_ends_cleanly(void **state)
{
    struct run_summary summary;
    run_spec_write("interrupted", four_points);
    interrupt_simulate(SIGINT);
    assert_int_equal(run_spec("interrupted.db", 0, &summary), ERR_INTERRUPTED);
    interrupt_simulate(0);
    assert_int_equal(summary.computed, 0);
    assert_int_equal(run_spec("interrupted.db", 0, &summary), 0);
    assert_int_equal(summary.computed, 4);
}

/* A point that fails is stored with its text, the others go on, and the next run tries it again. */
static void test_failed_point_is_stored(void **state)
{
    struct run_summary summary;
    char *path = run_path("model/model.safetensors"), *bytes;
    size_t size;
    FIXTURE_OK(file_read(path, &bytes, &size));
    struct file_writer writer = {0};
    const struct tensor *tensor;
    struct tensor_table *tensors;
    FIXTURE_OK(safetensors_open_file(&tensors, path));
    FIXTURE_OK(tensor_table_get(tensors, "model.layers.2.mlp.down_proj.weight", &tensor));
    char *place = memmem(bytes, size, tensor->data, tensor->bytes);
    assert_non_null(place);
    memset(place + 10, 0xff, 2); /* a float16 NaN */
    tensor_table_free(tensors);
    FIXTURE_OK(file_write_begin(&writer, path));
    FIXTURE_OK(file_write(&writer, bytes, size));
    FIXTURE_OK(file_write_commit(&writer));
    run_spec_write("failing", "  - {method: full}\n  - {method: rtn, bits: 2}\n");
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(run_spec("failed.db", 0, &summary), 0);
        assert_int_equal(summary.failed, 2);
        assert_int_equal(summary.computed + summary.skipped, 0);
    }
    char *rows = run_query("failed.db", "SELECT count(*), min(status), min(error) FROM points");
    assert_non_null(strstr(rows, "2|failed|"));
    assert_non_null(strstr(rows, "model.layers.2."));
    mem_free(rows);
    mem_free(bytes);
    mem_free(path);
    fixture_model(folder);
}

static void test_bad_input(void **state)
{
    run_spec_write("short", "  - {method: full}\n");
    char *spec = run_path("spec.yaml"), *database = run_path("bad.db");
    struct run run = {0};
    const char *overrides[] = {"evaluation.perplexity.window=5000"};
    struct run_options options = {
        .spec = spec, .database = database, .overrides = overrides, .override_count = 1};
    assert_int_equal(run_open(&run, &options), ERR_USAGE);
    assert_non_null(strstr(err_text(), "less than one window of 5000"));
    run_close(&run);
    fixture_write(folder, "empty.txt", "");
    char *corpus;
    FIXTURE_OK(mem_printf(&corpus, "evaluation.perplexity.corpus=file:%s/empty.txt", folder));
    overrides[0] = corpus;
    assert_int_not_equal(run_open(&run, &options), 0);
    assert_non_null(strstr(err_text(), "empty"));
    run_close(&run);
    overrides[0] = "model=/nowhere";
    assert_int_equal(run_open(&run, &options), ERR_MISSING);
    assert_non_null(strstr(err_text(), "/nowhere"));
    run_close(&run);
    mem_free(corpus);
    mem_free(spec);
    mem_free(database);
}

int main(int argc, char **argv)
{
    run_start("run", argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_run_skips_and_limit_resumes),
        cmocka_unit_test(test_threads_give_the_same_rows),
        cmocka_unit_test(test_kill_loses_nothing),
        cmocka_unit_test(test_interrupt_ends_cleanly),
        cmocka_unit_test(test_failed_point_is_stored),
        cmocka_unit_test(test_bad_input),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    pool_stop();
    return failed;
}
