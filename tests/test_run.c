/* Whole runs on a small model: the same rows for one and two threads, after a kill, and on the
 * second run. */
#include "harness/run.h"

#include "core/interrupt.h"
#include "core/pool.h"
#include "core/progress.h"
#include "linalg/cpu.h"
#include "linalg/matmul.h"
#include "model/safetensors.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

static char *folder;

static void write_spec(const char *name, const char *grid)
{
    struct strbuf text = {0};
    FIXTURE_OK(strbuf_printf(
        &text,
        "name: %s\ntitle: a test\nmodel: %s/model\n"
        "calibration: {corpus: 'file:%s/text.txt', samples: 6, length: 40, seed: 3, "
        "allow_overlap: true}\n"
        "evaluation:\n  perplexity:\n    - {corpus: 'file:%s/text.txt', tokens: 1000, window: 48}\n"
        "  tasks:\n    - {task: 'jsonl:%s/questions.jsonl', items: 0}\nmethods:\n%s",
        name, folder, folder, folder, folder, grid));
    fixture_write(folder, "spec.yaml", text.data);
    strbuf_release(&text);
}

static const char *const four_points =
    "  - {method: full}\n  - {method: rtn, bits: [4, 2]}\n"
    "  - {method: gptq, bits: 3, group_size: 32, block_size: 32}\n";

static char *in_folder(const char *name)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, name));
    return path;
}

/* Runs spec.yaml into the database; returns the code of run_points (or of run_open). */
static int run_spec(const char *database, int limit, struct run_summary *summary)
{
    char *spec = in_folder("spec.yaml"), *path = in_folder(database);
    struct run run = {0};
    struct run_options options = {.spec = spec, .database = path, .limit = limit};
    int rc = run_open(&run, &options);
    if (rc == 0)
        rc = run_points(&run, &options, summary);
    run_close(&run);
    mem_free(spec);
    mem_free(path);
    return rc;
}

/* Every row of a query as text, a line a row; reals as %.17g. The caller frees it. */
static char *query(const char *database, const char *sql)
{
    char *path = in_folder(database);
    sqlite3 *db;
    sqlite3_stmt *statement;
    struct strbuf text = {0};
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    FIXTURE_OK(strbuf_puts(&text, ""));
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            if (sqlite3_column_type(statement, i) == SQLITE_FLOAT)
                FIXTURE_OK(strbuf_printf(&text, "%.17g|", sqlite3_column_double(statement, i)));
            else
                FIXTURE_OK(
                    strbuf_printf(&text, "%s|", (const char *)sqlite3_column_text(statement, i)));
        }
        FIXTURE_OK(strbuf_puts(&text, "\n"));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    mem_free(path);
    return text.data;
}

/* All that must not depend on the run: everything but times, dates, host and memory. */
static char *rows_of(const char *database)
{
    static const char *const queries[] = {
        "SELECT id, label, method, status, settings, weights, paper_bits, stored_bits, file_bytes "
        "FROM points ORDER BY id",
        "SELECT point_id, block, name, hessian_loss, relative_loss, weight_mse, stored_bits, "
        "damping FROM layers "
        "ORDER BY point_id, block, name",
        "SELECT point_id, kind, dataset, rule, value, low, high, bits_per_byte, count FROM metrics "
        "ORDER BY point_id, kind, dataset",
        "SELECT point_id, w.number, nll, tokens FROM windows w JOIN metrics m ON m.id = metric_id "
        "ORDER BY point_id, dataset, w.number",
        "SELECT point_id, i.number, correct, choice, gold, margin FROM items i JOIN metrics m ON "
        "m.id = metric_id "
        "ORDER BY point_id, dataset, i.number"};
    struct strbuf all = {0};
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        char *text = query(database, queries[i]);
        FIXTURE_OK(strbuf_puts(&all, text));
        assert_true(strlen(text) > 0);
        mem_free(text);
    }
    return all.data;
}

