/* Specs: grids, defaults, overrides, and one clear line with file and line for every mistake. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/spec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/bitbench-spec-XXXXXX";
static char path[64];

static void write_spec(const char *text)
{
    struct file_writer writer;
    assert_int_equal(file_write_begin(&writer, path), 0);
    assert_int_equal(file_write(&writer, text, strlen(text)), 0);
    assert_int_equal(file_write_commit(&writer), 0);
}

static void load_with(struct experiment *experiment, const char *text, const char *const *overrides,
                      int count)
{
    write_spec(text);
    if (spec_load(experiment, path, overrides, count) != 0)
        fail_msg("<%s>: %s", text, err_text());
}

static void load(struct experiment *experiment, const char *text)
{
    load_with(experiment, text, NULL, 0);
}

/* The error has to be "FOLDER/t.yaml" and then the text. */
static void refuses_with(const char *text, const char *override, const char *line)
{
    struct experiment experiment = {0};
    char expected[1200];
    write_spec(text);
    int rc = spec_load(&experiment, path, &override, override ? 1 : 0);
    if (line[0] == ':')
        snprintf(expected, sizeof expected, "%s%s", path, line);
    else
        snprintf(expected, sizeof expected, "%s", line);
    if (rc == 0 || strcmp(err_text(), expected) != 0)
        fail_msg("for <%s>\nexpected <%s>\ngot %d   <%s>", text, expected, rc, err_text());
    assert_null(experiment.points);
}

static void refuses(const char *text, const char *line)
{
    refuses_with(text, NULL, line);
}

static void labels(const struct experiment *experiment, const char *const *expected)
{
    int i = 0;
    for (; expected[i]; i++) {
        assert_true(i < experiment->point_count);
        assert_string_equal(experiment->points[i].label, expected[i]);
    }
    assert_int_equal(experiment->point_count, i);
}

static void a_whole_spec(void **state)
{
    struct experiment e = {0};
    load(&e, "name: quick.1-a\n"
             "title: \"What: a title\"\n"
             "model: models/x\n"
             "calibration: {corpus: kjv+file:a.txt, samples: 48, seed: 7, split: validation}\n"
             "evaluation:\n"
             "  perplexity:\n"
             "    - {corpus: kjv, tokens: 16000, window: 128}\n"
             "    - corpus: file:b c.txt\n"
             "      split: train\n"
             "  tasks:\n"
             "    - {task: kjv_half, items: 200}\n"
             "    - {task: kjv_half, items: 200, scoring: sum, seed: 3}\n"
             "methods:\n"
             "  - method: full\n"
             "  - {method: gptq, bits: 3, quant_only: mlp}\n");
    assert_string_equal(e.name, "quick.1-a");
    assert_string_equal(e.title, "What: a title");
    assert_string_equal(e.model, "models/x");
    assert_string_equal(e.path, path);
    assert_int_equal(strncmp(e.text, "name: quick.1-a\n", 16), 0);
    assert_int_equal(e.perplexity_count, 2);
    assert_string_equal(e.perplexities[0].corpus, "kjv");
    assert_int_equal(e.perplexities[0].tokens, 16000);
    assert_int_equal(e.perplexities[0].window, 128);
    assert_int_equal(e.perplexities[0].split, SPLIT_TEST);
    assert_string_equal(e.perplexities[1].corpus, "file:b c.txt");
    assert_int_equal(e.perplexities[1].window, 256);
    assert_int_equal(e.perplexities[1].tokens, 0);
    assert_int_equal(e.perplexities[1].split, SPLIT_TRAIN);
    assert_int_equal(e.choice_count, 2);
    assert_string_equal(e.choices[0].task, "kjv_half");
    assert_int_equal(e.choices[0].items, 200);
    assert_int_equal(e.choices[0].scorings, 0);
    assert_int_equal(e.choices[1].scorings, 1u << SCORE_SUM);
    assert_int_equal(e.choices[1].seed, 3);
    labels(&e, (const char *[]){"full", "gptq bits=3 quant_only=mlp", NULL});
    assert_null(e.points[0].method);
    const struct point *gptq = &e.points[1];
    assert_string_equal(gptq->method->name, "gptq");
    assert_string_equal(gptq->calibration.corpus, "kjv+file:a.txt");
    assert_int_equal(gptq->calibration.samples, 48);
    assert_int_equal(gptq->calibration.length, 256);
    assert_int_equal(gptq->calibration.seed, 7);
    assert_int_equal(gptq->calibration.split, SPLIT_VALIDATION);
    assert_int_equal(gptq->harness.min_layer, -1);
    assert_string_equal(gptq->harness.quant_only, "mlp");
    char where[80];
    snprintf(where, sizeof where, "%s:15", path);
    assert_string_equal(gptq->where, where);
    experiment_release(&e);
    experiment_release(&e);
}

