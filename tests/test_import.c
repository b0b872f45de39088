/* JSON lines and back: the same rows, and one clear line for a file that is none. */
#include "core/file.h"
#include "harness/export.h"
#include "harness/store_internal.h"
#include "tests/store_sample.h"

#include <unistd.h>

static char lines[96], other[96], again[96];

static int import_setup(void **state)
{
    int rc = setup(state);
    snprintf(lines, sizeof lines, "%s/a.jsonl", folder);
    snprintf(again, sizeof again, "%s/b.jsonl", folder);
    snprintf(other, sizeof other, "%s/other.db", folder);
    return rc;
}

static void put(int id, int position)
{
    static const int32_t ids[6] = {1, -2, 65536, 4, 2147483647, -2147483647 - 1};
    struct store *store = open_writer();
    struct sample s;
    check(store_calibration(store, "the hash", ids, 2, 3));
    sample_init(&s, id);
    json_object_set_new(s.point.settings, "calibration", json_pack("{s:s}", "hash", "the hash"));
    json_object_set_new(s.point.settings, "third", json_real(1.0 / 3));
    s.metrics[0].value = INFINITY;
    s.metrics[0].low = -INFINITY;
    s.windows[0].value = 0.1 + 0.2;
    s.layers[0].hessian_loss = 1e-310;
    s.point.warnings = "umlauts: \xc3\xa4, a \"quote\"\nand a line";
    sample_store(store, &s, position);
    store_close(store);
}

static void export_to(const char *from, const char *path)
{
    struct store *store;
    struct store_copied copied = {0};
    check(store_open(&store, from, 0));
    check(export_lines(store, "trial", path, &copied));
    store_close(store);
}

static void quiet(void *context, const char *path, const struct store_copied *copied)
{
}

static int merge(const char *path)
{
    const char *const paths[] = {path};
    return merge_databases(other, paths, 1, quiet, NULL);
}

/* Every row of every table, in an order of its own, without the numbers that metrics get. */
static char *everything(const char *path)
{
    static const char *const queries[] = {
        "SELECT name, title, path, text, updated, '', '', '' FROM experiments",
        "SELECT * FROM points ORDER BY id",
        "SELECT * FROM experiment_points ORDER BY position",
        "SELECT * FROM layers",
        "SELECT * FROM blocks",
        "SELECT * FROM exceptions",
        "SELECT * FROM timings",
        "SELECT * FROM repetitions",
        "SELECT hash, segments, length, hex(ids) FROM calibrations",
        "SELECT m.*, w.* FROM metrics m JOIN windows w ON w.metric_id = m.id ORDER BY m.point_id, "
        "w.number",
        "SELECT m.*, i.* FROM metrics m JOIN items i ON i.metric_id = m.id ORDER BY m.point_id, "
        "i.number"};
    struct strbuf text = {0};
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    for (size_t q = 0; q < sizeof queries / sizeof *queries; q++) {
        sqlite3_stmt *read;
        assert_int_equal(sqlite3_prepare_v2(db, queries[q], -1, &read, NULL), SQLITE_OK);
        int rows = 0;
        for (; sqlite3_step(read) == SQLITE_ROW; rows++)
            for (int i = 0; i < sqlite3_column_count(read); i++) {
                const char *name = sqlite3_column_name(read, i);
                if (strcmp(name, "id") == 0 && sqlite3_column_type(read, i) == SQLITE_INTEGER)
                    continue;
                if (strcmp(name, "metric_id") == 0)
                    continue;
                if (sqlite3_column_type(read, i) == SQLITE_FLOAT) {
                    double value = sqlite3_column_double(read, i);
                    check(strbuf_printf(&text, "%s=%a|", name, value));
                } else {
                    const unsigned char *value = sqlite3_column_text(read, i);
                    check(strbuf_printf(&text, "%s=%s|", name, value ? (const char *)value : "-"));
                }
            }
        if (rows == 0)
            fail_msg("%s: no rows: %s", path, queries[q]);
        sqlite3_finalize(read);
    }
    sqlite3_close(db);
    return text.data;
}

static void the_same_rows(void **state)
{
    put(1, 0);
    put(2, 7);
    export_to(database, lines);
    check(merge(lines));
    char *ours = everything(database), *theirs = everything(other);
    assert_string_equal(ours, theirs);
    export_to(other, again);
    char *a, *b;
    check(file_read(lines, &a, NULL));
    check(file_read(again, &b, NULL));
    assert_string_equal(a, b);
    mem_free(ours);
    mem_free(theirs);
    mem_free(a);
    mem_free(b);
}

