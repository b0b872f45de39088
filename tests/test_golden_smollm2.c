/* SmolLM2-135M against the authors' own pipelines, on the token ids that those were fed, by the
 * spec that users run (experiments/smollm2-golden.yaml): losses window by window, and the linear
 * layers' Hessian-weighted losses. docs/fidelity.md has the figures and what they mean.
 * BITBENCH_LONG=1: the whole takes a quarter of an hour on two cores. */
#include "harness/run.h"

#include "core/pool.h"
#include "tests/fixture.h"
#include "tests/golden.h"
#include "tests/smollm2.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* How far a figure may be from the references': the bar that was set for it, or, where that is
 * larger, twice the spread: how far the same figure moves when nothing but last bits change. That
 * is the authors' own procedure run again (another version of torch, embeddings off by 1e-7; the
 * largest of one to five runs). For GPTQ at 4 bits, where the largest of ten is 9.6 %, it is the
 * 7.05 % that four runs of bitbench with such embeddings gave, which is tighter. Other kernels of
 * OpenBLAS, by the processor or OPENBLAS_CORETYPE, do as much. Twice, because the largest of so few
 * runs is no bound for one run more. The output says which of the two a figure was held to. A bar
 * of 0: not compared; a spread of 0: the bar alone counts. */
struct limit {
    double bar, spread;
};

/* Perplexity where the model has not collapsed, each layer of the first and of the second block,
 * and the sum over all blocks. */
static const struct comparison {
    const char *label, *file;
    struct limit perplexity, first, second, sum;
} comparisons[] = {
    {.label = "full", .file = "fp", .perplexity = {1e-4, 0}},
    {.label = "rtn bits=4", .file = "rtn4", .perplexity = {1e-4, 0}},
    {.label = "rtn bits=3", .file = "rtn3", .perplexity = {1e-4, 0}},
    {.label = "rtn bits=2", .file = "rtn2", .perplexity = {1e-3, 0}},
    {.label = "rtn bits=1", .file = "rtn1", .perplexity = {1e-3, 0}},
    {.label = "gptq bits=4",
     .file = "gptq4",
     .perplexity = {0.02, 0.0705},
     .first = {1e-3, 0},
     .sum = {0.05, 0}},
    {.label = "gptq bits=2",
     .file = "gptq2",
     .first = {1e-3, 0},
     .second = {1e-3, 0.0114},
     .sum = {0.05, 0}},
    {.label = "gptq bits=4 group_size=64",
     .file = "gptq4_g64",
     .perplexity = {0.01, 0.0269},
     .first = {1e-3, 0},
     .sum = {0.05, 0}},
    {.label = "pb-llm low_frac=0.5 group_size=64 block_size=64",
     .file = "pb_xnor0.5_hess_g64_bs64",
     .perplexity = {0.01, 0.0294},
     .first = {1e-3, 0},
     .sum = {0.05, 0}},
    {.label = "billm",
     .file = "billm_hess_bs128",
     .first = {1e-3, 0.0039},
     .second = {1e-3, 0.0185},
     .sum = {0.05, 0.344}},
};
enum { COMPARISONS = sizeof comparisons / sizeof *comparisons };

static const struct comparison *find(const char *label)
{
    for (int i = 0; i < COMPARISONS; i++)
        if (strcmp(comparisons[i].label, label) == 0)
            return &comparisons[i];
    fail_msg("no reference for '%s'", label);
    return NULL;
}

/* exp of the mean loss of the windows that both have, ours over theirs. */
static double perplexity_ratio(const struct stream *stream, const struct token_score *scores,
                               const json_t *losses)
{
    double total = 0;
    int windows = stream->count < (int)json_array_size(losses) ? stream->count
                                                               : (int)json_array_size(losses);
    for (int s = 0; s < windows; s++) {
        double sum = 0, theirs = json_number_value(json_array_get(losses, (size_t)s));
        int count = 0;
        for (int r = stream->offsets[s]; r < stream->offsets[s + 1]; r++)
            if (stream->targets[r] >= 0) {
                sum -= (double)scores[r].log_probability;
                count++;
            }
        total += sum / count - theirs;
    }
    assert_int_equal(windows, 16);
    return exp(total / windows);
}