static void defaults_of_the_heading(void **state)
{
    struct experiment e = {0};
    load(&e, "methods: [{method: full}]\n");
    assert_string_equal(e.name, "t");
    assert_string_equal(e.title, "t");
    assert_string_equal(e.model, "embedded");
    assert_int_equal(e.perplexity_count + e.choice_count, 0);
    experiment_release(&e);
}

/* In the order written, the last key fastest. */
static void grids(void **state)
{
    struct experiment e = {0};
    load(&e, "methods:\n"
             "  - {method: rtn, group_size: [-1, 64], bits: [4, 2]}\n"
             "  - {method: [rtn, gptq], bits: 3, sym: [false, true]}\n"
             "  - {method: rtn, bits: 8, min_layer: [0, 1]}\n");
    labels(&e,
           (const char *[]){"rtn bits=4", "rtn bits=2", "rtn bits=4 group_size=64",
                            "rtn bits=2 group_size=64", "rtn bits=3 sym=false",
                            "rtn bits=3 sym=true", "gptq bits=3 sym=false", "gptq bits=3 sym=true",
                            "rtn bits=8 min_layer=0", "rtn bits=8 min_layer=1", NULL});
    experiment_release(&e);
}

/* A list in calibration repeats the methods that use it, and no others. */
static void calibration_grids(void **state)
{
    struct experiment e = {0};
    load(&e, "calibration: {samples: [8, 16], seed: [0, 1]}\n"
             "methods:\n  - {method: rtn, bits: 3}\n  - {method: gptq, bits: 3}\n");
    labels(&e,
           (const char *[]){"rtn bits=3", "gptq bits=3 calibration.samples=8 calibration.seed=0",
                            "gptq bits=3 calibration.samples=8 calibration.seed=1",
                            "gptq bits=3 calibration.samples=16 calibration.seed=0",
                            "gptq bits=3 calibration.samples=16 calibration.seed=1", NULL});
    assert_int_equal(e.points[3].calibration.samples, 16);
    assert_int_equal(e.points[4].calibration.seed, 1);
    experiment_release(&e);
}

static void anchors(void **state)
{
    struct experiment e = {0};
    load(&e, "methods:\n  - {method: rtn, bits: &b [3, 2]}\n  - {method: gptq, bits: *b}\n");
    assert_int_equal(e.point_count, 4);
    experiment_release(&e);
}

static void settings(void **state)
{
    struct experiment e = {0};
    json_t *object;
    load(&e, "methods:\n  - {method: full}\n  - {method: rtn, bits: 2, layer_errors: false}\n"
             "  - {method: gptq, percdamp: 1}\n");
    assert_int_equal(point_settings(&e.points[0], &object), 0);
    char *text = json_dumps(object, JSON_COMPACT);
    assert_string_equal(text, "{\"method\":\"full\"}");
    free(text);
    json_decref(object);
    assert_int_equal(point_settings(&e.points[1], &object), 0);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(object, "options"), "bits")), 2);
    assert_non_null(json_object_get(json_object_get(object, "harness"), "quant_only"));
    assert_null(json_object_get(object, "calibration"));
    json_decref(object);
    assert_int_equal(point_settings(&e.points[2], &object), 0);
    const json_t *calibration = json_object_get(object, "calibration");
    assert_string_equal(json_string_value(json_object_get(calibration, "split")), "train");
    assert_true(json_is_real(json_object_get(json_object_get(object, "options"), "percdamp")));
    json_decref(object);
    experiment_release(&e);
}

