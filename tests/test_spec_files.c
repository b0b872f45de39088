/* Specs of several files: include, sets, lists of models. */
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

static char folder[] = "/tmp/bitbench-files-XXXXXX";
static char main_path[64];

static void put(const char *name, const char *text)
{
    struct file_writer writer;
    char path[96];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_write_begin(&writer, path), 0);
    assert_int_equal(file_write(&writer, text, strlen(text)), 0);
    assert_int_equal(file_write_commit(&writer), 0);
}

static void load(struct experiment *experiment, const char *text, const char *override)
{
    put("t.yaml", text);
    if (spec_load(experiment, main_path, &override, override ? 1 : 0) != 0)
        fail_msg("<%s>: %s", text, err_text());
}

/* The error has to be "FOLDER/" and then the text. */
static void refuses(const char *text, const char *line)
{
    struct experiment experiment = {0};
    char expected[1200];
    put("t.yaml", text);
    int rc = spec_load(&experiment, main_path, NULL, 0);
    snprintf(expected, sizeof expected, "%s/%s", folder, line);
    if (rc == 0 || strcmp(err_text(), expected) != 0)
        fail_msg("for <%s>\nexpected <%s>\ngot %d   <%s>", text, expected, rc, err_text());
    assert_null(experiment.points);
}

static const char common[] = "title: from common\n"
                             "calibration: {corpus: kjv, samples: 7, length: 64}\n"
                             "evaluation:\n"
                             "  perplexity:\n"
                             "    - {corpus: kjv, window: 64}\n"
                             "methods:\n"
                             "  - {method: rtn, bits: 8}\n"
                             "sets:\n"
                             "  low: [{method: full}, {method: rtn, bits: [3, 2]}]\n"
                             "  texts: [{corpus: kjv, window: 128}, {corpus: perldoc}]\n";

static void included_keys_are_defaults(void **state)
{
    struct experiment e = {0};
    put("common.yaml", common);
    load(&e, "include: common.yaml\ncalibration: {samples: 9}\nmethods:\n  - {method: gptq}\n",
         NULL);
    assert_string_equal(e.name, "t");
    assert_string_equal(e.title, "from common");
    assert_int_equal(e.point_count, 1);
    assert_string_equal(e.points[0].method->name, "gptq");
    assert_int_equal(e.points[0].calibration.samples, 9); /* ours wins, key by key */
    assert_int_equal(e.points[0].calibration.length, 64);
    assert_string_equal(e.points[0].calibration.corpus, "kjv");
    assert_int_equal(e.perplexity_count, 1);
    assert_int_equal(e.perplexities[0].window, 64);
    /* The record holds both files, the included one as comments. */
    assert_non_null(strstr(e.text, "include: common.yaml\ncalibration: {samples: 9}\n"));
    assert_non_null(strstr(e.text, "\n#     title: from common\n"));
    experiment_release(&e);
}

static void sets_stand_for_their_entries(void **state)
{
    struct experiment e = {0};
    put("common.yaml", common);
    load(&e,
         "include: [common.yaml]\n"
         "evaluation: {perplexity: [{set: texts}]}\n"
         "methods: [{method: rtn, bits: 4}, {set: low}, {method: gptq, bits: 4}]\n",
         NULL);
    static const char *const labels[] = {"rtn bits=4", "full", "rtn bits=3", "rtn bits=2",
                                         "gptq bits=4"};
    assert_int_equal(e.point_count, 5);
    for (int i = 0; i < 5; i++)
        assert_string_equal(e.points[i].label, labels[i]);
    assert_int_equal(e.perplexity_count, 2);
    assert_int_equal(e.perplexities[0].window, 128);
    assert_string_equal(e.perplexities[1].corpus, "perldoc");
    experiment_release(&e);
}

/* Values of the command line go to what came from sets and includes too. */
static void overrides_reach_included_values(void **state)
{
    struct experiment e = {0};
    put("common.yaml", common);
    load(&e, "include: common.yaml\nmethods: [{set: low}]\n", "calibration.samples=3");
    assert_int_equal(e.points[1].calibration.samples, 3);
    experiment_release(&e);
    load(&e, "include: common.yaml\nmethods: [{set: low}]\n", "methods.bits=5");
    assert_int_equal(e.point_count, 2);
    assert_string_equal(e.points[1].label, "rtn bits=5");
    experiment_release(&e);
}

static void included_files_include_others(void **state)
{
    struct experiment e = {0};
    char text[300];
    put("common.yaml", common);
    put("middle.yaml", "include: common.yaml\ntitle: from the middle\n");
    load(&e, "include: middle.yaml\n", NULL);
    assert_string_equal(e.title, "from the middle");
    assert_int_equal(e.points[0].calibration.samples, 7);
    experiment_release(&e);
    snprintf(text, sizeof text, "include: %s/common.yaml\n", folder);
    load(&e, text, NULL);
    assert_string_equal(e.title, "from common");
    experiment_release(&e);
}

