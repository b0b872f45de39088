/* Experiments as portable files, and databases joined: what arrives is what was there, once. */
#include "core/file.h"
#include "harness/export.h"
#include "harness/table.h"
#include "tests/store_sample.h"

static char other[96], lines_a[96], lines_b[96];

static int export_setup(void **state)
{
    int rc = setup(state);
    snprintf(other, sizeof other, "%s/other.db", folder);
    snprintf(lines_a, sizeof lines_a, "%s/a.jsonl", folder);
    snprintf(lines_b, sizeof lines_b, "%s/b.jsonl", folder);
    return rc;
}

static struct store *open_named(const char *path, int for_writing)
{
    struct store *store;
    check(store_open(&store, path, for_writing));
    return store;
}

static int64_t number(const char *path, const char *sql)
{
    struct store *store = open_named(path, 0);
    int64_t value;
    check(store_integer(store, sql, &value));
    store_close(store);
    return value;
}

/* Stores a point in an experiment of this name. */
static void put(const char *path, const char *experiment, const char *spec, int id, int failed,
                int position)
{
    static const int32_t ids[6] = {1, 2, 3, 4, 5, 6};
    struct store *store = open_named(path, 1);
    struct sample s;
    check(store_experiment(store, experiment, "A title", "x.yaml", spec));
    check(store_calibration(store, "the hash", ids, 2, 3));
    sample_init(&s, id);
    s.point.experiment = experiment;
    json_object_set_new(s.point.settings, "calibration", json_pack("{s:s}", "hash", "the hash"));
    if (failed) {
        s.point.status = "failed";
        s.point.error = "NaN \xc3";
        s.point.metric_count = s.point.layer_count = s.point.timing_count = 0;
    }
    sample_store(store, &s, position);
    store_close(store);
}

static void lines_of(const char *path, const char *experiment, const char *file, char **text)
{
    struct store *store = open_named(path, 0);
    struct store_copied copied = {0};
    check(export_lines(store, experiment, file, &copied));
    check(file_read(file, text, NULL));
    store_close(store);
}

static void same_lines(const char *a, const char *b, const char *experiment)
{
    char *ours, *theirs;
    lines_of(a, experiment, lines_a, &ours);
    lines_of(b, experiment, lines_b, &theirs);
    assert_string_equal(ours, theirs);
    mem_free(ours);
    mem_free(theirs);
    unlink(lines_a);
    unlink(lines_b);
}

static int export_to(const char *experiment, const char *path)
{
    struct store *store = open_named(database, 0);
    struct store_copied copied = {0};
    int rc = export_database(store, experiment, path, &copied);
    store_close(store);
    strbuf_release(&copied.different);
    return rc;
}

/* Each table has rows of both experiments, but for the point that they share. */
static void two_experiments(void)
{
    put(database, "one", "spec 1", 1, 0, 0);
    put(database, "one", "spec 1", 2, 0, 1);
    put(database, "one", "spec 1", 3, 1, 2);
    put(database, "two", "spec 2", 2, 0, 0);
    put(database, "two", "spec 2", 4, 0, 1);
}

static void test_export(void **state)
{
    char name[128];
    two_experiments();
    check(export_to("one", other));
    assert_int_equal(number(other, "SELECT count(*) FROM points"), 3);
    assert_int_equal(number(other, "SELECT count(*) FROM experiments"), 1);
    assert_int_equal(number(other, "SELECT count(*) FROM metrics"), 4);
    assert_int_equal(number(other, "SELECT count(*) FROM windows"), 6);
    assert_int_equal(number(other, "SELECT count(*) FROM items"), 4);
    assert_int_equal(number(other, "SELECT count(*) FROM layers"), 4);
    assert_int_equal(number(other, "SELECT length(ids) FROM calibrations"), 24);
    assert_int_equal(number(other, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    same_lines(database, other, "one");
    static const char *const beside[] = {"-wal", "-shm", ".lock"};
    for (int i = 0; i < 3; i++) { /* one file; and nothing half-made */
        snprintf(name, sizeof name, "%s%s", other, beside[i]);
        assert_false(file_exists(name));
    }
    expect_error(export_to("one", other), ERR_USAGE, "is there already");
    unlink(other);
    expect_error(export_to("three", other), ERR_USAGE, "there is no experiment 'three'");
    assert_false(file_exists(other));
}

/* One object a line, with every row of every table in it. */
static void test_lines(void **state)
{
    two_experiments();
    char *text;
    lines_of(database, "one", lines_a, &text);
    const char *second = strchr(text, '\n') + 1;
    json_t *point = json_loadb(text, (size_t)(second - text), 0, NULL);
    assert_non_null(point);
    assert_string_equal(json_string_value(json_object_get(point, "label")), "rtn bits=2");
    assert_string_equal(json_string_value(json_object_get(point, "spec")), "spec 1");
    json_t *metrics = json_object_get(point, "metrics");
    assert_int_equal(json_array_size(metrics), 2);
    json_t *windows = json_object_get(json_array_get(metrics, 0), "windows");
    assert_int_equal(json_array_size(windows), 3);
    assert_true(json_real_value(json_object_get(json_array_get(windows, 2), "nll")) == 11.2);
    assert_int_equal(json_array_size(json_object_get(json_array_get(metrics, 1), "items")), 2);
    assert_int_equal(json_array_size(json_object_get(point, "layers")), 2);
    json_t *layer = json_array_get(json_object_get(point, "layers"), 1);
    assert_true(json_is_null(json_object_get(layer, "hessian_loss"))); /* NaN */
    assert_true(json_real_value(json_object_get(layer, "stored_bits")) == 6);
    assert_int_equal(json_array_size(json_object_get(point, "timings")), 2);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(point, "settings"), "z")),
                     1);
    assert_non_null(strstr(strchr(second, '\n'), "\"error\":\"NaN ?\"")); /* no UTF-8 */
    json_decref(point);
    mem_free(text);
}

