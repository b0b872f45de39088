/* Drift of activations, and layers that a method cannot do, through the pipeline. */
#include "harness/drift.h"

#include "core/pool.h"
#include "harness/model_folder.h"
#include "harness/pipeline.h"
#include "tests/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- two streams of states ---- */

enum { ROW_COUNT = 5000, WIDTH = 6 };

static void fill(struct states *x, const char *folder, uint64_t seed, double noise)
{
    struct rng rng;
    rng_seed(&rng, 1);
    struct rng other;
    rng_seed(&other, seed);
    FIXTURE_OK(states_open(x, "test", ROW_COUNT, WIDTH, 4096, folder));
    for (int first = 0; first < ROW_COUNT; first += 1000) {
        float *rows;
        FIXTURE_OK(states_take(x, first, 1000, false, &rows));
        for (int i = 0; i < 1000 * WIDTH; i++)
            rows[i] = (float)(rng_normal(&rng) + noise * rng_normal(&other));
        for (int i = 0; first == 0 && i < 3 * WIDTH; i++) /* rows of zeros: both, one, the other */
            rows[i] = i < WIDTH || (i < 2 * WIDTH) == (noise > 0) ? 0 : 1;
        FIXTURE_OK(states_put(x, first, 1000));
    }
}

static void agrees_with_plain_loops(void **state)
{
    struct block_record found[3];
    double want = 0, cosine = 0, full = 0;
    for (int i = 0; i < 3; i++) {
        struct drift drift = {.on = true};
        struct states quantized;
        FIXTURE_OK(pool_start(i == 1 ? 1 : 2));
        fill(&drift.full, i == 2 ? "/tmp" : NULL, 2, 0);
        fill(&quantized, i == 2 ? "/tmp" : NULL, 2, 0.5);
        FIXTURE_OK(drift_measure(&drift, &quantized, 3, &found[i]));
        for (int r = 0; i == 0 && r < ROW_COUNT; r++) {
            double aa = 0, ab = 0, bb = 0;
            for (int k = 0; k < WIDTH; k++) {
                double a = (double)quantized.memory[r * WIDTH + k],
                       b = (double)drift.full.memory[r * WIDTH + k];
                want += (a - b) * (a - b);
                aa += a * a;
                ab += a * b;
                bb += b * b;
            }
            full += bb;
            cosine += aa > 0 && bb > 0 ? ab / sqrt(aa) / sqrt(bb) : aa + bb == 0;
        }
        states_close(&quantized);
        drift_stop(&drift);
    }
    assert_true(fabs(found[0].drift - sqrt(want / full)) < 1e-12 && found[0].block == 3);
    assert_true(fabs(found[0].cosine - cosine / ROW_COUNT) < 1e-12);
    for (int i = 1; i < 3; i++) /* one thread; in files */
        assert_true(found[i].drift == found[0].drift && found[i].cosine == found[0].cosine);
}

/* ---- the pipeline ---- */

static char *folder;
static struct model model;
static struct stream calibration, evaluation;

static void open_all(void)
{
    char *path;
    struct rng rng;
    int32_t tokens[40];
    folder = fixture_folder("drift");
    fixture_model(folder);
    FIXTURE_OK(file_join(&path, folder, "model"));
    FIXTURE_OK(model_folder_open(&model, path));
    mem_free(path);
    rng_seed(&rng, 4);
    for (int s = 0; s < 10; s++) {
        for (int i = 0; i < 40; i++)
            tokens[i] = (int32_t)rng_below(&rng, 300);
        FIXTURE_OK(stream_add(s < 8 ? &calibration : &evaluation, tokens, 40, s < 8 ? 40 : 1));
    }
}

