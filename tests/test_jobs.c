/* Points in processes of their own: the same rows, whatever is killed and when; points that are
 * computed again. BITBENCH_LONG kills 200 times. */
#include "core/machine.h"
#include "core/pool.h"
#include "harness/memory_limit.h"
#include "tests/program.h"
#include "tests/run_rows.h"

#include <signal.h>
#include <time.h>

static const char *const eight_points =
    "  - {method: full}\n"
    "  - {method: rtn, bits: [4, 3, 2]}\n"
    "  - {method: gptq, bits: [3, 2], block_size: 32, max_layer: [-1, 1]}\n";
enum { POINTS = 8 };

#define RUN "$B run $T/spec.yaml -q --no-table --threads 2 --database $T/"

static void expect_answer(const char *database, const char *sql, const char *answer)
{
    char *text = run_query(database, sql);
    assert_string_equal(text, answer);
    mem_free(text);
}

static void remove_database(const char *name)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
    char path[4200];
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s%s", folder, name, ends[i]);
        remove(path);
    }
}

static void nap(double seconds)
{
    struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&time, NULL);
}

/* Starts a run of its own into the database. */
static pid_t start_run(const char *database, const char *jobs)
{
    char spec[4200], path[4200];
    snprintf(spec, sizeof spec, "%s/spec.yaml", folder);
    snprintf(path, sizeof path, "%s/%s", folder, database);
    const char *words[] = {getenv("B"), "run",        spec, "-q",     "--no-table", "--threads",
                           "2",         "--database", path, "--jobs", jobs,         NULL};
    pid_t pid = program_spawn(words);
    assert_true(pid > 0);
    return pid;
}

/* The newest child of a process; 0: it has none. */
static pid_t child_of(pid_t parent)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof path, "/proc/%ld/task/%ld/children", (long)parent, (long)parent);
    FILE *file = fopen(path, "re");
    size_t got = file ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file)
        fclose(file);
    text[got] = '\0';
    return (pid_t)strtol(text, NULL, 10);
}

static void test_jobs_give_the_same_rows(void **state)
{
    struct run_summary summary;
    run_spec_write("jobs", eight_points);
    assert_int_equal(run_spec("here.db", 0, &summary), 0);
    assert_int_equal(summary.computed, POINTS);
    for (run_jobs = 1; run_jobs <= 4; run_jobs++) {
        remove_database("apart.db");
        assert_int_equal(run_spec("apart.db", 3, &summary), 0);
        assert_int_equal(summary.computed, 3);
        assert_int_equal(summary.left, POINTS - 3);
        assert_int_equal(run_spec("apart.db", 0, &summary), 0);
        assert_int_equal(summary.computed, POINTS - 3);
        assert_int_equal(summary.skipped, 3);
        assert_int_equal(summary.left, 0);
        expect_same_rows("here.db", "apart.db");
    }
    run_jobs = 0;
    assert_int_equal(pool_threads(), 2); /* the pool is as it was */
}

/* A process that is killed is its point's failure; the others go on, and the next run tries again.
 */
static void test_killed_worker(void **state)
{
    static const int signals[] = {SIGKILL, SIGSEGV, SIGABRT};
    static const char *const words[] = {"%killed (signal 9)%memory%", "%crashed: signal 11%",
                                        "%crashed: signal 6%"};
    for (int i = 0; i < 3; i++) {
        char sql[200];
        pid_t child = 0;
        remove_database("lost.db");
        pid_t run = start_run("lost.db", i ? "2" : "1");
        for (int turn = 0; turn < 60000 && (child = child_of(run)) == 0; turn++)
            nap(0.0005);
        assert_true(child > 0);
        kill(child, signals[i]);
        assert_int_equal(program_status(run), 1); /* a point failed */
        snprintf(sql, sizeof sql,
                 "SELECT sum(status = 'done'), sum(status = 'failed' AND (error LIKE '%s' OR %d "
                 "AND error "
                 "LIKE '%%ended with status%%')) FROM points",
                 words[i], i > 0); /* a sanitizer catches the others, and ends the process */
        expect_answer("lost.db", sql, "7|1|\n");
        struct result r = shell(RUN "lost.db");
        assert_int_equal(r.status, 0);
        expect_same_rows("here.db", "lost.db");
    }
}

/* The whole run is killed at random moments, until what it left is whole. */
static void test_killed_run(void **state)
{
    static const char *const jobs[] = {"2", "1", "0"};
    const int kills = getenv("BITBENCH_LONG") ? 200 : 10;
    struct rng rng;
    long finished = 0;
    rng_seed(&rng, 12);
    remove_database("killed.db");
    for (int i = 0; i < kills; i++) {
        pid_t run = start_run("killed.db", jobs[i % 3]);
        nap(0.001 * (double)rng_below(&rng, 500));
        kill(run, SIGKILL);
        int status = program_status(run);
        if (status != 0 && status != 1000 + SIGKILL)
            fail_msg("kill %d: status %d <%s>", i, status, program_output("err"));
        char *path = run_path("killed.db");
        int there = file_exists(path);
        mem_free(path);
        if (!there)
            continue;
        expect_answer("killed.db", "PRAGMA integrity_check", "ok|\n");
        char *count = run_query("killed.db", "SELECT (SELECT count(*) FROM sqlite_schema WHERE "
                                             "name = 'points')");
        int schema = *count == '1';
        mem_free(count);
        if (!schema)
            continue;
        count = run_query("killed.db", "SELECT count(*) FROM points WHERE status = 'done'");
        long done = strtol(count, NULL, 10);
        mem_free(count);
        assert_true(done >= finished);
        finished = done < POINTS ? done : 0;
        if (done == POINTS) {
            expect_same_rows("here.db", "killed.db");
            remove_database("killed.db");
        }
    }
    struct result r = shell(RUN "killed.db --jobs 2");
    assert_int_equal(r.status, 0);
    expect_same_rows("here.db", "killed.db");
}

