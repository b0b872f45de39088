/* Specs with several models, models by name, --full, and --dry-run of what is not here, from the
 * outside. */
#include "core/file.h"
#include "tests/expect.h"
#include "tests/fixture.h"
#include "tests/program.h"

static void spec(const char *models)
{
    char *text;
    FIXTURE_OK(mem_printf(&text,
                          "name: several\nmodel: %s\n"
                          "calibration: {corpus: \"file:%s/text.txt\", samples: 4, length: 32}\n"
                          "evaluation:\n  perplexity:\n"
                          "    - {corpus: \"file:%s/text.txt\", tokens: 256, window: 64}\n"
                          "methods:\n  - {method: full}\n  - {method: rtn, bits: [4, 2]}\n",
                          models, program_folder, program_folder));
    fixture_write(program_folder, "s.yaml", text);
    mem_free(text);
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("'%s' is not in\n%s", part, text);
}

static struct result runs(const char *line, int status)
{
    struct result r = shell(line);
    if (r.status != status)
        fail_msg("%s\nexpected %d, got %d <%s> <%s>", line, status, r.status, r.out, r.err);
    return r;
}

static const char run[] = "BITBENCH_MODELS=$T $B run $T/s.yaml --database $T/several.db ";

/* The same points for each model, in one table; models by name are found below BITBENCH_MODELS. */
static void models_stand_in_one_table(void **state)
{
    char line[300];
    spec("[small, other]");
    snprintf(line, sizeof line, "%s", run);
    struct result r = runs(line, 0);
    has(r.out, "(several, 2 models)");
    has(r.out, "| small: full ");
    has(r.out, "| other: rtn bits=2 ");
    has(r.err, "6 points computed, 0 were there already, 0 failed, 0 left");
    r = runs("$B table several --database $T/several.db --json", 0);
    has(r.out, "\"model\":\"other\"");
    /* Nothing is computed twice; one model of the list can be named. */
    has(runs(line, 0).err, "0 points computed, 6 were there already");
    snprintf(line, sizeof line, "%s --set model=other", run);
    r = runs(line, 0);
    has(r.err, "0 points computed, 3 were there already");
    has(r.out, "(several, model other)");
    lacks(r.out, "small: full");
}

static void limits_span_the_models(void **state)
{
    char line[300];
    spec("[small, other]");
    snprintf(line, sizeof line, "%s --limit 4", run);
    runs("rm -f $T/several.db*", 0);
    has(runs(line, 0).err, "4 points computed, 0 were there already, 0 failed, 2 left");
    has(runs(line, 0).err, "2 points computed, 4 were there already, 0 failed, 0 left");
}

/* What is here is run; what is not is said, and is the exit status. */
static void absent_models_do_not_stop_the_others(void **state)
{
    char line[300];
    runs("rm -f $T/several.db*", 0);
    spec("[facebook/opt-1.3b, small]");
    snprintf(line, sizeof line, "%s", run);
    struct result r = runs(line, 3);
    has(r.err, "facebook/opt-1.3b: no such model, here or in");
    has(r.err, "hf download facebook/opt-1.3b");
    has(r.err, "3 points computed");
    has(r.err, "1 of the 2 models of several are not here");
    has(r.out, "(several, model small)");
    spec("[facebook/opt-1.3b, OPT-2.7B]");
    has(runs(line, 3).err, "none of the 2 models of ");
    spec("facebook/opt-1.3b");
    has(runs(line, 3).err, "bitbench: facebook/opt-1.3b: no such model");
}

