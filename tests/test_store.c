/* The database: rows round trip, whole points or nothing, one writer, and one clear line for
 * everything that goes wrong. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/store.h"
#include "harness/store_internal.h"
#include "tests/store_sample.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void write_sample(struct store *store, int number)
{
    struct sample s;
    sample_init(&s, number);
    sample_store(store, &s, number);
}

static int64_t integer(const struct store *store, const char *sql)
{
    int64_t value = -1;
    if (store_integer(store, sql, &value) != 0)
        fail_msg("%s: %s", sql, err_text());
    return value;
}

static int opening(int for_writing)
{
    struct store *store;
    int rc = store_open(&store, database, for_writing);
    if (rc == 0)
        store_close(store);
    return rc;
}

static void test_round_trip(void **state)
{
    struct store *store = open_writer();
    write_sample(store, 1);
    text_is(store, "PRAGMA journal_mode", "wal");
    assert_int_equal(integer(store, "PRAGMA synchronous"), 2);
    text_is(store, "SELECT settings FROM points", "{\"a\":\"x\",\"z\":1}");
    text_is(store, "SELECT label FROM experiment_rows WHERE experiment = 'trial' AND position = 1",
            "rtn bits=2");
    text_is(store, "SELECT text FROM experiments", "text: 1\n");
    assert_int_equal(
        integer(store,
                "SELECT count(*) FROM layers WHERE hessian_loss IS NULL AND bytes_scales = 16"),
        2);
    assert_int_equal(integer(store, "SELECT stored_bits FROM layers"), 6); /* 24 bytes over 32
                                                                              weights */
    text_is(store,
            "SELECT group_concat(value || '/' || low || '/' || count) FROM metrics ORDER BY id",
            "12.5/11.5/21,0.5/0.1/2");
    text_is(store, "SELECT group_concat(number || ':' || nll || ':' || tokens) FROM windows",
            "0:11.0:7,1:11.1:7,2:11.2:7");
    text_is(
        store,
        "SELECT group_concat(number || ':' || correct || ':' || choice || ':' || gold) FROM items",
        "10:0.0:3:2,11:1.0:3:3");
    assert_int_equal(
        integer(store, "SELECT count(*) FROM timings WHERE tokens IS NULL AND stage = 'load'"), 1);
    store_close(store);
    assert_int_equal(access(database, F_OK), 0);
    char leftover[112];
    snprintf(leftover, sizeof leftover, "%s-wal", database);
    assert_int_not_equal(access(leftover, F_OK), 0);
    snprintf(leftover, sizeof leftover, "%s.lock", database);
    assert_int_not_equal(access(leftover, F_OK), 0);
}

static void test_done_and_shared(void **state)
{
    struct store *store = open_writer();
    struct sample s;
    int done = -1;
    sample_init(&s, 1);
    assert_int_equal(store_point_done(store, s.id, "trial", 0, &done), 0);
    assert_int_equal(done, 0);
    s.point.status = "failed";
    s.point.error = "NaN in a weight";
    s.point.metric_count = 0;
    assert_int_equal(store_write_point(store, &s.point, 0), 0);
    assert_int_equal(store_point_done(store, s.id, "trial", 0, &done), 0);
    assert_int_equal(done, 0);
    write_sample(store, 1); /* takes the failed one's place */
    assert_int_equal(store_point_done(store, s.id, "trial", 5, &done), 0);
    assert_int_equal(done, 1);
    assert_int_equal(integer(store, "SELECT position FROM experiment_points"), 5);
    assert_int_equal(integer(store, "SELECT count(*) FROM points"), 1);
    assert_int_equal(integer(store, "SELECT count(*) FROM layers"), 2);
    /* A failure does not take a finished point's place. */
    assert_int_not_equal(store_write_point(store, &s.point, 0), 0);
    assert_int_equal(integer(store, "SELECT count(*) FROM metrics"), 2);
    /* Shared with a second experiment; forgotten by the first. */
    assert_int_equal(store_experiment(store, "other", "", "", ""), 0);
    assert_int_equal(store_point_done(store, s.id, "other", 3, &done), 0);
    assert_int_equal(store_experiment_points(store, "trial", NULL, 0, 0, 1), 0);
    text_is(store, "SELECT group_concat(experiment || position) FROM experiment_rows", "other3");
    /* Listed again, among points that are not there yet. */
    const char *ids[] = {"not yet", s.id, "nor this"};
    assert_int_equal(store_experiment_points(store, "other", ids, 3, 0, 1), 0);
    text_is(store, "SELECT group_concat(experiment || position) FROM experiment_rows", "other1");
    /* Lists of several models do not touch each other; a model that is no longer there leaves. */
    assert_int_equal(store_experiment_points(store, "other", ids, 3, 1, 2), 0);
    text_is(store, "SELECT group_concat(experiment || position) FROM experiment_rows",
            "other10001");
    assert_int_equal(store_experiment_points(store, "other", NULL, 0, 0, 2), 0);
    text_is(store, "SELECT group_concat(experiment || position) FROM experiment_rows",
            "other10001");
    assert_int_equal(store_experiment_points(store, "other", NULL, 0, 0, 1), 0);
    assert_int_equal(integer(store, "SELECT count(*) FROM experiment_points"), 0);
    assert_int_not_equal(store_point_done(store, s.id, "unknown", 3, &done), 0);
    assert_non_null(strstr(err_text(), "'unknown'"));
    sample_release(&s);
    store_close(store);
}

