/* Quantizing and measuring small models, for the tests of packed ones. */
#ifndef TESTS_PACKING_H
#define TESTS_PACKING_H

#include "harness/model_folder.h"
#include "harness/packed_write.h"
#include "harness/run.h"
#include "tests/fixture.h"

static char *packing_root; /* the test's folder, with model/, text.txt and questions.jsonl */

static inline char *packing_path(const char *name)
{
    char *path;
    FIXTURE_OK(file_join(&path, packing_root, name));
    return path;
}

static inline void packing_begin(const char *name)
{
    packing_root = fixture_folder(name);
    fixture_model(packing_root);
}

/* What the packed models are measured on: windows of a text, and two questions. */
static inline void packing_open(struct run *run, const char *model)
{
    struct experiment *e = &run->experiment;
    *run = (struct run){0};
    e->model = packing_path(model);
    FIXTURE_OK(mem_calloc(&e->perplexities, 1, sizeof *e->perplexities));
    FIXTURE_OK(mem_calloc(&e->choices, 1, sizeof *e->choices));
    e->perplexity_count = e->choice_count = 1;
    e->perplexities[0] = (struct perplexity_spec){.tokens = 400, .window = 48, .split = 2};
    e->choices[0] = (struct choice_spec){.seed = 0};
    snprintf(e->perplexities[0].corpus, OPTION_TEXT_SIZE, "file:%s/text.txt", packing_root);
    snprintf(e->choices[0].task, OPTION_TEXT_SIZE, "jsonl:%s/questions.jsonl", packing_root);
    FIXTURE_OK(run_open_model(run));
}

/* A point with the method's defaults and a small calibration. */
static inline void packing_point(struct point *point, const struct quant_method *method)
{
    *point = (struct point){.method = method};
    FIXTURE_OK(options_defaults(harness_option_table, &point->harness));
    FIXTURE_OK(options_defaults(calibration_option_table, &point->calibration));
    point->calibration.samples = 4;
    point->calibration.length = 40;
    snprintf(point->calibration.corpus, OPTION_TEXT_SIZE, "file:%s/text.txt", packing_root);
    if (!method)
        return;
    FIXTURE_OK(mem_calloc(&point->method_options, 1, method->options_size));
    FIXTURE_OK(options_defaults(method->options, point->method_options));
}

static inline void packing_set(struct point *point, const char *name, const char *value)
{
    FIXTURE_OK(options_set(point->method->options, point->method_options, name, value, "test"));
}

/* Everything that was measured. */
struct packing_result {
    struct metric_record metrics[2];
    struct pipeline_output output;
    size_t file_bytes;
};

static inline void packing_release(struct packing_result *result)
{
    for (int i = 0; i < 2; i++)
        mem_free(result->metrics[i].parts);
    pipeline_output_release(&result->output);
    *result = (struct packing_result){0};
}

/* Runs the point on the open model; with a folder's name it is written there as well. */
static inline int packing_run(struct run *run, const struct point *point, const char *name,
                              struct packing_result *result)
{
    int rc;
    char *folder = NULL;
    struct packed_writer writer = {0};
    const struct layer_sink sink = {packed_write_take, &writer};
    const struct run_calibration *calibration;
    json_t *made = json_pack("{s:s}", "by", "a test");
    *result = (struct packing_result){0};
    if (name)
        TRY(file_join(&folder, packing_root, name));
    if (folder)
        TRY(packed_write_begin(&writer, folder, &run->model, point));
    TRY(run_calibration_of(run, point, &calibration));
    const struct pipeline_input input = {.model = &run->model,
                                         .point = point,
                                         .calibration = calibration ? &calibration->stream : NULL,
                                         .evaluation = &run->evaluation.stream,
                                         .sink = folder ? &sink : NULL};
    TRY(pipeline_run(&input, &result->output));
    TRY(perplexity_metric(&run->evaluation.perplexities[0], &run->evaluation.stream,
                          result->output.scores, &result->metrics[0]));
    TRY(choice_metric(&run->evaluation.choices[0], 0, &run->evaluation.stream,
                      result->output.scores, &result->metrics[1]));
    if (folder)
        TRY(packed_write_commit(&writer, made, &result->file_bytes));
out:
    if (rc)
        packing_release(result);
    packed_write_abort(&writer);
    json_decref(made);
    mem_free(folder);
    return rc;
}

/* Measures another model as it is, on what the run measures. */
static inline void packing_measure(const struct run *run, const char *model,
                                   struct packing_result *result)
{
    struct run other = *run;
    struct point full;
    char *folder = packing_path(model);
    packing_point(&full, NULL);
    FIXTURE_OK(model_folder_open(&other.model, folder));
    FIXTURE_OK(packing_run(&other, &full, NULL, result));
    model_close(&other.model);
    mem_free(folder);
}

/* A packed model made of the fixture's in the folder `name`, by the method with the options
 * "key=value" (NULL-terminated). */
static inline void packing_make(const char *name, const char *method, const char *const *options)
{
    struct run run;
    struct point point;
    struct packing_result result;
    packing_open(&run, "model");
    packing_point(&point, method_find(method));
    for (; *options; options++) {
        char key[40];
        snprintf(key, sizeof key, "%.*s", (int)strcspn(*options, "="), *options);
        packing_set(&point, key, strchr(*options, '=') + 1);
    }
    FIXTURE_OK(packing_run(&run, &point, name, &result));
    packing_release(&result);
    mem_free(point.method_options);
    run_close(&run);
}

#endif
