/* The forms of a grid: ranges, zip, exclude, seeds; what the command line makes of them. */
#include "core/err.h"
#include "core/file.h"
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

static char folder[] = "/tmp/bitbench-grid-XXXXXX";
static char path[64];

static int load(struct experiment *e, const char *text, const char *override)
{
    struct file_writer writer;
    assert_int_equal(file_write_begin(&writer, path), 0);
    assert_int_equal(file_write(&writer, text, strlen(text)), 0);
    assert_int_equal(file_write_commit(&writer), 0);
    return spec_load(e, path, &override, override ? 1 : 0);
}

struct grid {
    const char *text, *override, *labels; /* joined by "; " */
};

static void expect(const struct grid *grid)
{
    struct experiment e = {0};
    char labels[2000] = "";
    size_t used = 0;
    if (load(&e, grid->text, grid->override) != 0)
        fail_msg("<%s>: %s", grid->text, err_text());
    for (int i = 0; i < e.point_count; i++)
        used += (size_t)snprintf(labels + used, sizeof labels - used, "%s%s", i ? "; " : "",
                                 e.points[i].label);
    if (strcmp(labels, grid->labels) != 0)
        fail_msg("<%s>\nexpected <%s>\ngot      <%s>", grid->text, grid->labels, labels);
    experiment_release(&e);
}

#define PB "methods: [{method: pb-llm, "

