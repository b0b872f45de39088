/* Token ids as a corpus: files and tensors, what is drawn from them and what is taken as it is, the
 * draws of Python's generator, and whole models fed with the ids that the reference was fed. */
#include "core/log.h"
#include "harness/token_ids.h"
#include "model/safetensors.h"
#include "tests/draws.h"
#include "tests/golden.h"
#include "tests/program.h"

#include <jansson.h>
#include <math.h>
#include <sqlite3.h>

static char *folder;

/* "ids:FOLDER/NAME" of raw ids, count of them, each its own place. */
static void put_ids(const char *name, size_t count, char corpus[OPTION_TEXT_SIZE])
{
    struct file_writer writer = {0};
    snprintf(corpus, OPTION_TEXT_SIZE, "ids:%s/%s", folder, name);
    FIXTURE_OK(file_write_begin(&writer, corpus + 4));
    for (size_t i = 0; i < count; i++) {
        const uint8_t bytes[] = {(uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 0};
        FIXTURE_OK(file_write(&writer, bytes, 4));
    }
    FIXTURE_OK(file_write_commit(&writer));
}

/* FOLDER/ids.safetensors: "flat" (1 x 60 of I64), "rows" (6 x 10 of I32), "cube", "real". */
static void put_tensors(void)
{
    int32_t ids[60];
    int64_t wide[60];
    float real[4] = {0};
    char *path;
    for (int i = 0; i < 60; i++)
        wide[i] = ids[i] = i;
    const struct tensor_source sources[] = {
        {.name = "flat", .dtype = DTYPE_I64, .rank = 2, .shape = {1, 60}, .data = wide},
        {.name = "rows", .dtype = DTYPE_I32, .rank = 2, .shape = {6, 10}, .data = ids},
        {.name = "cube", .dtype = DTYPE_I32, .rank = 3, .shape = {2, 3, 10}, .data = ids},
        {.name = "real", .dtype = DTYPE_F32, .rank = 1, .shape = {4}, .data = real},
    };
    FIXTURE_OK(file_join(&path, folder, "ids.safetensors"));
    FIXTURE_OK(safetensors_write(path, sources, sizeof sources / sizeof *sources, NULL));
    mem_free(path);
}

static int read_ids(const char *name, int vocabulary, size_t *count, size_t *row)
{
    char corpus[OPTION_TEXT_SIZE];
    int32_t *ids = NULL;
    snprintf(corpus, sizeof corpus, "ids:%s/%s", folder, name);
    int rc = token_ids_read(corpus, vocabulary, &ids, count, row);
    for (size_t i = 0; rc == 0 && i < *count; i++)
        assert_int_equal(ids[i], i);
    if (rc)
        assert_null(ids);
    mem_free(ids);
    return rc;
}

static void assert_bad_ids(const char *name, int code, const char *part)
{
    size_t count, row;
    assert_int_equal(read_ids(name, 100, &count, &row), code);
    if (!strstr(err_text(), part))
        fail_msg("'%s' is not in: %s", part, err_text());
}

static void ids_are_read(void **state)
{
    char corpus[OPTION_TEXT_SIZE];
    size_t count, row;
    put_ids("raw.ids", 70000, corpus);
    assert_int_equal(read_ids("raw.ids", 70000, &count, &row), 0);
    assert_int_equal(count, 70000);
    assert_int_equal(row, 0);
    assert_bad_ids("raw.ids", ERR_FORMAT,
                   "token 100 is 100, outside the model's vocabulary of 100");
    put_tensors();
    assert_int_equal(read_ids("ids.safetensors:flat", 60, &count, &row), 0);
    assert_int_equal(count, 60);
    assert_int_equal(row, 0);
    assert_int_equal(read_ids("ids.safetensors:rows", 60, &count, &row), 0);
    assert_int_equal(row, 10);
    assert_bad_ids("ids.safetensors:cube", ERR_FORMAT, "3 dimensions");
    assert_bad_ids("ids.safetensors:real", ERR_FORMAT, "real");
    assert_bad_ids("ids.safetensors:absent", ERR_MISSING, "absent");
    assert_bad_ids("ids.safetensors", ERR_USAGE, "it holds 4 tensors: say which");
    assert_bad_ids("none.ids", ERR_MISSING, "none.ids");
    fixture_write(folder, "empty.ids", "");
    assert_bad_ids("empty.ids", ERR_FORMAT, "0 bytes are no token ids");
    fixture_write(folder, "odd.ids", "12345");
    assert_bad_ids("odd.ids", ERR_FORMAT, "5 bytes are no token ids");
    fixture_write(folder, "negative.ids", "\xff\xff\xff\xff");
    assert_bad_ids("negative.ids", ERR_FORMAT, "token 0 is -1");
    assert_true(token_ids_named("ids:a+ids:b"));
    assert_false(token_ids_named("ids:a+kjv"));
    assert_false(token_ids_named("file:a"));
}

static void failed_allocations_are_reported(void **state)
{
    size_t count, row;
    put_tensors();
    for (long nth = 1;; nth++) {
        mem_fail_at(nth);
        int rc = read_ids("ids.safetensors:rows", 60, &count, &row), pending = mem_fail_pending();
        mem_fail_at(0);
        if (pending) {
            assert_int_equal(rc, 0);
            assert_true(nth > 3);
            break;
        }
        assert_int_equal(rc, ERR_MEMORY);
    }
}

/* ---- draws ---- */

/* The first token of each segment, where each token is its own place. */
static void assert_starts(const struct calibration_spec *spec, const int *starts, int count)
{
    struct stream stream = {0};
    struct calibration_facts facts;
    assert_int_equal(draw(NULL, 1 << 24, spec, &stream, &facts), 0);
    assert_int_equal(stream.count, count);
    for (int i = 0; i < count; i++) {
        assert_int_equal(stream.offsets[i + 1] - stream.offsets[i], spec->length);
        for (int k = 0; k < spec->length; k++)
            assert_int_equal(stream.tokens[stream.offsets[i] + k], starts[i] + k);
    }
    stream_release(&stream);
}

static void python_draws_are_the_scripts(void **state)
{
    /* the starts that BiLLM's loader prints for a text of 268,017 tokens, seed 0 */
    static const int starts[] = {201979, 220500, 21225,  135746, 254766, 212302, 159023, 249874,
                                 187720, 114526, 264601, 73019,  147764, 73267,  49718,  131337};
    char corpus[OPTION_TEXT_SIZE];
    put_ids("raw.ids", 268017, corpus);
    for (int length = 512; length <= 2048; length *= 4) {
        struct calibration_spec spec = spec_of(corpus, 16, length, DRAW_PYTHON);
        assert_starts(&spec, starts, 16);
    }
    /* random.seed(7); [random.randint(0, 1000 - 50 - 1) for _ in range(4)] */
    static const int seven[] = {331, 154, 404, 666};
    put_ids("raw.ids", 1000, corpus);
    struct calibration_spec spec = spec_of(corpus, 4, 50, DRAW_PYTHON);
    spec.seed = 7;
    assert_starts(&spec, seven, 4);
    /* each corpus begins anew: the same text twice gives the same segments twice */
    static const int twice[] = {331, 154, 331, 154};
    char both[2 * OPTION_TEXT_SIZE + 1];
    snprintf(both, sizeof both, "%s+%s", corpus, corpus);
    snprintf(spec.corpus, sizeof spec.corpus, "%.511s", both);
    assert_starts(&spec, twice, 4);
}

static void own_draws_stay(void **state)
{
    char corpus[OPTION_TEXT_SIZE];
    struct rng rng;
    int starts[5];
    put_ids("raw.ids", 5000, corpus);
    rng_seed(&rng, 3);
    for (int i = 0; i < 5; i++)
        starts[i] = (int)rng_below(&rng, 5000 - 100);
    struct calibration_spec spec = spec_of(corpus, 5, 100, -1);
    spec.seed = 3;
    assert_starts(&spec, starts, 5); /* auto: ids that are one row */
    spec.draw = DRAW_OWN;
    assert_starts(&spec, starts, 5);
}

static void given_segments_are_taken(void **state)
{
    static const int starts[] = {0, 10, 20, 30, 40, 50};
    char corpus[OPTION_TEXT_SIZE];
    put_tensors();
    snprintf(corpus, sizeof corpus, "ids:%s/ids.safetensors:rows", folder);
    struct calibration_spec spec = spec_of(corpus, 6, 10, -1); /* auto */
    assert_starts(&spec, starts, 6);
    spec.samples = 2;
    spec.draw = DRAW_GIVEN;
    assert_starts(&spec, starts, 2);
    assert_no_draw(NULL, corpus, 7, 10, -1, "6 segments of 10 tokens, 7 are asked for");
    assert_no_draw(NULL, corpus, 2, 20, -1, "holds segments of 10 tokens: set length: 10");
    assert_no_draw(NULL, corpus, 2, 10, DRAW_PYTHON, "set draw: given");
    snprintf(corpus, sizeof corpus, "ids:%s/ids.safetensors:flat", folder);
    spec = spec_of(corpus, 6, 10, DRAW_GIVEN);
    assert_starts(&spec, starts, 6);
    assert_no_draw(NULL, corpus, 1, 60, DRAW_PYTHON, "fewer than one segment of 60");
    assert_no_draw(NULL, corpus, 1, 60, DRAW_OWN, "fewer than one segment of 60");
}

/* ---- windows ---- */

static void windows_keep_to_their_limits(void **state)
{
    char corpus[OPTION_TEXT_SIZE];
    long bytes;
    put_ids("raw.ids", 1050, corpus);
    assert_int_equal(windows_of(NULL, corpus, 0, 100, 0, &bytes), 10);
    assert_int_equal(bytes, 0); /* no text stands behind ids */
    assert_int_equal(windows_of(NULL, corpus, 399, 100, 0, NULL), 3);
    assert_int_equal(windows_of(NULL, corpus, 0, 100, 4, NULL), 4);
    assert_int_equal(windows_of(NULL, corpus, 300, 100, 4, NULL), 3);
    assert_int_equal(windows_of(NULL, corpus, 0, 1051, 0, NULL), -ERR_USAGE);
    put_tensors();
    snprintf(corpus, sizeof corpus, "ids:%s/ids.safetensors:rows", folder);
    assert_int_equal(windows_of(NULL, corpus, 0, 10, 0, NULL), 6);
    assert_int_equal(windows_of(NULL, corpus, 0, 5, 0, NULL), 12);
    assert_int_equal(windows_of(NULL, corpus, 0, 20, 0, NULL), -ERR_USAGE);
    assert_non_null(strstr(err_text(), "holds rows of 10 tokens, which windows of 20 would cross"));
}

/* ---- whole models ---- */

/* The reference's run of that name. */
static json_t *reference(const char *golden, const char *name)
{
    char *path;
    FIXTURE_OK(mem_printf(&path, "%s/models/tiny_llama.runs/%s.json", golden, name));
    json_t *run = json_load_file(path, 0, NULL);
    assert_non_null(run);
    mem_free(path);
    return run;
}

static void assert_loss(const json_t *run, int window, double loss, double bar)
{
    double expected = json_number_value(
        json_array_get(json_object_get(run, "window_loss"), (size_t)window));
    if (!(fabs(loss - expected) <= bar))
        fail_msg("window %d: %.7f, the reference has %.7f", window, loss, expected);
}

/* Sets $G to the golden data, absolute. */
static const char *need_golden(void)
{
    static char absolute[4096];
    const char *golden = golden_folder();
    if (!golden || !realpath(golden, absolute)) {
        print_message("skipped: ../shared/golden is not there\n");
        skip();
    }
    assert_int_equal(setenv("G", absolute, 1), 0);
    return absolute;
}

/* docs/datasets.md's command: every window's loss is the reference's. */
static void eval_is_the_reference(void **state)
{
    json_t *run = reference(need_golden(), "fp");
    works("$B eval --model $G/models/tiny_llama --corpora "
          "ids:$G/models/tiny_ids.safetensors:test --window 128 --windows 16 "
          "--samples $T/windows.jsonl --quiet");
    char *text = program_output("windows.jsonl");
    int windows = 0;
    for (char *line = text; *line; line = strchr(line, '\n') + 1) {
        json_t *object = json_loadb(line, strcspn(line, "\n"), 0, NULL);
        assert_int_equal(json_integer_value(json_object_get(object, "window")), windows);
        assert_loss(run, windows++, json_number_value(json_object_get(object, "loss")), 1e-5);
        json_decref(object);
    }
    assert_int_equal(windows, 16);
    json_decref(run);
    refuses("$B eval --model $G/models/tiny_llama --corpora kjv", 3, "tokenizer");
}

/* A spec on ids alone: the model's folder has no tokenizer, and needs none. */
static void run_is_the_reference(void **state)
{
    json_t *run = reference(need_golden(), "gptq4");
    fixture_write(folder, "ids.yaml",
                  "name: ids\nmodel: model\n"
                  "calibration: {corpus: ids, samples: 16, length: 128}\n"
                  "evaluation: {perplexity: [{corpus: ids, window: 128, windows: 16}]}\n"
                  "methods: [{method: gptq, bits: 4}]\n");
    works("$B run $T/ids.yaml --quiet --no-table --database $T/ids.db "
          "--set model=$G/models/tiny_llama "
          "--set calibration.corpus=ids:$G/models/tiny_ids.safetensors:calib "
          "--set evaluation.perplexity.corpus=ids:$G/models/tiny_ids.safetensors:test");
    char *path;
    sqlite3 *db;
    sqlite3_stmt *rows;
    FIXTURE_OK(file_join(&path, folder, "ids.db"));
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "SELECT w.number, w.nll / w.tokens, m.bits_per_byte IS NULL, "
                           "p.settings ->> '$.calibration.draw' FROM points p JOIN metrics m ON "
                           "m.point_id = p.id JOIN windows w ON w.metric_id = m.id ORDER BY 1",
                           -1, &rows, NULL),
        SQLITE_OK);
    int windows = 0;
    double total = 0;
    for (; sqlite3_step(rows) == SQLITE_ROW; windows++) {
        assert_int_equal(sqlite3_column_int(rows, 0), windows);
        total += sqlite3_column_double(rows, 1);
        assert_int_equal(sqlite3_column_int(rows, 2), 1);
        assert_string_equal((const char *)sqlite3_column_text(rows, 3), "given");
    }
    assert_int_equal(windows, 16);
    double ratio = exp(total / windows) / json_number_value(json_object_get(run, "ppl"));
    print_message("gptq, 4 bits: %.4f of the reference's perplexity\n", ratio);
    assert_true(fabs(ratio - 1) < 0.005);
    sqlite3_finalize(rows);
    sqlite3_close(db);
    mem_free(path);
    json_decref(run);
}

int main(void)
{
    folder = fixture_folder("token_ids");
    log_set_mode(LOG_QUIET);
    if (program_start(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_read),
        cmocka_unit_test(failed_allocations_are_reported),
        cmocka_unit_test(python_draws_are_the_scripts),
        cmocka_unit_test(own_draws_stay),
        cmocka_unit_test(given_segments_are_taken),
        cmocka_unit_test(windows_keep_to_their_limits),
        cmocka_unit_test(eval_is_the_reference),
        cmocka_unit_test(run_is_the_reference),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