static void overrides(void **state)
{
    struct experiment e = {0};
    const char *text = "model: a\ncalibration: {samples: 8}\nevaluation: {perplexity: [{corpus: "
                       "kjv}, {corpus: wordnet}]}\n"
                       "methods:\n  - {method: full}\n  - {method: rtn, bits: [4, 3]}\n  - "
                       "{method: gptq, bits: 4}\n";
    const char *sets[] = {"model=b/c",
                          "calibration.samples=16",
                          "calibration.length=64",
                          "evaluation.perplexity.tokens=500",
                          "methods.act_order=true",
                          "methods.bits=[2, 1]"};
    load_with(&e, text, sets, 6);
    assert_string_equal(e.model, "b/c");
    assert_int_equal(e.perplexities[1].tokens, 500);
    labels(&e, (const char *[]){"full", "rtn bits=2", "rtn bits=1", "gptq bits=2 act_order=true",
                                "gptq bits=1 act_order=true", NULL});
    assert_int_equal(e.points[3].calibration.samples, 16);
    assert_int_equal(e.points[3].calibration.length, 64);
    assert_non_null(strstr(e.text, "gptq, bits: 4}\n# --set model=b/c\n"));
    experiment_release(&e);
    /* points that an override makes equal count once */
    const char *one[] = {"methods.bits=2"};
    load_with(&e, "methods:\n  - {method: rtn, bits: 4}\n  - {method: rtn, bits: 3}\n", one, 1);
    assert_int_equal(e.point_count, 1);
    experiment_release(&e);
    const char *own[] = {"evaluation.perplexity.corpus=file:a.txt",
                         "evaluation.tasks.task=kjv_half"};
    load_with(&e,
              "evaluation: {perplexity: [{corpus: kjv}, {corpus: wordnet, window: 99}, {corpus: "
              "perldoc}],\n  tasks: [{task: kjv_next}, {task: kjv_half}]}\n"
              "methods: [{method: full}]\n",
              own, 2);
    assert_int_equal(e.perplexity_count, 2);
    assert_string_equal(e.perplexities[1].corpus, "file:a.txt");
    assert_int_equal(e.perplexities[1].window, 99);
    assert_int_equal(e.choice_count, 1);
    experiment_release(&e);
    const char *second[] = {"methods.1.bits=7"};
    load_with(&e, "methods:\n  - {method: rtn, bits: 4}\n  - {method: rtn, bits: 3}\n", second, 1);
    labels(&e, (const char *[]){"rtn bits=4", "rtn bits=7", NULL});
    experiment_release(&e);
    /* What is measured beside says nothing of the point. */
    load_with(&e, "methods:\n  - {method: rtn, bits: 4, layer_errors: false, drift: false}\n", NULL,
              0);
    labels(&e, (const char *[]){"rtn bits=4", NULL});
    assert_false(e.points[0].harness.layer_errors);
    experiment_release(&e);
}

static void bad_overrides(void **state)
{
    const char *text = "model: a\nmethods:\n  - {method: rtn, bits: 4}\n";
    refuses_with(text, "model",
                 "--set model: KEY=VALUE is expected, such as calibration.samples=64");
    refuses_with(text, "modle=x", "--set modle=x: unknown key 'modle'; did you mean 'model'?");
    refuses_with(
        text, "methods.bits=9",
        "--set methods.bits=9: bits: '9' is out of range: allowed is a whole number from 1 to 8");
    refuses_with(text, "methods.bist=3",
                 "--set methods.bist=3: no method of the spec has the option 'bist'");
    refuses_with(text, "calibration.sample=3",
                 "--set calibration.sample=3: unknown key 'sample'; did you mean 'samples'?");
    refuses_with(text, "model.x=3",
                 "--set model.x=3: 'x' is asked of a plain value, which has no parts");
}

static void unknown_words(void **state)
{
    refuses("modle: x\nmethods: [{method: full}]\n",
            ":1: unknown key 'modle'; did you mean 'model'?");
    refuses("x1: 3\nmethods: [{method: full}]\n",
            ":1: unknown key 'x1'; valid are name, title, model, calibration, evaluation, methods, "
            "include, sets, memory, data, tokenizer, exclude");
    refuses("calibration:\n  sample: 3\nmethods: [{method: full}]\n",
            ":2: unknown key 'sample'; did you mean 'samples'?");
    refuses("evaluation:\n  perplexities: []\nmethods: [{method: full}]\n",
            ":2: unknown key 'perplexities'; did you mean 'perplexity'?");
    refuses("evaluation:\n  perplexity:\n    - corpus: kjv\n      tokns: 3\nmethods: [{method: "
            "full}]\n",
            ":4: unknown key 'tokns'; did you mean 'tokens'?");
    refuses("methods:\n  - {method: full}\n  - method: rtn\n    bit: 3\n",
            ":4: unknown key 'bit'; did you mean 'bits'? (method rtn)");
    refuses("methods:\n  - {method: rtm}\n",
            ":2: there is no method 'rtm'; did you mean 'rtn'? (`bitbench methods` lists them)");
    refuses(
        "calibration: {corpus: kjv+kvj}\nmethods: [{method: full}]\n",
        ":1: corpus: there is no corpus 'kvj'; did you mean 'kjv'? 'bitbench datasets' lists them");
    refuses("evaluation:\n  tasks: [{task: kjv_helf}]\nmethods: [{method: full}]\n",
            ":2: task: there is no task 'kjv_helf'; did you mean 'kjv_half'? 'bitbench datasets' "
            "lists them");
    refuses("evaluation:\n  perplexity: [{corpus: kjv+wordnet}]\nmethods: [{method: full}]\n",
            ":2: corpus: 'kjv+wordnet': perplexity is measured on one corpus at a time: give an "
            "entry for each");
}