static void absent_models_are_planned(void **state)
{
    char line[300];
    snprintf(line, sizeof line, "%s --dry-run --memory 16G", run);
    spec("[facebook/opt-1.3b, small, LLaMA2-7B]");
    struct result r = runs(line, 0);
    has(r.out, "== model 1 of 3: facebook/opt-1.3b\n");
    has(r.out, "OPT-1.3B is not here: planned from its shape, 24 blocks of width 2048, 1315758080 "
               "parameters\n");
    has(r.out, "download: 2.5 GiB from huggingface.co/facebook/opt-1.3b\n");
    has(r.out, "disk: 2.5 GiB for the weights");
    has(r.out, "several: 3 points, 256 tokens and 0 questions a point");
    has(r.out, "download: 12.6 GiB from huggingface.co/meta-llama/Llama-2-7b-hf\n");
    has(r.out, "'*.safetensors' --local-dir models/Llama-2-7b-hf\n");
    lacks(r.out, "data sets that are not here");
    /* Nothing was written. */
    runs("rm -f $T/several.db*", 0);
    runs(line, 0);
    runs("test ! -e $T/several.db", 0);
    /* Neither here nor known. */
    spec("nobody/nothing");
    r = runs(line, 3);
    has(r.out, "nobody/nothing: no such model; a model is a folder");
    has(r.err, "not every model could be estimated");
    /* A limit that is too small is told, and the other models too. */
    spec("[OPT-66B, OPT-1.3B]");
    r = runs("$B run $T/s.yaml --dry-run --memory 4G", 0);
    has(r.out, " 1  full  ");
    has(r.out, "  too little memory\n");
    has(r.out, "of the 4.0 GiB allowed\n\nabout ");
    has(r.out, "a memory limit of 4.0 GiB is too small");
    has(r.out, "== model 2 of 2: OPT-1.3B");
}

/* Where nothing is evaluated no drift is measured: its second set of states is not in the plan. */
static void drift_is_planned_where_it_is_measured(void **state)
{
    static const char text[] =
        "model: LLaMA-7B\ncalibration: {corpus: kjv, samples: 128, length: 2048}\n"
        "methods: [{method: billm, max_layer: 2}]\n",
                      evaluation[] = "evaluation: {perplexity: [{corpus: kjv, tokens: 4096}]}\n";
    char both[400];
    fixture_write(program_folder, "w.yaml", text);
    struct result r = runs("$B run $T/w.yaml --dry-run --memory 64G", 0);
    has(r.out, "  states of the calibration             4.0 GiB\n");
    snprintf(both, sizeof both, "%s%s", text, evaluation);
    fixture_write(program_folder, "w.yaml", both);
    r = runs("$B run $T/w.yaml --dry-run --memory 64G", 0);
    has(r.out, "  states of the calibration             8.0 GiB\n");
}

static void absent_data_is_listed_once(void **state)
{
    fixture_write(program_folder, "d.yaml",
                  "model: [OPT-1.3B, OPT-2.7B]\n"
                  "calibration: {corpus: c4, samples: 128, length: 2048, draw: python}\n"
                  "evaluation:\n  perplexity: [{corpus: wikitext2, window: 2048}]\n"
                  "  tasks: [{task: piqa, items: 100}, {task: boolq}]\n"
                  "methods: [{method: full}, {method: gptq, bits: [2, 3]}]\n");
    struct result r = runs("$B run $T/d.yaml --dry-run --data $T", 0);
    has(r.out, "d: 3 points, ");
    has(r.out, "tokens and 3370 questions a point");
    const char *list = strstr(r.out, "\ndata sets that are not here:\n");
    assert_non_null(list);
    int lines = 0;
    for (const char *at = list + 1; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 5); /* the heading, c4, wikitext2, piqa, boolq */
    has(list, "c4/c4-train.00000-of-01024.json.gz");
    has(list, "wikitext2/wiki.test.raw");
    has(list, "piqa/valid.jsonl");
    has(list, "boolq/val.jsonl");
    r = runs("$B run $T/d.yaml --dry-run --data $T --full", 0);
    has(r.out, "tokens and 5108 questions a point");
}

static int set_up(void **state)
{
    char *folder = fixture_folder("run_models"), command[300];
    fixture_model(folder);
    if (program_start(folder) != 0)
        return -1;
    /* The other model is a copy whose configuration has another norm's epsilon. */
    snprintf(command, sizeof command,
             "cp -r $T/model $T/small && cp -r $T/model $T/other && "
             "sed -i 's/1e-05/2e-05/; s/1.0e-5/2e-05/; s/1e-5/2e-05/' $T/other/config.json && "
             "! cmp -s $T/model/config.json $T/other/config.json");
    return system(command);
}

static int tear_down(void **state)
{
    mem_free(program_folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(models_stand_in_one_table),
        cmocka_unit_test(limits_span_the_models),
        cmocka_unit_test(absent_models_do_not_stop_the_others),
        cmocka_unit_test(absent_models_are_planned),
        cmocka_unit_test(drift_is_planned_where_it_is_measured),
        cmocka_unit_test(absent_data_is_listed_once),
    };
    return cmocka_run_group_tests_name("runs of several models", tests, set_up, tear_down);
}