static void grids(void **state)
{
    static const struct grid cases[] = {
        /* As one writes the numbers: 0.3, not 0.30000000000000004. */
        {PB "low_frac: {from: 0.1, to: 0.5, step: 0.1}}]", NULL,
         "pb-llm low_frac=0.1; pb-llm low_frac=0.2; pb-llm low_frac=0.3; pb-llm low_frac=0.4; "
         "pb-llm low_frac=0.5"},
        {PB "low_frac: {from: 0.2, to: 0, step: -0.1}}]", NULL,
         "pb-llm low_frac=0.2; pb-llm low_frac=0.1; pb-llm low_frac=0"},
        {PB "group_size: {from: 8, to: 40, times: 2}}]", NULL,
         "pb-llm group_size=8; pb-llm group_size=16; pb-llm group_size=32"},
        {"methods: [{method: rtn, bits: [1, {from: 3, to: 7, step: 2}, 8]}]", NULL,
         "rtn bits=1; rtn bits=3; rtn bits=5; rtn bits=7; rtn bits=8"},
        /* Lists that run together, times one that does not. */
        {PB "zip: {low_frac: [0.5, 0.7], group_size: [64, 128]}, high_bits: [4, 8]}]", NULL,
         "pb-llm low_frac=0.5 high_bits=4 group_size=64; pb-llm low_frac=0.5 high_bits=8 "
         "group_size=64; pb-llm low_frac=0.7 high_bits=4 group_size=128; pb-llm low_frac=0.7 "
         "high_bits=8 group_size=128"},
        {PB "zip: {low_frac: [0.5, 0.7], group_size: [64, 128]}}]", "methods.group_size=32",
         "pb-llm low_frac=0.5 group_size=32; pb-llm low_frac=0.7 group_size=32"},
        {"calibration: {zip: {samples: [8, 16], length: [64, 32]}}\n"
         "methods: [{method: gptq}, {method: rtn}]",
         NULL,
         "gptq calibration.samples=8 calibration.length=64; gptq calibration.samples=16 "
         "calibration.length=32; rtn"},
        {"calibration: {seeds: 2}\nmethods: [{method: gptq}]", NULL,
         "gptq calibration.seed=0; gptq calibration.seed=1"},
        {"calibration: {seeds: [3, 7]}\nmethods: [{method: gptq}]", NULL,
         "gptq calibration.seed=3; gptq calibration.seed=7"},
        {"calibration: {seeds: 5}\nmethods: [{method: gptq}]", "calibration.seed=4", "gptq"},
        {"calibration: {seed: 5}\nmethods: [{method: gptq}]", "calibration.seeds=2",
         "gptq calibration.seed=0; gptq calibration.seed=1"},
        {"methods: [{method: rtn, bits: [2, 4], group_size: [-1, 64], exclude: {bits: 2, "
         "group_size: -1}}]",
         NULL, "rtn bits=2 group_size=64; rtn bits=4; rtn bits=4 group_size=64"},
        {"exclude: [{method: rtn, bits: [2, 3]}, {salient_frac: 0.1}]\n"
         "methods: [{method: [rtn, gptq], bits: [2, 3, 4]}, {method: pb-llm, low_frac: [0.9, "
         "0.5]}]",
         NULL, "rtn bits=4; gptq bits=2; gptq bits=3; gptq bits=4; pb-llm low_frac=0.5"},
        /* The calibration's keys are not those of a method that needs none. */
        {"calibration: {corpus: [kjv, wordnet]}\nexclude: {corpus: kjv}\n"
         "methods: [{method: rtn}, {method: gptq}]",
         NULL, "rtn; gptq calibration.corpus=wordnet"},
        {"exclude: {bits: 2}\nmethods: [{method: rtn, bits: [2, 4]}]", "methods.bits=3",
         "rtn bits=3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(&cases[i]);
}

static void mistakes(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {PB "low_frac: {from: 0.1, to: 0.5}}]",
         "t.yaml:1: low_frac: a range has from, to, and one"},
        {PB "low_frac: {from: 0.1, to: 0.5, step: 0.1, times: 2}}]", "one of step and times"},
        {PB "low_frac: {from: 0.1, to: 0.5, stepp: 0.1, step: 1}}]", "did you mean 'step'?"},
        {PB "low_frac: {from: 0.1, to: 0.5, step: -0.1}}]", "which step -0.1 never reaches"},
        {PB "low_frac: {from: 0.1, to: 0.5, step: 0}}]", "never reaches"},
        {PB "low_frac: {from: a, to: 0.5, step: 1}}]", "from: 'a' is no number"},
        {PB "group_size: {from: 0, to: 8, times: 2}}]", "have to be positive"},
        {PB "group_size: {from: 1, to: 100000, step: 1}}]", "more than 10000 values"},
        {PB "low_frac: {from: 0.5, to: 1.5, step: 0.5}}]", "low_frac: '1.5'"},
        {PB "zip: {low_frac: [0.5, 0.7], group_size: [64]}}]",
         "t.yaml:1: zip: low_frac has 2 values, group_size has 1"},
        {PB "zip: [64]}]", "zip: a mapping of lists"},
        {PB "zip: {bist: [1]}}]", "unknown key 'bist'"},
        {PB "low_frac: 0.5, zip: {salient_frac: [0.5]}}]", "set the same thing"},
        {"calibration: {seed: 1, seeds: 3}\nmethods: [{method: rtn}]",
         "t.yaml:1: 'seed' and 'seeds' set the same thing"},
        {"calibration: {seeds: 0}\nmethods: [{method: rtn}]", "seeds: '0'"},
        {"exclude: {bits: 5}\n\nmethods: [{method: rtn, bits: [2, 4]}]",
         "t.yaml:1: exclude: the pattern matches no point of the grid"},
        {"methods: [{method: rtn, bits: [2, 4],\n exclude: {bist: 2}}]",
         "t.yaml:2: unknown key 'bist'; did you mean 'bits'?"},
        {"methods: [{method: rtn, bits: 2, exclude: {bits: 2}}]", "nothing is left of the grid"},
        {"methods: [{method: rtn, bits: 2, exclude: {bits: 99}}]", "bits: '99'"},
        {"methods: [{method: rtn, bits: 2, exclude: 3}]", "a pattern or a list of patterns"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct experiment e = {0};
        assert_int_equal(load(&e, cases[i].text, NULL), ERR_USAGE);
        if (!strstr(err_text(), cases[i].words))
            fail_msg("for <%s>\nexpected <%s>\ngot <%s>", cases[i].text, cases[i].words,
                     err_text());
    }
}

/* The four that `make reproduce` runs, as they are. */
static void sweeps(void **state)
{
    static const struct {
        const char *name;
        int points;
    } files[] = {{"salient-fraction", 61}, {"block-size", 24}, {"calibration", 136}, {"bits", 50}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct experiment e = {0};
        char name[100];
        snprintf(name, sizeof name, "experiments/sweep-%s.yaml", files[i].name);
        if (spec_load(&e, name, NULL, 0) != 0)
            fail_msg("%s", err_text());
        assert_int_equal(e.point_count, files[i].points);
        assert_null(e.points[0].method); /* full precision, to compare with */
        experiment_release(&e);
    }
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof path, "%s/t.yaml", folder);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grids),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(sweeps),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failed;
}
