/* What a point does with each layer: rules, ranges of blocks, methods in sequence; and that the
 * results are what the parts give. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/progress.h"
#include "harness/layer_apply.h"
#include "harness/run.h"
#include "linalg/matmul.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/bitbench-plan-XXXXXX";
static char path[64];
static const char *const names[] = {"self_attn.q_proj", "self_attn.o_proj", "mlp.down_proj", NULL};
enum { BLOCKS = 6 };

static void write_spec(const char *entries)
{
    struct file_writer writer;
    char text[4000];
    snprintf(text, sizeof text,
             "calibration: {corpus: kjv, samples: 4, length: 64}\n"
             "evaluation: {perplexity: [{corpus: kjv, tokens: 512, window: 128}]}\n"
             "methods:\n%s",
             entries);
    assert_int_equal(file_write_begin(&writer, path), 0);
    assert_int_equal(file_write(&writer, text, strlen(text)), 0);
    assert_int_equal(file_write_commit(&writer), 0);
}

static void load(struct experiment *e, const char *entries)
{
    write_spec(entries);
    if (spec_load(e, path, NULL, 0) != 0)
        fail_msg("<%s>: %s", entries, err_text());
}

/* ---- which layers ---- */

/* "rtn4 - rtn2": method and bits, or - of each name in each block. */
static void plan_text(const struct point *point, char *out, size_t size)
{
    size_t used = 0;
    for (int block = 0; block < BLOCKS; block++)
        for (int i = 0; names[i]; i++) {
            struct layer_choice c = layer_plan_find(point, BLOCKS, block, names[i]);
            char bits[OPTION_TEXT_SIZE] = "";
            if (c.method)
                options_value(options_find(c.method->options, "bits"), c.options, bits);
            used += (size_t)snprintf(out + used, size - used, "%s%s", c.method ? bits : "-",
                                     i == 2 ? " " : "");
        }
}