struct seen {
    int files, added, replaced, there, experiments, joined;
    char different[64];
};

static void take(void *context, const char *path, const struct store_copied *copied)
{
    struct seen *seen = context;
    seen->files++;
    seen->added += copied->added;
    seen->replaced += copied->replaced;
    seen->there += copied->there;
    seen->experiments += copied->experiments;
    seen->joined += copied->joined;
    if (copied->different.data)
        snprintf(seen->different, sizeof seen->different, "%s", copied->different.data);
}

static int merge(const char *into, const char *from, struct seen *seen)
{
    *seen = (struct seen){0};
    return merge_databases(into, (const char *const[]){from}, 1, take, seen);
}

static void test_merge_into_nothing(void **state)
{
    struct seen seen;
    two_experiments();
    check(merge(other, database, &seen));
    assert_int_equal(seen.added, 4);
    assert_int_equal(seen.experiments, 2);
    same_lines(database, other, "one");
    same_lines(database, other, "two");
    check(merge(other, database, &seen)); /* nothing twice */
    assert_int_equal(seen.added + seen.replaced + seen.experiments, 0);
    assert_int_equal(seen.there, 4);
    assert_int_equal(seen.joined, 2);
    assert_string_equal(seen.different, "");
    same_lines(database, other, "one");
    expect_error(merge(other, other, &seen), ERR_USAGE, "into itself");
}