static void bad_values(void **state)
{
    refuses("methods:\n  - method: rtn\n    bits: [4, 12]\n",
            ":3: bits: '12' is out of range: allowed is a whole number from 1 to 8");
    refuses("methods:\n  - method: rtn\n    bits: [4,\n      x]\n",
            ":4: bits: 'x' is not a whole number: allowed is a whole number from 1 to 8");
    refuses("methods:\n  - method: rtn\n    bits:\n", ":3: bits: a value is missing");
    refuses("methods:\n  - method: rtn\n    bits: []\n", ":3: bits: an empty list gives no points");
    refuses("methods:\n  - method: rtn\n    bits: [[4]]\n",
            ":3: bits: a list stands where a single value belongs");
    refuses("methods:\n  - method: rtn\n    bits: {low: 3}\n",
            ":3: bits: a mapping stands where a single value belongs");
    refuses("methods:\n  - {method: full, bits: 3}\n",
            ":2: 'bits': method full leaves the model as it is and takes no options");
    refuses("methods:\n  - {bits: 3}\n", ":2: the entry has no key 'method'");
    refuses("methods:\n  - rtn\n",
            ":2: methods: a mapping is expected, such as - {method: rtn, bits: 4}");
    refuses("methods: rtn\n",
            ":1: methods: a list is expected, such as - {method: rtn, bits: [4, 3, 2]}");
    refuses("model: a\n",
            ":1: methods: a list is expected, such as - {method: rtn, bits: [4, 3, 2]}");
    refuses("", ":1: methods: a list is expected, such as - {method: rtn, bits: [4, 3, 2]}");
    refuses("- 1\n",
            ":1: a mapping with the keys name, model, evaluation, methods is expected, not a list");
    refuses("name: a/b\nmethods: [{method: full}]\n",
            ":1: name: 'a/b': only letters, digits, and, not in front, - _ . are allowed");
    refuses("model:\nmethods: [{method: full}]\n", ":1: model: a text is expected");
    refuses("evaluation:\n  perplexity:\n    - {corpus: kjv, tokens: [1, 2]}\nmethods: [{method: "
            "full}]\n",
            ":3: tokens: a list stands where a single value belongs; lists make a grid in "
            "'methods' and "
            "'calibration' only");
    refuses("evaluation:\n  perplexity:\n    - {window: 8}\nmethods: [{method: full}]\n",
            ":3: corpus: a name is missing");
    refuses("evaluation:\n  perplexity: [kjv]\nmethods: [{method: full}]\n",
            ":2: perplexity: a list of mappings is expected, such as - {corpus: kjv}");
    refuses("evaluation:\n  perplexity:\n    - {corpus: kjv}\n    - {corpus: kjv}\nmethods: "
            "[{method: full}]\n",
            ":4: the same perplexity is asked for twice");
    refuses("methods:\n  - {method: rtn, scheme: sign-maen, bits: 1}\n",
            ":2: scheme: 'sign-maen' is no choice; did you mean 'sign_mean'? (allowed: minmax, "
            "sign_mean)");
}

static void options_that_disagree(void **state)
{
    struct experiment e = {0};
    char start[100];
    write_spec("methods:\n  - {method: full}\n  - {method: rtn, bits: 2, scheme: sign_mean}\n");
    assert_int_equal(spec_load(&e, path, NULL, 0), ERR_USAGE);
    snprintf(start, sizeof start, "%s:3: rtn: scheme sign_mean", path);
    assert_int_equal(strncmp(err_text(), start, strlen(start)), 0);
}

static void duplicates(void **state)
{
    char line[200];
    refuses("methods:\n  - {method: rtn, bits: [4, 3, 4]}\n",
            ":2: the point 'rtn bits=4' is in the grid twice");
    snprintf(line, sizeof line, ":4: the point 'rtn bits=4' is there already: %s:2", path);
    refuses("methods:\n  - {method: rtn}\n  - {method: gptq}\n  - {method: rtn, bits: [3, 4]}\n",
            line);
    snprintf(line, sizeof line, ":3: the point 'full' is there already: %s:2", path);
    refuses("methods:\n  - {method: full}\n  - {method: full}\n", line);
    refuses("methods:\n  - method: rtn\n    bits: 4\n    bits: 3\n",
            ":4: the key 'bits' stands here for the second time; first on line 3");
}