/* Two runs on one database: one of them has one clear line. */
static void test_two_runs(void **state)
{
    remove_database("both.db");
    struct result r = shell("(" RUN "both.db --jobs 2 2>$T/a; echo $? >>$T/a) & " RUN
                            "both.db 2>$T/b; echo $? >>$T/b; wait; cat $T/a $T/b");
    const char *line = strstr(r.out, "is writing to this database; wait for it");
    if (line) { /* else one of them ended before the other began */
        assert_null(strstr(line + 1, "is writing to this database"));
        assert_non_null(strstr(r.out, "1\n"));
    }
    assert_non_null(strstr(r.out, "0\n"));
    expect_same_rows("here.db", "both.db");
}

/* Ctrl-C, and a signal: nobody stays behind, what is finished is stored. */
static void test_stopped_run(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM};
    for (int i = 0; i < 2; i++) {
        pid_t child = 0;
        remove_database("stopped.db");
        pid_t run = start_run("stopped.db", "2");
        for (int turn = 0; turn < 60000 && (child = child_of(run)) == 0; turn++)
            nap(0.0005);
        kill(run, signals[i]);
        assert_int_equal(program_status(run), 130);
        assert_non_null(strstr(program_output("err"), "the same command goes on from there"));
        assert_int_not_equal(kill(child, 0), 0);
        expect_answer("stopped.db", "SELECT count(*) FROM points WHERE status = 'failed'", "0|\n");
    }
}

static void test_computed_again(void **state)
{
    struct run_summary summary;
    remove_database("again.db");
    assert_int_equal(run_spec("again.db", 0, &summary), 0);
    for (run_jobs = 0; run_jobs < 2; run_jobs++) {
        run_again = "failed";
        assert_int_equal(run_spec("again.db", 0, &summary), 0);
        assert_int_equal(summary.computed, 0);
        run_again = "gptq*=1";
        assert_int_equal(run_spec("again.db", 0, &summary), 0);
        assert_int_equal(summary.computed, 2);
        assert_int_equal(summary.skipped, POINTS - 2);
        run_again = "all";
        assert_int_equal(run_spec("again.db", 0, &summary), 0);
        assert_int_equal(summary.computed, POINTS);
        run_again = "nonsense";
        assert_int_equal(run_spec("again.db", 0, &summary), ERR_USAGE);
        assert_non_null(strstr(err_text(), "matches the label of no point"));
    }
    run_again = NULL;
    run_jobs = 0;
    /* Each time is a repetition of its own; all else is as it was. */
    expect_answer("again.db",
                  "SELECT n, count(*), min(last) FROM (SELECT count(*) AS n, max(repetition) AS "
                  "last FROM repetitions GROUP BY point_id) GROUP BY n ORDER BY n",
                  "3|6|2|\n5|2|4|\n");
    expect_answer("again.db",
                  "SELECT count(*) FROM timings t LEFT JOIN repetitions r USING (point_id, "
                  "repetition) WHERE r.point_id IS NULL",
                  "0|\n");
    mem_free(run_query("again.db", "DELETE FROM timings WHERE repetition > 0"));
    expect_same_rows("here.db", "again.db");
}

/* Memory for one is not memory for sixteen. */
static void test_memory_is_divided(void **state)
{
    struct run_summary summary;
    char limit[32];
    remove_database("small.db");
    snprintf(limit, sizeof limit, "%zuK", (2 * machine_held() + (64 << 20)) >> 10);
    FIXTURE_OK(memory_limit_from_command_line(limit, "test"));
    assert_int_equal(run_spec("small.db", 1, &summary), 0);
    run_jobs = 64;
    assert_int_equal(run_spec("small.db", 1, &summary), ERR_MEMORY);
    assert_non_null(strstr(err_text(), "64 processes"));
    run_jobs = 0;
    FIXTURE_OK(memory_limit_from_command_line("", "test"));
}

int main(int argc, char **argv)
{
    run_start("jobs", argv);
    if (program_start(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_give_the_same_rows),
        cmocka_unit_test(test_killed_worker),
        cmocka_unit_test(test_killed_run),
        cmocka_unit_test(test_two_runs),
        cmocka_unit_test(test_stopped_run),
        cmocka_unit_test(test_computed_again),
        cmocka_unit_test(test_memory_is_divided),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    pool_stop();
    return failed;
}