static void the_first_rule_that_matches_decides(void **state)
{
    static const struct {
        const char *spec, *plan;
    } cases[] = {
        {"  - {method: rtn, bits: 2}\n", "222 222 222 222 222 222 "},
        {"  - {method: rtn, bits: 2, layers: [{match: down_proj, bits: 4}]}\n",
         "224 224 224 224 224 224 "},
        {"  - {method: rtn, bits: 2, layers: [{blocks: [0, -1], skip: true}, {match: [q_proj, "
         "down], bits: 3}]}\n",
         "--- 323 323 323 323 --- "},
        {"  - {method: rtn, bits: 2, layers: [{match: 'self_attn.*', blocks: 1-2, bits: 5}, "
         "{match: "
         "'*', blocks: 2--2, bits: 6}]}\n",
         "222 552 556 666 666 222 "},
        /* A rule comes behind the selection of layers, and a name with a star is the whole name. */
        {"  - {method: rtn, bits: 2, quant_only: self_attn, max_layer: 2, layers: [{match: '*q*', "
         "bits: 8}]}\n",
         "82- 82- --- --- --- --- "},
        {"  - {method: gptq, bits: 7, layers: [{match: 'q_proj|o_proj', method: rtn, bits: 1}, "
         "{match: down_proj, blocks: 5, method: full}]}\n",
         "117 117 117 117 117 11- "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct experiment e = {0};
        char text[200];
        load(&e, cases[i].spec);
        assert_int_equal(e.point_count, 1);
        plan_text(&e.points[0], text, sizeof text);
        assert_string_equal(text, cases[i].plan);
        if (layer_plan_check(&e.points[0], BLOCKS, names) != 0)
            fail_msg("%s", err_text());
        experiment_release(&e);
    }
}

/* A rule with the entry's method begins with the entry's options, one with another method with that
 * one's defaults; a list in a rule is a grid. */
static void rules_take_over_what_they_do_not_say(void **state)
{
    struct experiment e = {0};
    load(&e, "  - method: gptq\n"
             "    bits: [2, 3]\n"
             "    group_size: 64\n"
             "    layers:\n"
             "      - {match: down_proj, bits: [4, 8]}\n"
             "      - {match: q_proj, method: rtn}\n");
    static const char *const labels[] = {
        "gptq bits=2 group_size=64 | down_proj: bits=4 | q_proj: rtn",
        "gptq bits=2 group_size=64 | down_proj: bits=8 | q_proj: rtn",
        "gptq bits=3 group_size=64 | down_proj: bits=4 | q_proj: rtn",
        "gptq bits=3 group_size=64 | down_proj: bits=8 | q_proj: rtn"};
    assert_int_equal(e.point_count, 4);
    for (int i = 0; i < 4; i++) {
        const struct point *p = &e.points[i];
        char value[OPTION_TEXT_SIZE];
        assert_string_equal(p->label, labels[i]);
        struct layer_choice down = layer_plan_find(p, BLOCKS, 0, "mlp.down_proj"),
                            q = layer_plan_find(p, BLOCKS, 0, "self_attn.q_proj");
        assert_int_equal(down.rule, 0);
        assert_int_equal(q.rule, 1);
        assert_int_equal(
            options_value(options_find(down.method->options, "group_size"), down.options, value),
            0);
        assert_string_equal(value, "64");
        assert_int_equal(
            options_value(options_find(q.method->options, "group_size"), q.options, value), 0);
        assert_string_equal(value, "-1");
        assert_true(layer_plan_caps(p) & QM_NEEDS_HESSIAN);
    }
    experiment_release(&e);
}

/* A rule alone may ask for calibration. */
static void a_rule_may_need_calibration(void **state)
{
    struct experiment e = {0};
    load(&e, "  - {method: rtn, layer_errors: false}\n"
             "  - {method: rtn, layer_errors: false, layers: [{match: q_proj, method: billm}]}\n"
             "  - {method: rtn, layer_errors: false, layers: [{match: q_proj, skip: true}]}\n");
    assert_false(point_calibrates(&e.points[0]));
    assert_true(point_calibrates(&e.points[1]));
    assert_false(point_calibrates(&e.points[2]));
    experiment_release(&e);
}

static void useless_rules_are_named(void **state)
{
    static const struct {
        const char *spec, *words;
    } cases[] = {
        {"  - {method: rtn, layers: [{match: gate_proj, bits: 2}]}\n",
         ":4: rule 1 of layers (match 'gate_proj', blocks '') matches no layer that is quantized"},
        {"  - {method: rtn, layers: [{blocks: 6, bits: 2}]}\n", "the model has blocks 0 to 5"},
        {"  - {method: rtn, layers: [{match: proj, bits: 2}, {match: q_proj, bits: 3}]}\n",
         "rule 2 of layers (match 'q_proj', blocks '') decides for no layer: rules before it"},
        {"  - {method: rtn, quant_only: mlp, layers: [{match: q_proj, bits: 3}]}\n",
         "matches no layer that is quantized"},
        {"  - {method: rtn, layers: [{match: proj, skip: true}]}\n", "leave no layer of the model"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct experiment e = {0};
        load(&e, cases[i].spec);
        assert_int_equal(layer_plan_check(&e.points[0], BLOCKS, names), ERR_USAGE);
        if (!strstr(err_text(), cases[i].words))
            fail_msg("for <%s> got <%s>", cases[i].spec, err_text());
        experiment_release(&e);
    }
}

static void mistakes_have_a_line(void **state)
{
    static const struct {
        const char *spec, *words;
    } cases[] = {
        {"  - {method: rtn, layers: []}\n", ":4: layers: a list of 1 to 32 rules"},
        {"  - {method: rtn, layers: [{bits: 2}]}\n", ":4: layers: a rule needs 'match'"},
        {"  - {method: rtn, layers: [{match: q_proj}]}\n", ":4: layers: the rule says nothing"},
        {"  - {method: rtn, layers: [{match: q, bist: 2}]}\n", "'bist'; did you mean 'bits'?"},
        {"  - {method: rtn, layers: [{match: q, bits: 9}]}\n", ":4: bits: '9'"},
        {"  - {method: rtn, layers: [{match: q, method: bilm}]}\n", "did you mean 'billm'?"},
        {"  - {method: rtn, layers: [{match: q, skip: true, bits: 2}]}\n",
         ":4: 'bits': layers that are skipped take no options"},
        {"  - {method: rtn, layers: [{match: q, skip: true, method: rtn}]}\n",
         "'skip' and 'method' exclude each other"},
        {"  - {method: rtn, layers: [{blocks: 3-1, skip: true}]}\n", ":4: blocks: '3-1'"},
        {"  - {method: rtn, layers: [{blocks: x, skip: true}]}\n", ":4: blocks: 'x'"},
        {"  - {method: rtn, layers: [{blocks: '1,', skip: true}, {match: [], skip: true}]}\n",
         "an empty list matches nothing"},
        {"  - {method: rtn, after: {method: gptq}}\n", ":4: after: method gptq does not prune"},
        {"  - {method: rtn, after: {method: prune, share: 2}}\n", ":4: share: '2'"},
        {"  - {method: prune, after: {method: prune}}\n", "method prune prunes itself"},
        {"  - {method: rtn, after: prune}\n", "a mapping with 'method' is expected"},
        {"  - {method: full, layers: [{match: q, skip: true}]}\n", "takes no options"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct experiment e = {0};
        write_spec(cases[i].spec);
        assert_int_equal(spec_load(&e, path, NULL, 0), ERR_USAGE);
        if (!strstr(err_text(), cases[i].words))
            fail_msg("for <%s> got <%s>", cases[i].spec, err_text());
    }
}

/* ---- settings ---- */

static void only_points_with_a_plan_say_so(void **state)
{
    struct experiment e = {0};
    json_t *settings;
    load(&e, "  - {method: billm}\n"
             "  - {method: billm, after: {method: prune, share: 0.3}, layers: [{blocks: 0, skip: "
             "true}, {match: q_proj, method: rtn, bits: 3}]}\n");
    assert_int_equal(point_settings(&e.points[0], &settings), 0);
    assert_null(json_object_get(settings, "layers"));
    assert_null(json_object_get(settings, "after"));
    assert_string_equal(json_string_value(json_object_get(settings, "method")), "billm");
    json_decref(settings);
    assert_int_equal(point_settings(&e.points[1], &settings), 0);
    assert_string_equal(json_string_value(json_object_get(settings, "method")), "prune+billm");
    const json_t *after = json_object_get(settings, "after"),
                 *rules = json_object_get(settings, "layers");
    assert_true(json_real_value(json_object_get(json_object_get(after, "options"), "share")) ==
                0.3);
    assert_int_equal(json_array_size(rules), 2);
    assert_true(json_is_true(json_object_get(json_array_get(rules, 0), "skip")));
    const json_t *rule = json_array_get(rules, 1);
    assert_string_equal(json_string_value(json_object_get(rule, "method")), "rtn");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(rule, "options"), "bits")),
                     3);
    json_decref(settings);
    experiment_release(&e);
}