static void models_are_a_list(void **state)
{
    struct experiment e = {0};
    load(&e, "model: [a/b, embedded, c]\nmethods: [{method: full}]\n", NULL);
    assert_int_equal(e.model_count, 3);
    assert_string_equal(e.model, "a/b");
    assert_int_equal(experiment_choose_model(&e, 2), 0);
    assert_string_equal(e.model, "c");
    assert_int_equal(e.model_index, 2);
    experiment_release(&e);
    load(&e, "model: [a, b]\nmethods: [{method: full}]\n", "model=other");
    assert_int_equal(e.model_count, 1);
    assert_string_equal(e.model, "other");
    experiment_release(&e);
    load(&e, "methods: [{method: full}]\n", NULL);
    assert_int_equal(e.model_count, 1);
    assert_string_equal(e.model, "embedded");
    experiment_release(&e);
    refuses("model: []\nmethods: [{method: full}]\n",
            "t.yaml:1: model: a list of 1 to 64 models is expected");
    refuses("model: [a, b, a]\nmethods: [{method: full}]\n",
            "t.yaml:1: model: 'a' is in the list twice");
    refuses("model: [[a]]\nmethods: [{method: full}]\n", "t.yaml:1: model: a text is expected");
}

static void mistakes_name_the_file_they_are_in(void **state)
{
    put("common.yaml", common);
    put("wrong.yaml", "\nmethods:\n  - {method: rtn, bits: 77}\n");
    put("list.yaml", "- a\n");
    put("circle.yaml", "include: circle.yaml\n");
    put("nested.yaml", "sets: {a: [{set: b}], b: [{method: full}], text: hello}\n");
    refuses("include: wrong.yaml\n",
            "wrong.yaml:3: bits: '77' is out of range: allowed is a whole number from 1 to 8");
    refuses("include: list.yaml\n",
            "list.yaml:1: a mapping of a spec's keys is expected, not a list");
    refuses("include: {a: b}\n", "t.yaml:1: include: a file or a list of files is expected");
    refuses("include: [common.yaml, '']\n",
            "t.yaml:1: include: the name of a YAML file is expected");
    refuses("include: common.yaml\nmethods: [{set: lov}]\n",
            "t.yaml:2: set: there is no 'lov'; did you mean 'low'?");
    refuses("methods: [{set: low}]\n", "t.yaml:1: set: there is no 'low' in 'sets'");
    refuses("include: common.yaml\nmethods: [{set: low, bits: 2}]\n",
            "t.yaml:2: an entry with 'set' has no other keys");
    refuses("include: nested.yaml\nmethods: [{set: a}]\n",
            "nested.yaml:1: a set cannot use another set");
    refuses("include: nested.yaml\nmethods: [{set: text}]\n",
            "nested.yaml:1: sets: a set is a list of entries");
    struct experiment e = {0};
    put("t.yaml", "include: circle.yaml\n");
    assert_int_equal(spec_load(&e, main_path, NULL, 0), ERR_USAGE);
    assert_non_null(strstr(err_text(), "files include each other more than 8 deep"));
    put("t.yaml", "include: absent.yaml\n");
    assert_int_equal(spec_load(&e, main_path, NULL, 0), ERR_USAGE);
    assert_non_null(strstr(err_text(), "absent.yaml: no such file"));
}

/* Wherever memory ends there is a line, and nothing leaks (the sanitizers' run says so). */
static void allocations_may_fail(void **state)
{
    int rc;
    long k = 0;
    put("common.yaml", common);
    put("t.yaml", "include: common.yaml\nmodel: [a, b]\nmethods: [{set: low}]\n");
    do {
        struct experiment e = {0};
        mem_fail_at(++k);
        rc = spec_load(&e, main_path, NULL, 0);
        if (mem_fail_pending()) {
            mem_fail_at(0);
            assert_int_equal(rc, 0);
        } else {
            assert_int_equal(rc, ERR_MEMORY);
            assert_null(e.points);
        }
        experiment_release(&e);
    } while (rc != 0 && k < 5000);
    assert_int_equal(rc, 0);
    assert_true(k > 50);
}

static int make_folder(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(main_path, sizeof main_path, "%s/t.yaml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {"t.yaml",    "common.yaml", "middle.yaml", "wrong.yaml",
                                        "list.yaml", "circle.yaml", "nested.yaml"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(included_keys_are_defaults),
        cmocka_unit_test(sets_stand_for_their_entries),
        cmocka_unit_test(overrides_reach_included_values),
        cmocka_unit_test(included_files_include_others),
        cmocka_unit_test(models_are_a_list),
        cmocka_unit_test(mistakes_name_the_file_they_are_in),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests_name("spec files", tests, make_folder, remove_folder);
}