/* Whatever fails last takes everything with it. */
static void test_all_or_nothing(void **state)
{
    struct store *store = open_writer();
    struct sample s;
    write_sample(store, 1);
    sample_init(&s, 2);
    assert_int_equal(
        store_execute(store,
                      "CREATE TRIGGER trap BEFORE INSERT ON timings WHEN NEW.stage = 'evaluate' "
                      "BEGIN SELECT RAISE(ABORT, 'planned'); END"),
        0);
    expect_error(store_write_point(store, &s.point, 2), ERR_INTERNAL, "planned");
    assert_int_equal(store_execute(store, "DROP TRIGGER trap"), 0);
    s.metrics[1] = s.metrics[0]; /* the same metric twice */
    assert_int_equal(store_write_point(store, &s.point, 2), ERR_INTERNAL);
    s.point.experiment = "unknown";
    s.point.metric_count = 1;
    expect_error(store_write_point(store, &s.point, 2), ERR_INTERNAL, "'unknown'");
    assert_int_equal(integer(store, "SELECT count(*) FROM points"), 1);
    assert_int_equal(integer(store, "SELECT count(*) FROM layers"), 2);
    assert_int_equal(integer(store, "SELECT count(*) FROM windows"), 3);
    sample_release(&s);
    write_sample(store, 2); /* the connection goes on working */
    assert_int_equal(integer(store, "SELECT count(*) FROM points"), 2);
    store_close(store);
}

static void test_two_connections(void **state)
{
    struct store *writer = open_writer(), *reader;
    char wanted[32];
    write_sample(writer, 1);
    snprintf(wanted, sizeof wanted, "(process %ld)", (long)getpid());
    expect_error(opening(1), ERR_BUSY, wanted);
    assert_int_equal(store_open(&reader, database, 0), 0); /* reading works while a run writes */
    assert_int_equal(integer(reader, "SELECT count(*) FROM points"), 1);
    assert_int_equal(store_begin(writer), 0);
    assert_int_equal(store_execute(writer, "DELETE FROM experiment_points"), 0);
    assert_int_equal(integer(reader, "SELECT count(*) FROM experiment_points"), 1);
    assert_int_equal(store_end(writer, 0), 0);
    assert_int_equal(integer(reader, "SELECT count(*) FROM experiment_points"), 0);
    expect_error(store_execute(reader, "DELETE FROM points"), ERR_IO, "read-only");
    store_close(writer);
    assert_int_equal(opening(1), 0); /* the lock is free again */
    store_close(reader);
    /* Through a link it is the same database and the same lock. */
    char linked[112], kept[96];
    snprintf(linked, sizeof linked, "%s/link.db", folder);
    snprintf(kept, sizeof kept, "%s", database);
    assert_int_equal(symlink(database, linked), 0);
    writer = open_writer();
    snprintf(database, sizeof database, "%.90s", linked);
    expect_error(opening(1), ERR_BUSY, wanted);
    snprintf(database, sizeof database, "%.90s", kept);
    store_close(writer);
}