static void too_many_points(void **state)
{
    struct strbuf text = {0};
    struct experiment e = {0};
    assert_int_equal(strbuf_puts(&text, "methods:\n  - method: rtn\n    seed: ["), 0);
    for (int i = 0; i < 1250; i++)
        assert_int_equal(strbuf_printf(&text, "%d, ", i), 0);
    size_t length = text.length;
    assert_int_equal(strbuf_puts(&text, "]\n    bits: [1, 2, 3, 4, 5, 6, 7, 8]\n"), 0);
    load(&e, text.data); /* exactly 10,000 */
    assert_int_equal(e.point_count, SPEC_MAX_POINTS);
    experiment_release(&e);
    text.length = length;
    assert_int_equal(strbuf_puts(&text, "9999]\n    bits: [1, 2, 3, 4, 5, 6, 7, 8]\n"), 0);
    refuses(text.data,
            ":2: with this entry the grid has more than 10000 points; split the experiment");
    /* a product that passes every integer */
    text.length = 0;
    assert_int_equal(strbuf_puts(&text, "methods:\n  - method: rtn\n"), 0);
    static const char *const keys[] = {"seed", "min_layer", "max_layer", "group_size"};
    for (int k = 0; k < 4; k++) {
        assert_int_equal(strbuf_printf(&text, "    %s: [", keys[k]), 0);
        for (int i = 1; i < 60000; i++)
            assert_int_equal(strbuf_printf(&text, "%d, ", i), 0);
        assert_int_equal(strbuf_puts(&text, "60000]\n"), 0);
    }
    refuses(text.data,
            ":2: with this entry the grid has more than 10000 points; split the experiment");
    strbuf_release(&text);
}

static void broken_files(void **state)
{
    struct experiment e = {0};
    refuses("methods: [{method: rtn",
            ":1: did not find expected ',' or '}' (while parsing a flow mapping)");
    assert_int_equal(spec_load(&e, "/no/such.yaml", NULL, 0), ERR_MISSING);
    assert_string_equal(err_text(), "/no/such.yaml: No such file or directory");
    assert_int_equal(spec_load(&e, folder, NULL, 0), ERR_IO);
}

/* The specs that come with the program are good. */
static void own_specs(void **state)
{
    static const char *const specs[] = {"experiments/quickstart.yaml", "experiments/embedded.yaml"};
    for (int i = 0; i < 2; i++) {
        struct experiment e = {0};
        if (spec_load(&e, specs[i], NULL, 0) != 0)
            fail_msg("%s", err_text());
        assert_true(e.point_count > 5 && e.perplexity_count >= 3 && e.choice_count >= 1);
        experiment_release(&e);
    }
}

/* Every allocation fails once. jansson's own are not among them. */
static void memory(void **state)
{
    write_spec("calibration: {corpus: kjv, seed: [0, 1]}\n"
               "evaluation: {perplexity: [{corpus: kjv}], tasks: [{task: kjv_half}]}\n"
               "methods:\n  - {method: full}\n  - {method: [rtn, gptq], bits: [4, 3]}\n");
    const char *sets[] = {"methods.bits=[2, 1]"};
    for (long k = 1;; k++) {
        struct experiment e = {0};
        mem_fail_at(k);
        int rc = spec_load(&e, path, sets, 1), pending = mem_fail_pending();
        mem_fail_at(0);
        experiment_release(&e);
        if (pending) {
            assert_int_equal(rc, 0);
            break;
        }
        if (rc != ERR_MEMORY)
            fail_msg("allocation %ld: %d, %s", k, rc, err_text());
    }
}

static int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/t.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    unlink(path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_spec),
        cmocka_unit_test(defaults_of_the_heading),
        cmocka_unit_test(grids),
        cmocka_unit_test(calibration_grids),
        cmocka_unit_test(anchors),
        cmocka_unit_test(settings),
        cmocka_unit_test(overrides),
        cmocka_unit_test(bad_overrides),
        cmocka_unit_test(unknown_words),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(options_that_disagree),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(too_many_points),
        cmocka_unit_test(broken_files),
        cmocka_unit_test(own_specs),
        cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