/* ---- through the pipeline ---- */

static struct run run;

static void open_run(const char *entries)
{
    struct run_options options = {.spec = path};
    write_spec(entries);
    if (run_open(&run, &options) != 0)
        fail_msg("%s", err_text());
}

static void compute(int point, struct pipeline_output *output)
{
    const struct run_calibration *calibration;
    const struct pipeline_input input = {.model = &run.model,
                                         .point = &run.experiment.points[point],
                                         .evaluation = &run.evaluation.stream};
    struct pipeline_input with = input;
    assert_int_equal(run_calibration_of(&run, input.point, &calibration), 0);
    with.calibration = calibration ? &calibration->stream : NULL;
    if (pipeline_run(&with, output) != 0)
        fail_msg("%s", err_text());
}

static void same_scores(const struct pipeline_output *a, const struct pipeline_output *b)
{
    assert_int_equal(a->layer_count, b->layer_count);
    assert_memory_equal(a->scores, b->scores,
                        sizeof *a->scores * (size_t)run.evaluation.stream.rows);
    assert_true(a->stored_bits == b->stored_bits && a->paper_bits == b->paper_bits);
    for (int i = 0; i < a->layer_count; i++)
        assert_true(a->layers[i].hessian_loss == b->layers[i].hessian_loss);
}

/* A rule that gives every layer what another point's method gives changes nothing but the record.
 */
static void rules_that_say_the_same_give_the_same(void **state)
{
    struct pipeline_output plain = {0}, ruled = {0}, mixed = {0}, other = {0};
    open_run("  - {method: gptq, bits: 4, group_size: 64}\n"
             "  - {method: gptq, bits: 2, layers: [{match: '*', bits: 4, group_size: 64}]}\n"
             "  - {method: billm, layers: [{match: proj, method: gptq, group_size: 64}]}\n"
             "  - {method: gptq, bits: 2, layers: [{blocks: 1, bits: 4}, {blocks: "
             "2, skip: true}]}\n");
    compute(0, &plain);
    compute(1, &ruled);
    compute(2, &other);
    compute(3, &mixed);
    same_scores(&plain, &ruled);
    same_scores(&plain, &other);
    assert_null(plain.layers[0].options);
    assert_non_null(strstr(ruled.layers[0].options, "\"bits\":4"));
    assert_string_equal(other.layers[0].method, "gptq");
    assert_int_equal(mixed.layer_count, plain.layer_count / 4 * 3); /* of four blocks one is left */
    assert_true(mixed.stored_bits > 2 && mixed.stored_bits < plain.stored_bits);
    assert_null(mixed.layers[0].options);
    assert_non_null(mixed.layers[7].options);
    for (int i = 0; i < mixed.layer_count; i++)
        assert_true(mixed.layers[i].block != 2);
    /* Of the three blocks that are quantized one has 4 bits, the others two less. */
    assert_true(fabs(mixed.paper_bits - (2.0 + 4 + 2) / 3) < 1e-9);
    pipeline_output_release(&plain);
    pipeline_output_release(&ruled);
    pipeline_output_release(&other);
    pipeline_output_release(&mixed);
    run_close(&run);
}