/* A child writes points until it is killed: what is there is whole, and the lock is free. */
static void test_kill(void **state)
{
    for (int round = 0; round < 4; round++) {
        pid_t child = fork();
        if (child == 0) {
            struct store *store = open_writer();
            for (int i = 0;; i++)
                write_sample(store, 1 + round * 100000 + i);
        }
        usleep(60000 + 17000 * (useconds_t)round);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        struct store *store = open_writer();
        int64_t points = integer(store, "SELECT count(*) FROM points");
        text_is(store, "PRAGMA integrity_check", "ok");
        assert_int_equal(integer(store, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
        assert_int_equal(integer(store, "SELECT count(*) FROM layers"), 2 * points);
        assert_int_equal(integer(store, "SELECT count(*) FROM windows"), 3 * points);
        assert_int_equal(integer(store, "SELECT count(*) FROM items"), 2 * points);
        assert_int_equal(integer(store, "SELECT count(*) FROM timings"), 2 * points);
        assert_int_equal(integer(store, "SELECT count(*) FROM experiment_points"), points);
        if (round == 3)
            assert_true(points > 0);
        store_close(store);
    }
}

static void put_file(const char *path, const char *bytes, size_t count)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static void test_foreign_files(void **state)
{
    static char text[8192];
    expect_error(opening(0), ERR_MISSING, "no such database");
    memset(text, 'x', sizeof text);
    put_file(database, text, sizeof text);
    expect_error(opening(0), ERR_FORMAT, "not a SQLite database");
    expect_error(opening(1), ERR_FORMAT, "not a SQLite database");
    unlink(database);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(database, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE bookmarks (x)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    expect_error(opening(0), ERR_FORMAT, "of another program");
    expect_error(opening(1), ERR_FORMAT, "of another program");
    unlink(database);
    put_file(database, "", 0); /* an empty file is a database without a schema: a run fills it */
    expect_error(opening(0), ERR_FORMAT, "empty");
    assert_int_equal(opening(1), 0);
    assert_int_equal(opening(0), 0);
    snprintf(database, sizeof database, "%s/a/b/x.db", folder); /* folders are made */
    assert_int_equal(opening(1), 0);
    snprintf(database, sizeof database, "%s", folder);
    assert_int_equal(opening(0), ERR_IO);
    assert_int_equal(opening(1), ERR_IO);
}

static void test_damaged(void **state)
{
    struct store *store = open_writer();
    for (int i = 0; i < 40; i++)
        write_sample(store, i);
    store_close(store);
    FILE *file = fopen(database, "r+b");
    char garbage[4096];
    memset(garbage, 0xA5, sizeof garbage);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    for (long at = 4096 * 3; at + 4096 <= size; at += 4096) {
        fseek(file, at, SEEK_SET);
        fwrite(garbage, 1, sizeof garbage, file);
    }
    fclose(file);
    expect_error(opening(1), ERR_FORMAT, "damaged");
    if (store_open(&store, database, 0) == 0) { /* the reader finds it where it reads */
        int64_t count;
        expect_error(store_integer(store, "SELECT count(*) FROM windows, points", &count),
                     ERR_FORMAT, "damaged");
        store_close(store);
    }
    assert_int_equal(truncate(database, 5000), 0);
    assert_int_equal(opening(1), ERR_FORMAT);
}

static void test_newer_schema(void **state)
{
    struct store *store = open_writer();
    assert_int_equal(store_execute(store, "PRAGMA user_version = 99"), 0);
    store_close(store);
    expect_error(opening(0), ERR_FORMAT, "version 99, newer than this program's");
    expect_error(opening(1), ERR_FORMAT, "version 99, newer than this program's");
}

/* Two steps on: both or none, and readers ask for a writer to do it. */
static void test_migration(void **state)
{
    static const char *const good[] = {
        NULL, "ALTER TABLE points ADD COLUMN extra TEXT",
        "UPDATE points SET extra = 'new'; CREATE TABLE more (x INTEGER) STRICT"};
    static const char *const bad[] = {NULL, "ALTER TABLE points ADD COLUMN extra TEXT",
                                      "UPDATE nothing SET x = 1"};
    struct store_migrations migrations = {bad, 4};
    struct store *store = open_writer(), *reader;
    int older;
    write_sample(store, 1);
    expect_error(store_schema(store, &migrations, &older), ERR_INTERNAL, "migration to version 4");
    assert_int_equal(integer(store, "PRAGMA user_version"), 2);
    assert_int_equal(
        integer(store, "SELECT count(*) FROM pragma_table_info('points') WHERE name = 'extra'"), 0);
    migrations.steps = good;
    assert_int_equal(store_open(&reader, database, 0), 0);
    assert_int_equal(store_schema(reader, &migrations, &older), 0);
    assert_int_equal(older, 1);
    assert_int_equal(store_schema(store, &migrations, &older), 0);
    assert_int_equal(older, 0);
    assert_int_equal(integer(store, "PRAGMA user_version"), 4);
    text_is(store, "SELECT extra FROM points", "new");
    assert_int_equal(store_schema(store, &migrations, &older), 0); /* nothing is left to do */
    store_close(reader);
    store_close(store);
}

/* The file cannot grow any more: the point is refused as a whole, earlier ones stay. */
static void test_full_disk(void **state)
{
    struct store *store = open_writer();
    struct sample s;
    write_sample(store, 1);
    char limit[64];
    snprintf(limit, sizeof limit, "PRAGMA max_page_count = %d",
             (int)integer(store, "PRAGMA page_count"));
    assert_int_equal(store_execute(store, limit), 0);
    int rc = 0, written = 1;
    while (rc == 0 && written < 1000) {
        sample_init(&s, ++written);
        rc = store_write_point(store, &s.point, written);
        sample_release(&s);
    }
    expect_error(rc, ERR_IO, "the disk is full");
    assert_int_equal(integer(store, "SELECT count(*) FROM points"), written - 1);
    assert_int_equal(integer(store, "SELECT count(*) FROM timings"), 2 * (written - 1));
    store_close(store);
    assert_int_equal(opening(1), 0);
}

/* What runs in a child: 0 when all is well, else the text on standard error. */
static void in_child(int (*body)(void))
{
    pid_t child = fork();
    if (child == 0)
        _exit(body());
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("the child ended with status %d", status);
}

static int child_expects(int rc, int want, const char *part)
{
    if (rc == want && strstr(err_text(), part))
        return 0;
    fprintf(stderr, "got %s (%s), wanted %s with '%s'\n", err_name(rc), err_text(), err_name(want),
            part);
    return 1;
}

/* The operating system refuses to write past a size, as a full disk or a quota does. */
static int limited(void)
{
    struct store *store;
    struct sample s;
    signal(SIGXFSZ, SIG_IGN);
    if (store_open(&store, database, 1) != 0)
        return 2;
    struct rlimit limit = {200000, 200000};
    setrlimit(RLIMIT_FSIZE, &limit);
    int rc = 0;
    for (int i = 100; rc == 0 && i < 1000; i++) {
        sample_init(&s, i);
        rc = store_write_point(store, &s.point, i);
        sample_release(&s);
    }
    return child_expects(rc, ERR_IO, "was not stored");
}

static int limited_from_the_start(void)
{
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {8192, 8192};
    setrlimit(RLIMIT_FSIZE, &limit);
    unlink(database);
    return child_expects(opening(1), ERR_IO, database);
}

static void test_refused_writes(void **state)
{
    store_close(open_writer());
    in_child(limited);
    struct store *store = open_writer();
    text_is(store, "PRAGMA integrity_check", "ok");
    int64_t points = integer(store, "SELECT count(*) FROM points");
    assert_true(points > 0);
    assert_int_equal(integer(store, "SELECT count(*) FROM timings"), 2 * points);
    store_close(store);
    in_child(limited_from_the_start);
}

/* Permissions mean nothing to root, so the child becomes nobody. */
static int become_nobody(void)
{
    return geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0);
}

static int read_only_file(void)
{
    return become_nobody() || child_expects(opening(1), ERR_IO, "the file is read-only") ||
           opening(0);
}

static int read_only_folder(void)
{
    return become_nobody() || child_expects(opening(1), ERR_IO, "cannot write in this folder") ||
           child_expects(opening(0), 0, "");
}

static int unfinished_log(void)
{
    return become_nobody() || child_expects(opening(0), ERR_IO, "folder is read-only");
}

static int unreadable(void)
{
    return become_nobody() || child_expects(opening(0), ERR_IO, database);
}

static void test_permissions(void **state)
{
    struct store *store = open_writer();
    char log[112], index[112];
    snprintf(log, sizeof log, "%s-wal", database);
    snprintf(index, sizeof index, "%s-shm", database);
    write_sample(store, 1);
    char *kept;
    size_t size;
    assert_int_equal(file_read(log, &kept, &size), 0); /* as a killed run leaves it */
    store_close(store);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(chmod(database, 0444), 0);
    in_child(read_only_file);
    unlink(log); /* a reader that may not write to the file leaves its log and index behind */
    unlink(index);
    assert_int_equal(chmod(folder, 0555), 0);
    in_child(read_only_folder);
    assert_int_equal(chmod(folder, 0755), 0);
    put_file(log, kept, size);
    mem_free(kept);
    assert_int_equal(chmod(folder, 0555), 0);
    in_child(unfinished_log);
    chmod(folder, 0755);
    unlink(log);
    assert_int_equal(chmod(database, 0), 0);
    in_child(unreadable);
}

/* The k-th allocation fails: one error, nothing leaks, nothing is locked afterwards. */
static void test_memory(void **state)
{
    for (long k = 1; k < 100; k++) {
        struct store *store;
        mem_fail_at(k);
        int rc = store_open(&store, database, 1);
        int reached = !mem_fail_pending();
        mem_fail_at(0);
        if (rc == 0)
            store_close(store);
        assert_int_equal(rc, reached ? ERR_MEMORY : 0);
        if (!reached)
            return;
    }
    fail_msg("no end of allocations");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),     TEST(test_done_and_shared),
        TEST(test_all_or_nothing), TEST(test_two_connections),
        TEST(test_kill),           TEST(test_foreign_files),
        TEST(test_damaged),        TEST(test_newer_schema),
        TEST(test_migration),      TEST(test_full_disk),
        TEST(test_refused_writes), TEST(test_permissions),
        TEST(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