static void run(const struct quant_method *method, int bits, int min_layer, bool drifts,
                struct drift_kept *kept, struct pipeline_output *output, int want)
{
    struct point point = {.method = method,
                          .harness = {.min_layer = min_layer, .max_layer = 2, .drift = drifts}};
    char text[16];
    FIXTURE_OK(mem_calloc(&point.method_options, 1, method->options_size));
    FIXTURE_OK(options_defaults(method->options, point.method_options));
    snprintf(text, sizeof text, "%d", bits);
    FIXTURE_OK(options_set(method->options, point.method_options, "bits", text, "test"));
    const struct pipeline_input input = {.model = &model,
                                         .point = &point,
                                         .calibration = &calibration,
                                         .evaluation = &evaluation,
                                         .drift_kept = kept};
    *output = (struct pipeline_output){0};
    int rc = pipeline_run(&input, output);
    if (rc != want)
        fail_msg("got %s, wanted %s: %s", err_name(rc), err_name(want), err_text());
    mem_free(point.method_options);
}

static void same_blocks(const struct pipeline_output *a, const struct pipeline_output *b)
{
    assert_int_equal(a->block_count, b->block_count);
    for (int i = 0; i < a->block_count; i++)
        assert_true(a->blocks[i].block == i && b->blocks[i].block == i &&
                    a->blocks[i].drift == b->blocks[i].drift &&
                    a->blocks[i].cosine == b->blocks[i].cosine);
}

static void drift_by_block(void **state)
{
    const struct quant_method *rtn = method_find("rtn");
    struct pipeline_output coarse, fine, none, late, again;
    struct drift_kept kept = {0};
    run(rtn, 2, -1, true, NULL, &coarse, 0);
    run(rtn, 8, -1, true, NULL, &fine, 0);
    run(rtn, 2, -1, false, NULL, &none, 0);
    assert_int_equal(coarse.block_count, 2); /* max_layer: the last one is as it was */
    assert_int_equal(none.block_count, 0);
    for (int i = 0; i < 2; i++) {
        assert_true(fine.blocks[i].drift > 0 && fine.blocks[i].drift < 0.02);
        assert_true(coarse.blocks[i].drift > 10 * fine.blocks[i].drift);
        assert_true(fine.blocks[i].cosine > 0.9999 && coarse.blocks[i].cosine < 0.999);
    }
    for (int r = 0; r < evaluation.rows; r++) /* no result depends on it */
        assert_true(coarse.scores[r].log_probability == none.scores[r].log_probability);
    for (int i = 0; i < coarse.layer_count; i++)
        assert_true(coarse.layers[i].hessian_loss == none.layers[i].hessian_loss);
    run(rtn, 2, 1, true, &kept, &late, 0); /* the first block is the full one */
    assert_true(late.block_count == 2 && late.blocks[0].drift == 0 && late.blocks[1].drift > 0);
    assert_true(fabs(late.blocks[0].cosine - 1) < 1e-12);
    assert_true(kept.count == 1 && kept.streams[0].blocks == 2);
    run(rtn, 2, -1, true, &kept, &again, 0); /* by what was kept */
    same_blocks(&coarse, &again);
    assert_true(drift_can_begin(&kept, &calibration, 2) &&
                !drift_can_begin(&kept, &calibration, 3) &&
                !drift_can_begin(&kept, &evaluation, 1) && drift_can_begin(NULL, &evaluation, 0));
    pipeline_output_release(&coarse);
    pipeline_output_release(&fine);
    pipeline_output_release(&none);
    pipeline_output_release(&late);
    pipeline_output_release(&again);
    drift_kept_release(&kept);
}

/* ---- what a method cannot do ---- */

static struct quant_method refusing;
static const char *refused; /* part of the names */

static int refuse(const void *options, const struct layer_problem *problem,
                  struct layer_result *result)
{
    if (strstr(problem->name, refused))
        return err_set(ERR_NUMERIC, "%s: too hard", problem->name);
    return method_find("rtn")->quantize_layer(options, problem, result);
}