/* worst[0], worst[1]: a layer of the first and of the second block; *sum: all blocks together. */
static void compare_layers(const struct model *model, const struct pipeline_output *output,
                           const json_t *layers, double worst[2], double *sum)
{
    double ours = 0, theirs = 0;
    worst[0] = worst[1] = 0;
    for (size_t i = 0; i < json_array_size(layers); i++) {
        const json_t *layer = json_array_get(layers, i);
        const struct layer_record *record = NULL;
        char name[MODEL_NAME_SIZE];
        for (int k = 0; k < output->layer_count && !record; k++) {
            model_linear_name(model, output->layers[k].block, output->layers[k].name, name);
            if (strcmp(name, json_string_value(json_object_get(layer, "name"))) == 0)
                record = &output->layers[k];
        }
        assert_non_null(record);
        double expected = json_number_value(json_object_get(layer, "hloss"));
        ours += record->hessian_loss;
        theirs += expected;
        if (record->block < 2)
            worst[record->block] = fmax(worst[record->block],
                                        fabs(record->hessian_loss / expected - 1));
    }
    *sum = theirs > 0 ? ours / theirs - 1 : 0;
}

/* 1 when the figure is beyond its limit. */
static int exceeds(const char *file, const char *what, double off, const struct limit *limit)
{
    double size = fabs(off);
    const char *verdict = size <= limit->bar          ? "met"
                          : size <= limit->spread     ? "within the spread"
                          : size <= 2 * limit->spread ? "within twice the spread"
                                                      : "MISSED";
    if (limit->bar == 0)
        return 0;
    print_message("%-24s %-18s %+9.4f %%  bar %.2f %%, spread %.2f %%: %s\n", file, what, 100 * off,
                  100 * limit->bar, 100 * limit->spread, verdict);
    return size > fmax(limit->bar, 2 * limit->spread);
}

static int compare_point(struct run *run, const struct point *point, const char *golden)
{
    const struct comparison *bar = find(point->label);
    const struct run_calibration *calibration;
    struct pipeline_output output = {0};
    double worst[2], sum;
    char path[1200];
    snprintf(path, sizeof path, "%s/models/smollm2.runs/%s.json", golden, bar->file);
    json_t *theirs = json_load_file(path, 0, NULL);
    assert_non_null(theirs);
    FIXTURE_OK(run_calibration_of(run, point, &calibration));
    const struct pipeline_input input = {.model = &run->model,
                                         .point = point,
                                         .calibration = calibration ? &calibration->stream : NULL,
                                         .evaluation = &run->evaluation.stream};
    FIXTURE_OK(pipeline_run(&input, &output));
    double off = perplexity_ratio(&run->evaluation.stream, output.scores,
                                  json_object_get(theirs, "window_loss")) -
                 1;
    compare_layers(&run->model, &output, json_object_get(theirs, "layers"), worst, &sum);
    int missed = exceeds(bar->file, "perplexity", off, &bar->perplexity) +
                 exceeds(bar->file, "worst of block 0", worst[0], &bar->first) +
                 exceeds(bar->file, "worst of block 1", worst[1], &bar->second) +
                 exceeds(bar->file, "all blocks' sum", sum, &bar->sum);
    pipeline_output_release(&output);
    json_decref(theirs);
    return missed;
}

static void the_references_are_met(void **state)
{
    const char *golden = golden_folder(), *model = getenv("BITBENCH_LONG") ? smollm2_path() : NULL;
    char override[1200];
    struct run run = {0};
    int missed = 0;
    if (!golden || !model) {
        print_message("skipped: %s\n", getenv("BITBENCH_LONG")
                                           ? "SmolLM2 or ../shared/golden is not there"
                                           : "BITBENCH_LONG is not set");
        skip();
    }
    snprintf(override, sizeof override, "model=%s", model);
    const char *const overrides[] = {override, "evaluation.perplexity.tokens=8192"};
    const struct run_options options = {
        .spec = "experiments/smollm2-golden.yaml", .overrides = overrides, .override_count = 2};
    FIXTURE_OK(run_open(&run, &options));
    assert_int_equal(run.experiment.point_count, COMPARISONS);
    for (int i = 0; i < run.experiment.point_count; i++)
        missed += compare_point(&run, &run.experiment.points[i], golden);
    run_close(&run);
    assert_int_equal(missed, 0);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_references_are_met)};
    int failed = cmocka_run_group_tests_name("SmolLM2 against the references", tests, NULL, NULL);
    pool_stop();
    return failed;
}
