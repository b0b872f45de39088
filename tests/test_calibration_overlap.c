/* What calibration texts share with the evaluation: on ids made up for it, against a plain twin,
 * and as a run refuses, allows and stores it. */
#include "harness/calibration_overlap.h"

#include "core/pool.h"
#include "harness/run.h"
#include "tests/database_says.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *folder;

static void add(struct stream *stream, int first, int length)
{
    int32_t ids[200];
    for (int i = 0; i < length; i++)
        ids[i] = first + i;
    FIXTURE_OK(stream_add(stream, ids, length, 1));
}

static double share(const struct stream *calibration, const struct stream *stream, int first,
                    int count)
{
    struct overlap_index index;
    double result;
    FIXTURE_OK(overlap_index_make(&index, calibration));
    FIXTURE_OK(overlap_share(&index, stream, first, count, &result));
    overlap_index_release(&index);
    return result;
}

static void crafted_ids(void **state)
{
    struct stream calibration = {0}, text = {0};
    add(&calibration, 100, 20);
    add(&calibration, 120, 20); /* goes on where the other ends: but no 13-gram crosses */
    add(&text, 100, 20);        /* 0: all of its 8 */
    add(&text, 95, 20);         /* 1: 8, of which 3 lie in 100 .. 119 */
    add(&text, 95, 17);         /* 2: 5, and 12 tokens in common are not enough */
    add(&text, 110, 20);        /* 3: 8, none within one segment */
    add(&text, 100, 12);        /* 4: has no 13-gram */
    assert_true(share(&calibration, &text, 0, 1) == 1);
    assert_true(share(&calibration, &text, 1, 1) == 3 / 8.0);
    assert_true(share(&calibration, &text, 2, 1) == 0);
    assert_true(share(&calibration, &text, 3, 1) == 0);
    assert_true(isnan(share(&calibration, &text, 4, 1)));
    assert_true(share(&calibration, &text, 0, 5) == 11 / 29.0);
    struct stream nothing = {0};
    assert_true(share(&nothing, &text, 0, 5) == 0);
    stream_release(&calibration);
    stream_release(&text);
}

/* A question's choices are read behind its context, the last token, which has no row, included. */
static void questions_with_their_choices(void **state)
{
    int32_t first[20], second[17];
    struct stream calibration = {0}, stream = {0};
    for (int i = 0; i < 20; i++)
        first[i] = 100 + i;
    for (int i = 0; i < 17; i++)
        second[i] = i < 14 ? 100 + i : 500 + i;
    struct stream_branch branches[] = {{.tokens = first, .length = 20, .first_target = 14},
                                       {.tokens = second, .length = 17, .first_target = 14}};
    FIXTURE_OK(stream_add_branches(&stream, branches, 2));
    assert_int_equal(stream.count, 1);
    add(&calibration, 100, 40);
    /* the trunk of 13 tokens has 1; the first choice 7 more; the second 4, and one of them, behind
     * its context's 14th token, is there */
    assert_true(share(&calibration, &stream, 0, 1) == (1 + 7 + 1) / 12.0);
    struct stream other = {0};
    add(&other, 514, 20);
    assert_true(share(&other, &stream, 0, 1) == 0); /* 514 .. 516, and no more of them */
    stream_release(&calibration);
    stream_release(&stream);
    stream_release(&other);
}

/* Few different tokens, so that many 13-grams are nearly the same. */
static void the_plain_twin_agrees(void **state)
{
    enum { SEGMENTS = 12, LENGTH = 60, WINDOWS = 30 };
    struct stream calibration = {0}, text = {0};
    struct rng rng;
    int32_t ids[LENGTH];
    long found = 0, all = 0;
    rng_seed(&rng, 5);
    for (int s = 0; s < SEGMENTS + WINDOWS; s++) {
        for (int i = 0; i < LENGTH; i++) /* runs of zeros, broken now and then */
            ids[i] = rng_uniform(&rng) < 0.08;
        FIXTURE_OK(stream_add(s < SEGMENTS ? &calibration : &text, ids, LENGTH, 1));
    }
    for (int w = 0; w < WINDOWS; w++)
        for (int i = 0; i + OVERLAP_TOKENS <= LENGTH; i++) {
            bool there = false;
            for (int s = 0; s < SEGMENTS && !there; s++)
                for (int k = 0; k + OVERLAP_TOKENS <= LENGTH && !there; k++)
                    there = memcmp(text.tokens + w * LENGTH + i,
                                   calibration.tokens + s * LENGTH + k,
                                   OVERLAP_TOKENS * sizeof *ids) == 0;
            found += there;
            all++;
        }
    assert_true(found > 100 && found < all - 100);
    assert_true(share(&calibration, &text, 0, WINDOWS) == (double)found / (double)all);
    stream_release(&calibration);
    stream_release(&text);
}

/* ---- runs ---- */