/* One layer without a weight that is 0. */
static int apply(const char *method, double share, const float *weight, struct hessian *hessian,
                 float *out)
{
    enum { ROWS = 16, COLUMNS = 64 };
    struct arena arena = {0};
    struct layer_result result = {.quantized = out};
    struct packed packed = {.count = 0};
    struct layer_choice choice = {.method = method_find(method), .rule = -1};
    void *options = NULL, *pruning = NULL;
    float back[ROWS * COLUMNS];
    struct layer_problem step, problem = {.name = "layer",
                                          .weight = weight,
                                          .rows = ROWS,
                                          .columns = COLUMNS,
                                          .hessian = hessian,
                                          .arena = &arena};
    int rc;
    TRY(mem_calloc(&options, 1, choice.method->options_size));
    TRY(options_defaults(choice.method->options, options));
    choice.options = options;
    if (share >= 0) {
        char text[32];
        snprintf(text, sizeof text, "%g", share);
        choice.after = method_find("prune");
        TRY(mem_calloc(&pruning, 1, choice.after->options_size));
        TRY(options_defaults(choice.after->options, pruning));
        TRY(options_set(choice.after->options, pruning, "share", text, "test"));
        TRY(options_set(choice.after->options, pruning, "value_bits", "32", "test"));
        choice.after_options = pruning;
    }
    TRY(layer_apply(&choice, &problem, &step, &result));
    TRY(layer_apply_pack(&choice, &step, &result, &packed));
    TRY(layer_apply_unpack(choice.method, options, share >= 0, &packed, ROWS, COLUMNS, back));
    assert_memory_equal(back, out, sizeof back);
out:
    layer_result_release(&result);
    packed_release(&packed);
    arena_release(&arena);
    mem_free(options);
    mem_free(pruning);
    return rc;
}

/* With nothing pruned the sequence is the method alone; else each row has as many zeros as were
 * pruned, and the packed form gives them back. */
static void what_was_pruned_stays_0(void **state)
{
    static const char *const followers[] = {"rtn", "gptq", "pb-llm", "billm", "onebit", "bitnet"};
    enum { ROWS = 16, COLUMNS = 64 };
    static float weight[ROWS * COLUMNS], x[2 * COLUMNS * COLUMNS], alone[ROWS * COLUMNS],
        none[ROWS * COLUMNS], half[ROWS * COLUMNS];
    for (int i = 0; i < ROWS * COLUMNS; i++) /* sizes all differ, none is 0 */
        weight[i] = (i % 2 ? 1.0f : -1.0f) * (1.0f + (float)(i * 389 % 1024)) / 1024;
    for (int i = 0; i < 2 * COLUMNS * COLUMNS; i++)
        x[i] = (float)((long)i * i * 31 % 101 - 50) / 50;
    for (size_t m = 0; m < sizeof followers / sizeof *followers; m++) {
        struct hessian hessian;
        assert_int_equal(hessian_init(&hessian, COLUMNS), 0);
        assert_int_equal(hessian_add(&hessian, x, 2 * COLUMNS, 1), 0);
        hessian_finish(&hessian);
        if (apply(followers[m], -1, weight, &hessian, alone) != 0 ||
            apply(followers[m], 0, weight, &hessian, none) != 0 ||
            apply(followers[m], 0.5, weight, &hessian, half) != 0)
            fail_msg("%s: %s", followers[m], err_text());
        assert_memory_equal(alone, none, sizeof alone);
        for (int r = 0; r < ROWS; r++) {
            int zeros = 0;
            for (int i = 0; i < COLUMNS; i++)
                zeros += half[r * COLUMNS + i] == 0;
            assert_true(zeros >= COLUMNS / 2);
            if (strcmp(followers[m], "billm") == 0) /* which has no 0 of its own */
                assert_int_equal(zeros, COLUMNS / 2);
        }
        hessian_release(&hessian);
    }
}

static void rules_are_checked_against_the_model(void **state)
{
    struct run_options options = {.spec = path};
    write_spec("  - {method: rtn, layers: [{match: fc1, bits: 2}]}\n");
    assert_int_equal(run_open(&run, &options), ERR_USAGE);
    assert_non_null(strstr(err_text(), "(match 'fc1', blocks '') matches no layer"));
    run_close(&run);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/t.yaml", folder);
    progress_set_mode(PROGRESS_QUIET);
    matmul_init();
    if (pool_start(2) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_rule_that_matches_decides),
        cmocka_unit_test(rules_take_over_what_they_do_not_say),
        cmocka_unit_test(a_rule_may_need_calibration),
        cmocka_unit_test(useless_rules_are_named),
        cmocka_unit_test(mistakes_have_a_line),
        cmocka_unit_test(only_points_with_a_plan_say_so),
        cmocka_unit_test(rules_that_say_the_same_give_the_same),
        cmocka_unit_test(what_was_pruned_stays_0),
        cmocka_unit_test(rules_are_checked_against_the_model),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    unlink(path);
    rmdir(folder);
    return failed;
}