static void write_text(const char *text)
{
    FILE *file = fopen(lines, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* Files behind each other are one; points that are there are not doubled. */
static void files_joined(void **state)
{
    put(1, 0);
    export_to(database, lines);
    char *text, *twice;
    check(file_read(lines, &text, NULL));
    check(mem_printf(&twice, "%s\n%s", text, text));
    write_text(twice);
    check(merge(lines));
    check(merge(lines));
    char *ours = everything(database), *theirs = everything(other);
    assert_string_equal(ours, theirs);
    mem_free(ours);
    mem_free(theirs);
    mem_free(text);
    mem_free(twice);
}

/* The first place of `old` in the exported line becomes `new`. */
static void spoiled(const char *text, const char *old, const char *new, const char *names)
{
    const char *at = strstr(text, old);
    char *bad;
    assert_non_null(at);
    check(mem_printf(&bad, "%s%.*s%s%s", text, (int)(at - text), text, new, at + strlen(old)));
    write_text(bad);
    expect_error(merge(lines), ERR_FORMAT, names);
    assert_false(file_exists(other)); /* nothing half-made */
    mem_free(bad);
}

static void bad_lines(void **state)
{
    char *text;
    put(1, 0);
    export_to(database, lines);
    check(file_read(lines, &text, NULL));
    char changed[80];
    snprintf(changed, sizeof changed, "\"id\":\"%063d2\"", 0); /* another point */
    char id[80];
    snprintf(id, sizeof id, "\"id\":\"%063d1\"", 0);
    spoiled(text, "\"schema\":", "\"schema\":9", "line 2: schema");
    spoiled(text, id, "\"id\":5", "line 2: id");
    spoiled(text, "\"experiment\":\"trial\"", "\"experiment\":null", "line 2: experiment");
    spoiled(text, "}", "", "line 2: not a point as JSON");
    spoiled(text, "{", "[5]{", "line 2: not a point as JSON");
    char *other_id;
    const char *at = strstr(text, id);
    check(mem_printf(&other_id, "%.*s%s%s", (int)(at - text), text, changed, at + strlen(id)));
    struct {
        const char *old, *new, *names;
    } rows[] = {{"\"rows\":4", "\"rows\":\"x\"", "line 1: layers"},
                {"\"status\":\"done\"", "\"status\":\"odd\"", "line 1: points"},
                {"\"blocks\":[{", "\"blocks\":[5,{", "line 1: blocks"},
                {"\"ids\":[", "\"idz\":[", "line 1: calibration"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *place = strstr(other_id, rows[i].old);
        char *bad;
        assert_non_null(place);
        check(mem_printf(&bad, "%.*s%s%s", (int)(place - other_id), other_id, rows[i].new,
                         place + strlen(rows[i].old)));
        write_text(bad);
        expect_error(merge(lines), ERR_FORMAT, rows[i].names);
        mem_free(bad);
    }
    unlink(lines);
    expect_error(merge(lines), ERR_MISSING, "a.jsonl");
    mem_free(text);
    mem_free(other_id);
}

/* What schema 1 wrote: no numbers of repetitions, no columns that came later. */
static void older_lines(void **state)
{
    write_text("{\"title\":\"T\",\"spec_path\":\"p\",\"spec\":\"s\",\"experiment\":\"trial\","
               "\"position\":3,\"id\":\"a\",\"method\":\"rtn\",\"label\":\"l\",\"status\":\"done\","
               "\"error\":null,\"warnings\":\"\",\"model\":\"m\",\"model_hash\":\"h\",\"settings\":"
               "{\"b\":1,\"a\":2},\"host\":{},\"started\":\"x\",\"finished\":\"y\",\"weights\":1,"
               "\"timings\":[{\"stage\":\"load\",\"wall\":1.5,\"cpu\":1,\"tokens\":null}]}\n");
    check(merge(lines));
    struct store *store;
    int64_t count;
    check(store_open(&store, other, 0));
    check(store_integer(store,
                        "SELECT count(*) FROM experiment_rows r JOIN timings t ON t.point_id = "
                        "r.id WHERE position = 3 AND settings = '{\"a\":2,\"b\":1}' AND command = "
                        "'' AND repetition = 0 AND wall = 1.5",
                        &count));
    assert_int_equal(count, 1);
    store_close(store);
}

static void memory_fails(void **state)
{
    int failed = 0, pending = 0;
    put(1, 0);
    export_to(database, lines);
    for (long k = 1; !pending; k++) {
        mem_fail_at(k);
        struct store *store = NULL;
        int rc = import_lines(&store, lines);
        pending = mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(rc, pending ? 0 : ERR_MEMORY);
        store_close(store);
        failed += !pending;
    }
    assert_true(failed > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, import_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(the_same_rows), TEST(files_joined), TEST(bad_lines),
                                       TEST(older_lines), TEST(memory_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
