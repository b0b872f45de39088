/* Everything that a point has to tell of how it came about is in its row: the list of
 * docs/results.md, from a run of the program. */
#include "tests/program.h"

#include "core/version.h"
#include "tests/fixture.h"

#include <jansson.h>
#include <sqlite3.h>

static sqlite3 *db;

static void write_spec(void)
{
    fixture_write(
        program_folder, "common.yaml",
        "# what two specs share\ncalibration: {corpus: 'file:text.txt', samples: 4, length: "
        "32, seed: 5, allow_overlap: true}\n");
    fixture_write(program_folder, "it's one.yaml",
                  "include: common.yaml\nname: one\ntitle: One\nmodel: model\nevaluation: "
                  "{perplexity: [{corpus: 'file:text.txt', window: 32, windows: 4}]}\n"
                  "methods:\n  - {method: gptq, bits: 3, group_size: 48}\n");
}

/* The only row of sql, its first column; "" for NULL. */
static const char *value(const char *sql)
{
    static char text[8192];
    sqlite3_stmt *read;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &read, NULL), SQLITE_OK);
    if (sqlite3_step(read) != SQLITE_ROW)
        fail_msg("no row: %s", sql);
    const unsigned char *got = sqlite3_column_text(read, 0);
    snprintf(text, sizeof text, "%s", got ? (const char *)got : "");
    assert_int_equal(sqlite3_step(read), SQLITE_DONE);
    sqlite3_finalize(read);
    return text;
}

static void what_was_asked(void **state)
{
    assert_string_equal(value("SELECT command FROM points"),
                        "bitbench run 'it'\\''s one.yaml' --database p.db --quiet --no-table --set "
                        "methods.bits=4 --threads 2");
    const char *spec = value("SELECT spec_text FROM points");
    assert_non_null(strstr(spec, "group_size: 48"));
    assert_non_null(strstr(spec, "# what two specs share"));
    assert_string_equal(value("SELECT settings ->> '$.options.bits' FROM points"), "4");
    assert_string_equal(value("SELECT settings ->> '$.options.block_size' FROM points"), "128");
    assert_string_equal(value("SELECT settings ->> '$.calibration.seed' FROM points"), "5");
    assert_string_equal(value("SELECT settings ->> '$.harness.seed' FROM points"), "0");
    assert_string_equal(value("SELECT settings ->> '$.harness.drift' FROM points"), "");
}

static void hashes(void **state)
{
    static const char *const columns[] = {"id",
                                          "model_hash",
                                          "settings ->> '$.model_hash'",
                                          "settings ->> '$.tokenizer_hash'",
                                          "settings ->> '$.calibration.hash'",
                                          "settings ->> '$.evaluation.texts[0].hash'"};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT %s FROM points", columns[i]);
        const char *hash = value(sql);
        if (strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64)
            fail_msg("%s: '%s'", columns[i], hash);
    }
    assert_string_equal(value("SELECT count(*) FROM points p JOIN metrics m ON m.point_id = p.id "
                              "AND m.data_hash = settings ->> '$.evaluation.texts[0].hash' JOIN "
                              "calibrations c ON c.hash = settings ->> '$.calibration.hash' WHERE "
                              "length(c.ids) = 4 * 4 * 32 AND c.segments = 4 AND c.length = 32"),
                        "1");
}

static void program_and_machine(void **state)
{
    static const char *const texts[] = {"cpu",
                                        "kernels",
                                        "kernels_chosen_by",
                                        "vector_kernels",
                                        "system",
                                        "release",
                                        "libraries.glibc",
                                        "libraries.openblas",
                                        "libraries.lapack",
                                        "libraries.sqlite",
                                        "libraries.jansson",
                                        "libraries.libyaml",
                                        "libraries.pcre2",
                                        "libraries.nettle",
                                        "libraries.zlib",
                                        "libraries.utf8proc",
                                        "bitbench.version",
                                        "bitbench.commit",
                                        "bitbench.compiler",
                                        "bitbench.flags"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char sql[128];
        snprintf(sql, sizeof sql, "SELECT host ->> '$.%s' FROM points", texts[i]);
        if (!*value(sql))
            fail_msg("host: no %s", texts[i]);
    }
    assert_string_equal(value("SELECT host ->> '$.bitbench.commit' FROM points"), version.commit);
    assert_string_equal(value("SELECT host ->> '$.bitbench.dirty' FROM points"),
                        version.dirty ? "1" : "0");
    assert_string_equal(value("SELECT host ->> '$.libraries.sqlite' FROM points"),
                        sqlite3_libversion());
    assert_string_equal(value("SELECT host ->> '$.threads' FROM points"), "2");
    assert_string_equal(value("SELECT (host ->> '$.cores') > 0 AND (host ->> '$.memory_bytes') > "
                              "1e6 AND peak_memory > 1e6 FROM points"),
                        "1");
}