/* run_open and run_points' code; id (may be NULL) of the first point. */
static int run_spec(const char *allow, const char *method, char *id)
{
    struct strbuf text = {0};
    struct run run = {0};
    struct run_summary summary;
    char *spec, *path;
    FIXTURE_OK(strbuf_printf(&text,
                             "name: overlap\nmodel: %s/model\ncalibration: {corpus: "
                             "'file:%s/text.txt', split: test, samples: 8, length: 100%s}\n"
                             "evaluation:\n  divergence: false\n  perplexity: {corpus: "
                             "'file:%s/text.txt', tokens: 2000, window: 50}\n"
                             "  tasks: [{task: 'jsonl:%s/questions.jsonl'}]\nmethods:\n  - %s\n",
                             folder, folder, allow, folder, folder, method));
    fixture_write(folder, "spec.yaml", text.data);
    strbuf_release(&text);
    FIXTURE_OK(file_join(&spec, folder, "spec.yaml"));
    FIXTURE_OK(file_join(&path, folder, "overlap.db"));
    remove(path);
    struct run_options options = {.spec = spec, .database = path};
    FIXTURE_OK(run_open(&run, &options));
    if (id) {
        json_t *settings;
        FIXTURE_OK(run_point_id(&run, &run.experiment.points[0], &settings, id));
        json_decref(settings);
    }
    int rc = run_points(&run, &options, &summary);
    assert_true(rc != 0 || summary.failed == 0);
    assert_int_equal(file_exists(path), rc == 0); /* refused before anything is written */
    run_close(&run);
    mem_free(spec);
    mem_free(path);
    return rc;
}

static const char *const gptq = "{method: gptq, bits: 3}", *const allowed = ", allow_overlap: true";

static void above_the_limit_it_is_refused(void **state)
{
    char refused[HASH_HEX_SIZE], marked[HASH_HEX_SIZE];
    assert_int_equal(run_spec("", gptq, refused), ERR_USAGE);
    const char *text = err_text();
    assert_non_null(strstr(text, "spec.yaml:9: the calibration on file:"));
    assert_non_null(strstr(text, "% of the 13-grams of tokens of file:"));
    assert_non_null(strstr(text, "more than 5 % are refused"));
    assert_non_null(strstr(text, "calibration.allow_overlap: true"));
    assert_int_equal(run_spec(allowed, gptq, marked), 0);
    assert_string_equal(refused, marked); /* no part of the point's identity */
    database_says(
        folder, "overlap.db",
        "SELECT overlap > 0.05 AND overlap < 1 AND overlap_allowed FROM metrics WHERE kind "
        "= 'perplexity'",
        "1");
    database_says(folder, "overlap.db",
                  "SELECT warnings LIKE '%calibration holds % of file:%' FROM points", "1");
    /* the questions are too short to have a 13-gram */
    database_says(folder, "overlap.db", "SELECT overlap FROM metrics WHERE kind = 'accuracy'",
                  "NULL");
    database_says(folder, "overlap.db",
                  "SELECT sum(overlap_allowed) FROM metrics WHERE kind = 'accuracy'", "0");
}

/* A method that learns nothing from the calibration is measured whatever the text. */
static void without_calibration_there_is_none(void **state)
{
    assert_int_equal(run_spec("", "{method: [full, rtn]}", NULL), 0);
    database_says(folder, "overlap.db",
                  "SELECT count(*) || ' ' || count(overlap) || ' ' || sum(overlap_allowed) FROM "
                  "metrics",
                  "4 0 0");
    database_says(folder, "overlap.db", "SELECT group_concat(warnings, '') FROM points", "");
}

static void bad_values_are_refused(void **state)
{
    struct experiment experiment = {0};
    char *spec;
    static const char *const lines[] = {"calibration: {allow_overlap: [true, false]}\n",
                                        "calibration: {allow_overlap: perhaps}\n",
                                        "calibration: {allow_overlaps: true}\n",
                                        "evaluation: {divergence: 2}\n"},
                             *const words[] = {"allow_overlap", "allow_overlap", "allow_overlap",
                                               "divergence"};
    FIXTURE_OK(file_join(&spec, folder, "bad.yaml"));
    for (int i = 0; i < 4; i++) {
        char *text;
        FIXTURE_OK(mem_printf(&text, "%smethods: [{method: full}]\n", lines[i]));
        fixture_write(folder, "bad.yaml", text);
        assert_int_equal(spec_load(&experiment, spec, NULL, 0), ERR_USAGE);
        if (!strstr(err_text(), words[i]) || !strstr(err_text(), "bad.yaml:1"))
            fail_msg("%s", err_text());
        mem_free(text);
    }
    mem_free(spec);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    folder = fixture_folder("calibration_overlap");
    fixture_model(folder);
    fixture_write(folder, "questions.jsonl",
                  "{\"context\": \"The\", \"choices\": [\" a\", \" b\"], "
                  "\"answer\": 0}\n");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crafted_ids),
        cmocka_unit_test(questions_with_their_choices),
        cmocka_unit_test(the_plain_twin_agrees),
        cmocka_unit_test(above_the_limit_it_is_refused),
        cmocka_unit_test(without_calibration_there_is_none),
        cmocka_unit_test(bad_values_are_refused),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    pool_stop();
    return failed;
}