static void layers_are_left(void **state)
{
    struct pipeline_output part, all;
    int left = 0;
    refusing = *method_find("rtn");
    refusing.quantize_layer = refuse;
    refused = "block 1, mlp.up_proj";
    run(&refusing, 4, -1, false, NULL, &part, 0);
    run(method_find("rtn"), 4, -1, false, NULL, &all, 0);
    assert_int_equal(part.left, 1);
    assert_int_equal(part.layer_count, all.layer_count);
    assert_int_equal(part.exception_count, 1);
    assert_int_equal(part.exceptions[0].kind, EXCEPTION_METHOD);
    assert_int_equal(part.exceptions[0].block, 1);
    assert_string_equal(part.exceptions[0].name, "mlp.up_proj");
    assert_string_equal(part.exceptions[0].detail,
                        "left in full precision: block 1, mlp.up_proj: too hard");
    for (int i = 0; i < part.layer_count; i++)
        if (!part.layers[i].method[0]) {
            left++;
            assert_string_equal(part.layers[i].name, "mlp.up_proj");
            assert_true(isnan(part.layers[i].hessian_loss) && part.layers[i].bytes[0] == 0);
        }
    assert_int_equal(left, 1);
    assert_int_equal(all.weights - part.weights, 128 * 64);
    assert_true(part.paper_bits == 4 && part.file_bytes > all.file_bytes); /* over what was done */
    refused = "block";
    pipeline_output_release(&part);
    run(&refusing, 4, -1, false, NULL, &part, ERR_NUMERIC);
    assert_non_null(strstr(err_text(), "no layer could be quantized; the first of 14: left in"));
    pipeline_output_release(&all);
}

/* A Hessian with what is no number is told from a method that gives up. */
static int spoil(const void *options, const struct layer_problem *problem,
                 struct layer_result *result)
{
    if (strstr(problem->name, refused))
        problem->hessian->matrix[0] = NAN;
    return method_find("gptq")->quantize_layer(options, problem, result);
}

static void not_a_number(void **state)
{
    struct pipeline_output output;
    refusing = *method_find("gptq");
    refusing.quantize_layer = spoil;
    refused = "block 0, mlp.down_proj";
    run(&refusing, 4, -1, false, NULL, &output, 0);
    assert_int_equal(output.exception_count, 1);
    assert_int_equal(output.exceptions[0].kind, EXCEPTION_NAN);
    assert_non_null(strstr(output.exceptions[0].detail, "not finite in row 0, column 0"));
    for (int i = 0; i < output.layer_count; i++) /* of the others there is a condition number */
        assert_int_equal(output.layers[i].method[0] == '\0',
                         isnan(output.layers[i].condition) != 0);
    pipeline_output_release(&output);
}

static void memory_fails(void **state)
{
    int failed = 0;
    for (long k = 1, pending = 0; !pending; k += 1 + k / 16) {
        struct point point = {.method = method_find("rtn"),
                              .harness = {.min_layer = -1, .max_layer = 1, .drift = true}};
        struct pipeline_output output = {0};
        struct drift_kept kept = {0};
        FIXTURE_OK(mem_calloc(&point.method_options, 1, point.method->options_size));
        FIXTURE_OK(options_defaults(point.method->options, point.method_options));
        const struct pipeline_input input = {.model = &model,
                                             .point = &point,
                                             .calibration = &calibration,
                                             .evaluation = &evaluation,
                                             .drift_kept = &kept};
        mem_fail_at(k);
        int rc = pipeline_run(&input, &output);
        pending = mem_fail_pending();
        mem_fail_at(0);
        assert_int_equal(rc, pending ? 0 : ERR_MEMORY);
        pipeline_output_release(&output);
        drift_kept_release(&kept);
        mem_free(point.method_options);
        failed += !pending;
    }
    assert_true(failed > 20);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    open_all();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_plain_loops),
        cmocka_unit_test(drift_by_block),
        cmocka_unit_test(layers_are_left),
        cmocka_unit_test(not_a_number),
        cmocka_unit_test(memory_fails),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    stream_release(&calibration);
    stream_release(&evaluation);
    model_close(&model);
    mem_free(folder);
    pool_stop();
    return failed;
}