static void test_second_run_skips_and_limit_resumes(void **state)
{
    struct run_summary summary;
    (void)state;
    write_spec("skips", four_points);
    assert_int_equal(run_spec("whole.db", 0, &summary), 0);
    assert_int_equal(summary.computed, 4);
    assert_int_equal(run_spec("whole.db", 0, &summary), 0);
    assert_int_equal(summary.computed, 0);
    assert_int_equal(summary.skipped, 4);
    char *drawn = query("whole.db",
                        "SELECT segments, length, length(ids), (SELECT count(*) FROM points "
                        "WHERE settings ->> '$.calibration.hash' = hash) FROM calibrations");
    assert_string_equal(drawn, "6|40|960|3|\n");
    mem_free(drawn);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(run_spec("pieces.db", 1, &summary), 0);
        assert_int_equal(summary.computed, 1);
        assert_int_equal(summary.left, 3 - i);
    }
    char *whole = rows_of("whole.db"), *pieces = rows_of("pieces.db");
    assert_string_equal(whole, pieces);
    mem_free(whole);
    mem_free(pieces);
}

static void test_threads_give_the_same_rows(void **state)
{
    struct run_summary summary;
    (void)state;
    write_spec("threads", four_points);
    FIXTURE_OK(pool_start(1));
    assert_int_equal(run_spec("one.db", 0, &summary), 0);
    FIXTURE_OK(pool_start(3));
    assert_int_equal(run_spec("three.db", 0, &summary), 0);
    FIXTURE_OK(pool_start(2));
    char *one = rows_of("one.db"), *three = rows_of("three.db");
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
    (void)state;
    rng_seed(&rng, 11);
    write_spec("killed", four_points);
    assert_int_equal(run_spec("reference.db", 0, &summary), 0);
    char *expected = rows_of("reference.db");
    for (int i = 0; i < kills; i++) {
        int ended = run_and_kill(1000 + (long)rng_below(&rng, 400000));
        char *path = in_folder("killed.db");
        int exists = file_exists(path);
        mem_free(path);
        if (!exists)
            continue;
        char *check = query("killed.db", "PRAGMA integrity_check");
        assert_string_equal(check, "ok|\n");
        mem_free(check);
        char *tables = query("killed.db",
                             "SELECT count(*) FROM sqlite_schema WHERE name = 'points'");
        char *count = strcmp(tables, "1|\n") == 0
                          ? query("killed.db", "SELECT count(*) FROM points")
                          : NULL;
        if (count) {
            assert_true(strtol(count, NULL, 10) >= finished); /* a finished point stays */
            finished = strtol(count, NULL, 10);
        }
        mem_free(count);
        mem_free(tables);
        if (ended) {
            path = in_folder("killed.db");
            unlink(path);
            mem_free(path);
            finished = 0;
        }
    }
    assert_int_equal(run_spec("killed.db", 0, &summary), 0);
    char *rows = rows_of("killed.db");
    assert_string_equal(rows, expected);
    mem_free(rows);
    mem_free(expected);
}

static void test_interrupt_ends_cleanly(void **state)
{
    struct run_summary summary;
    (void)state;
    write_spec("interrupted", four_points);
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
    (void)state;
    char *path = in_folder("model/model.safetensors"), *bytes;
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
    write_spec("failing", "  - {method: full}\n  - {method: rtn, bits: 2}\n");
    for (int turn = 0; turn < 2; turn++) {
        assert_int_equal(run_spec("failed.db", 0, &summary), 0);
        assert_int_equal(summary.failed, 2);
        assert_int_equal(summary.computed + summary.skipped, 0);
    }
    char *rows = query("failed.db", "SELECT count(*), min(status), min(error) FROM points");
    assert_non_null(strstr(rows, "2|failed|"));
    assert_non_null(strstr(rows, "model.layers.2."));
    mem_free(rows);
    mem_free(bytes);
    mem_free(path);
    fixture_model(folder);
}

static void test_bad_input(void **state)
{
    (void)state;
    write_spec("short", "  - {method: full}\n");
    char *spec = in_folder("spec.yaml"), *database = in_folder("bad.db");
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
    (void)argc;
    cpu_prepare(argv);
    matmul_init();
    FIXTURE_OK(pool_start(2));
    progress_set_mode(PROGRESS_QUIET);
    folder = fixture_folder("run");
    fixture_model(folder);
    fixture_write(folder, "questions.jsonl",
                  "{\"context\": \"The king saw\", \"choices\": [\" the mountain.\", \" a golden "
                  "cup.\"], \"answer\": 0}\n"
                  "{\"context\": \"My brother\", \"choices\": [\" followed many sheep.\", \" "
                  "zzz\"], \"answer\": 0}\n");
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