static void test_merge_two(void **state)
{
    struct seen seen;
    put(database, "one", "spec 1", 1, 0, 0);
    put(database, "one", "spec 1", 2, 1, 1);
    put(database, "one", "spec 1", 3, 0, 2);
    put(other, "one", "spec 1, changed", 1, 1, 0); /* the finished one wins */
    put(other, "one", "spec 1, changed", 2, 0, 1);
    put(other, "one", "spec 1, changed", 4, 0, 3);
    check(merge(other, database, &seen));
    assert_int_equal(seen.added, 1);
    assert_int_equal(seen.replaced, 1);
    assert_int_equal(seen.there, 1);
    assert_string_equal(seen.different, "one");
    assert_int_equal(number(other, "SELECT count(*) FROM points WHERE status = 'done'"), 4);
    assert_int_equal(number(other, "SELECT count(*) FROM experiment_rows"), 4);
    assert_int_equal(number(other, "SELECT sum(position * 10 + CAST(id AS INTEGER)) FROM "
                                   "experiment_rows"),
                     60 + 10);
    assert_int_equal(number(other, "SELECT count(*) FROM experiments WHERE text LIKE '%changed'"),
                     1);
    assert_int_equal(number(other, "SELECT count(*) FROM metrics"), 8);
    assert_int_equal(number(other, "SELECT count(*) FROM windows"), 12);
    assert_int_equal(number(other, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
    check(merge(database, other, &seen)); /* and back: a failed one never replaces anything */
    assert_int_equal(seen.replaced, 1);
    assert_int_equal(number(database, "SELECT count(*) FROM points WHERE status = 'done'"), 4);
}

static void execute(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* A failure in the middle leaves the target as it was, or absent. */
static void test_merge_fails(void **state)
{
    char third[96];
    struct seen seen = {0};
    snprintf(third, sizeof third, "%s/third.db", folder);
    two_experiments();
    put(other, "one", "spec 1", 9, 0, 0);
    execute(other, "CREATE TRIGGER t BEFORE INSERT ON points WHEN new.id LIKE '%4' BEGIN SELECT "
                   "RAISE(ABORT, 'no'); END");
    expect_error(merge(other, database, &seen), ERR_INTERNAL, "no");
    assert_int_equal(seen.files, 0);
    assert_int_equal(number(other, "SELECT count(*) FROM points"), 1);
    assert_int_equal(number(other, "SELECT count(*) FROM experiments"), 1);
    execute(other, "DROP TRIGGER t; DROP TABLE timings");
    const char *const both[] = {database, other};
    assert_int_not_equal(merge_databases(third, both, 2, take, &seen), 0);
    assert_false(file_exists(third));
}

static void test_bad_files(void **state)
{
    struct seen seen;
    char bad[96];
    size_t size;
    char *bytes;
    snprintf(bad, sizeof bad, "%s/bad.db", folder);
    put(database, "one", "spec", 1, 0, 0);
    put(other, "one", "spec", 2, 0, 1);
    expect_error(merge(database, bad, &seen), ERR_MISSING, "no such database");
    check(file_read(other, &bytes, &size));
    for (size_t length = 0; length < size; length += length < 256 ? 37 : 1009) {
        FILE *file = fopen(bad, "wbe");
        assert_int_equal(fwrite(bytes, 1, length, file), length);
        fclose(file);
        assert_int_not_equal(merge(database, bad, &seen), 0);
    }
    mem_free(bytes);
    assert_int_equal(number(database, "SELECT count(*) FROM points"), 1);
    unlink(bad);
    execute(bad, "CREATE TABLE x (y)");
    expect_error(merge(database, bad, &seen), ERR_FORMAT, "another program");
    execute(other, "PRAGMA user_version = 99");
    expect_error(merge(database, other, &seen), ERR_FORMAT, "newer");
}

/* An older schema is brought up on a copy: the file keeps its bytes. */
static void test_older(void **state)
{
    static const char *const steps[] = {
        "ALTER TABLE points ADD COLUMN more TEXT NOT NULL DEFAULT 'x'"};
    const struct store_migrations newer = {steps, 2};
    struct store *store, *copy;
    char *before, *after;
    size_t size, size_after;
    int64_t count;
    two_experiments();
    execute(database, "PRAGMA user_version = 1; PRAGMA wal_checkpoint(TRUNCATE)");
    check(file_read(database, &before, &size));
    sqlite3 *raw; /* as it is, whatever the present version */
    assert_int_equal(sqlite3_open_v2(database, &raw, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    struct store as_it_is = {.db = raw, .path = database, .lock = -1};
    store = &as_it_is;
    check(store_migrated_copy(&copy, store, &newer));
    check(store_integer(copy, "SELECT count(*) FROM points WHERE more = 'x'", &count));
    assert_int_equal(count, 4);
    check(store_integer(copy, "SELECT count(*) FROM windows", &count));
    assert_int_equal(count, 9);
    store_close(copy);
    sqlite3_close(raw);
    check(file_read(database, &after, &size_after));
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    mem_free(before);
    mem_free(after);
}

/* A table that nothing ties to a point is told, not left behind. */
static void test_unknown_table(void **state)
{
    struct seen seen;
    put(database, "one", "spec", 1, 0, 0);
    put(other, "one", "spec", 2, 0, 1);
    execute(other, "CREATE TABLE strange (x TEXT) STRICT");
    expect_error(merge(other, database, &seen), ERR_INTERNAL, "strange");
    assert_int_equal(number(other, "SELECT count(*) FROM points"), 1);
}

static void test_memory(void **state)
{
    struct seen seen;
    int rc = ERR_MEMORY, k;
    put(database, "one", "spec", 1, 0, 0);
    put(other, "one", "spec", 2, 0, 1);
    for (k = 1; rc == ERR_MEMORY && k < 500; k++) {
        mem_fail_at(k);
        rc = merge(other, database, &seen);
        mem_fail_at(0);
        if (rc == ERR_MEMORY)
            assert_int_equal(number(other, "SELECT count(*) FROM points"), 1);
    }
    check(rc);
    assert_true(k > 10);
    assert_int_equal(number(other, "SELECT count(*) FROM points"), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, export_setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_export),    TEST(test_lines),         TEST(test_merge_into_nothing),
        TEST(test_merge_two), TEST(test_merge_fails),   TEST(test_bad_files),
        TEST(test_older),     TEST(test_unknown_table), TEST(test_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