static void times(void **state)
{
    static const char date[] = "____-__-__T__:__:__Z";
    char sql[512];
    snprintf(
        sql, sizeof sql,
        "SELECT count(*) FROM points p JOIN repetitions r ON r.point_id = p.id WHERE "
        "p.started LIKE '%s' AND finished LIKE '%s' AND finished >= p.started AND r.started = "
        "p.started AND threads = 2 AND load_before >= 0 AND load_after >= 0 AND busy IN (0, 1)",
        date, date);
    assert_string_equal(value(sql), "1");
    assert_string_equal(value("SELECT count(*) > 4 AND sum(wall > 0) > 3 AND sum(cpu > 0) > 3 FROM "
                              "timings WHERE repetition = 0"),
                        "1");
}

static void diagnostics(void **state)
{
    assert_string_equal(value("SELECT count(*) FROM layers WHERE condition > 1 AND damping = 0.01"),
                        "21");
    assert_string_equal(value("SELECT count(*) FROM blocks WHERE drift > 0 AND cosine < 1"), "3");
    assert_string_equal(value("SELECT count(*) FROM exceptions WHERE kind = 'group'"), "21");
    assert_string_equal(value("SELECT detail FROM exceptions WHERE block = 2 AND name = "
                              "'mlp.down_proj'"),
                        "group_size 48 asked, the layer has 128 columns: the last of a row has 32");
}

/* The seed of a draw of questions is told where there is a draw and it is not the default one. */
static void draws_of_questions(void **state)
{
    static const char spec[] =
        "name: drawn\nmodel: embedded\nevaluation:\n  tasks:\n    - {task: kjv_half, items: 2}\n"
        "    - {task: kjv_half, items: 2, seed: 3}\n    - {task: 'jsonl:own.jsonl', seed: 3}\n"
        "methods: [{method: full}]\n";
    (void)state;
    fixture_write(program_folder, "drawn.yaml", spec);
    fixture_write(program_folder, "own.jsonl",
                  "{\"context\": \"a\", \"choices\": [\" b\", \" c\"], \"answer\": 0}\n");
    works("cd $T && $B run drawn.yaml --database p.db --quiet --no-table >o 2>&1");
#define QUESTIONS                                                                                  \
    "SELECT settings ->> '$.evaluation.questions[%d].%s' FROM points WHERE label = 'full'"
    static const char *const seeds[] = {"", "3", ""};
    for (int i = 0; i < 3; i++) {
        char sql[160];
        snprintf(sql, sizeof sql, QUESTIONS, i, "seed");
        assert_string_equal(value(sql), seeds[i]);
        snprintf(sql, sizeof sql, QUESTIONS, i, "items");
        assert_string_equal(value(sql), i < 2 ? "2" : "1");
    }
#undef QUESTIONS
    works("cd $T && $B run drawn.yaml --database p.db --quiet --no-table --set "
          "evaluation.tasks.seed=0 >o 2>&1");
    assert_string_equal(value("SELECT count(*) FROM points WHERE label = 'full' AND NOT settings "
                              "-> '$.evaluation.questions' LIKE '%seed%'"),
                        "1");
}

/* A diagnostic that is left out changes neither id nor label. */
static void drift_left_out(void **state)
{
    char *sql;
    (void)state;
    works("cd $T && $B run \"it's one.yaml\" --database q.db --quiet --no-table --set "
          "methods.bits=4 --set evaluation.drift=false >o 2>&1");
    FIXTURE_OK(mem_printf(&sql, "ATTACH '%s/q.db' AS q", program_folder));
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    mem_free(sql);
    assert_string_equal(value("SELECT count(*) FROM q.points JOIN main.points USING (id, label)"),
                        "1");
    assert_string_equal(value("SELECT count(*) FROM q.blocks"), "0");
    assert_string_equal(value("SELECT count(*) FROM q.layers WHERE condition > 1"), "21");
}

static int start(void **state)
{
    if (program_start(fixture_folder("provenance")) != 0)
        return -1;
    fixture_model(program_folder);
    write_spec();
    works("cd $T && $B run \"it's one.yaml\" --database p.db --quiet --no-table --set "
          "methods.bits=4 --threads 2 >o 2>&1");
    char *path;
    FIXTURE_OK(file_join(&path, program_folder, "p.db"));
    int code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL);
    mem_free(path);
    return code == SQLITE_OK ? 0 : -1;
}

static int stop(void **state)
{
    sqlite3_close(db);
    mem_free(program_folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_asked),      cmocka_unit_test(hashes),
        cmocka_unit_test(program_and_machine), cmocka_unit_test(times),
        cmocka_unit_test(diagnostics),         cmocka_unit_test(draws_of_questions),
        cmocka_unit_test(drift_left_out),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
