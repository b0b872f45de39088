#include "harness/weight_histogram.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/calibration.h"
#include "harness/method_option.h"
#include "harness/model_folder.h"
#include "harness/pipeline.h"
#include "harness/positions.h"
#include "harness/token_ids.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BINS = 121, SMALL = 1, LARGE = 2, SALIENT = 3 }; /* the kinds as in BiLLM's partition */

struct job {
    const struct weight_histogram *request;
    int block;
    const char *name; /* of the layer in its block, borrowed from the family */
    char full_name[MODEL_NAME_SIZE];
    struct model model;
    struct tokenizer *tokenizer;
    struct corpus_cache corpora;
    struct stream calibration;
    struct point point;
    struct strbuf text; /* the file */
};

static void job_release(struct job *job)
{
    stream_release(&job->calibration);
    corpus_cache_release(&job->corpora);
    tokenizer_free(job->tokenizer);
    model_close(&job->model);
    mem_free(job->point.method_options);
    strbuf_release(&job->text);
}

/* ---- which matrix ---- */

static int no_layer(const struct job *job)
{
    struct strbuf names = {0};
    const char *const *known = job->model.architecture->linear_names;
    int rc = 0;
    for (int i = 0; known[i] && rc == 0; i++)
        rc = strbuf_printf(&names, "%s%s", i ? ", " : "", known[i]);
    if (rc == 0)
        rc = err_set(ERR_USAGE,
                     "--layer %.80s: no such layer; write BLOCK.NAME with a block from 0 to %d and "
                     "one of the names %s",
                     job->request->layer, job->model.config.layers - 1, names.data);
    strbuf_release(&names);
    return rc;
}

static int find_layer(struct job *job)
{
    const char *const *known = job->model.architecture->linear_names;
    char *end;
    long block = strtol(job->request->layer, &end, 10);
    if (end == job->request->layer || *end != '.' || block < 0 || block >= job->model.config.layers)
        return no_layer(job);
    job->block = (int)block;
    for (int i = 0; known[i] && !job->name; i++)
        if (strcmp(known[i], end + 1) == 0)
            job->name = known[i];
    if (!job->name)
        return no_layer(job);
    model_linear_name(&job->model, job->block, job->name, job->full_name);
    return 0;
}

/* ---- what BiLLM made of it ---- */

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The magnitude that has `small` of the weights that are not salient below it. */
static int find_boundary(const struct layer_problem *problem, const uint8_t *partition,
                         double *boundary)
{
    size_t count = (size_t)problem->rows * (size_t)problem->columns, kept = 0, small = 0;
    float *sizes = NULL;
    int rc;
    TRY(mem_alloc(&sizes, count, sizeof *sizes));
    for (size_t i = 0; i < count; i++) {
        small += partition[i] == SMALL;
        if (partition[i] != SALIENT)
            sizes[kept++] = fabsf(problem->weight[i]);
    }
    qsort(sizes, kept, sizeof *sizes, by_size);
    *boundary = kept == 0 ? NAN : (double)sizes[small < kept ? small : kept - 1];
out:
    mem_free(sizes);
    return rc;
}

static int write_bins(struct strbuf *out, const struct layer_problem *problem,
                      const uint8_t *partition)
{
    size_t count = (size_t)problem->rows * (size_t)problem->columns;
    long bins[BINS][SALIENT + 1] = {{0}};
    double largest = 0;
    int rc = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs((double)problem->weight[i]));
    const double width = largest > 0 ? 2 * largest / BINS : 1;
    for (size_t i = 0; i < count; i++) {
        int bin = (int)floor((problem->weight[i] + largest) / width);
        bins[bin < BINS ? bin : BINS - 1][partition[i]]++;
    }
    for (int i = 0; i < BINS; i++)
        TRY(strbuf_printf(out, "bin\t%.9g\t%.9g\t%ld\t%ld\t%ld\n", i * width - largest,
                          (i + 1) * width - largest, bins[i][SMALL], bins[i][LARGE],
                          bins[i][SALIENT]));
out:
    return rc;
}

static int write_columns(struct strbuf *out, const struct layer_problem *problem,
                         const uint8_t *partition)
{
    int rc = 0;
    for (int c = 0; c < problem->columns; c++) {
        double sum = 0;
        for (int r = 0; r < problem->rows; r++) {
            double w = problem->weight[(long)r * problem->columns + c];
            sum += w * w;
        }
        TRY(strbuf_printf(out, "column\t%d\t%.9g\t%d\n", c, sqrt(sum / problem->rows),
                          partition[c] == SALIENT)); /* salient columns are so in every row */
    }
out:
    return rc;
}

static int take_layer(void *context, const char *name, const struct layer_choice *choice,
                      const struct layer_problem *problem, const struct layer_result *result,
                      struct packed *packed)
{
    struct job *job = context;
    const struct packed_array *partition = packed_find(&result->details, "partition");
    double boundary;
    int block_size = 0, rc;
    if (strcmp(name, job->full_name) != 0)
        return 0;
    const size_t count = (size_t)problem->rows * (size_t)problem->columns;
    const uint8_t *kinds = partition ? partition->data : NULL;
    for (size_t i = 0; kinds && i < count; i++)
        if (kinds[i] < SMALL || kinds[i] > SALIENT)
            kinds = NULL;
    if (!kinds)
        return err_set(ERR_USAGE,
                       "%s: these options of billm leave no two groups of weights beside "
                       "the salient ones: split_groups must be 2",
                       name);
    for (const struct option *o = choice->method->options; o->name; o++)
        if (strcmp(o->name, "block_size") == 0)
            memcpy(&block_size, (const char *)choice->options + o->offset, sizeof block_size);
    TRY(find_boundary(problem, kinds, &boundary));
    TRY(strbuf_printf(&job->text, "about\t"));
    for (const char *at = job->request->model; *at; at++)
        TRY(strbuf_add(&job->text, (unsigned char)*at < ' ' ? " " : at, 1));
    TRY(strbuf_printf(&job->text, "\t%d.%s\t%d\t%d\t%d\t%.9g\n", job->block, job->name,
                      problem->rows, problem->columns,
                      block_size < 0 ? problem->columns : block_size, boundary));
    TRY(write_bins(&job->text, problem, kinds));
    TRY(write_columns(&job->text, problem, kinds));
out:
    return rc;
}

/* ---- the run ---- */

static int open_inputs(struct job *job)
{
    const struct weight_histogram *request = job->request;
    char *folder = NULL;
    int rc;
    TRY(model_folder(&folder, request->model));
    TRY(model_folder_open(&job->model, folder));
    TRY(find_layer(job));
    if (!token_ids_named(request->calibration->corpus)) {
        TRY(tokenizer_open(&job->tokenizer, folder));
        TRY(model_check_tokenizer(&job->model, job->tokenizer));
    }
    job->corpora.tokenizer = job->tokenizer;
    job->corpora.vocabulary = job->model.config.vocabulary;
    TRY(calibration_draw(request->calibration, &job->corpora, &job->calibration, NULL));
    TRY(positions_check(&job->model.config, "calibration: segments", request->calibration->length));
out:
    mem_free(folder);
    return rc;
}

/* Only the one layer is quantized: the blocks before it are as they are, and those behind it are
 * not computed. */
static int make_point(struct job *job)
{
    struct point *point = &job->point;
    int rc;
    point->method = method_find("billm");
    if (!point->method)
        return ERR_USAGE;
    TRY(options_defaults(harness_option_table, &point->harness));
    point->harness.min_layer = job->block;
    point->harness.max_layer = job->block + 1;
    snprintf(point->harness.quant_only, sizeof point->harness.quant_only, "%s", job->name);
    point->calibration = *job->request->calibration;
    TRY(method_options_make(point->method, job->request->options, job->request->option_count,
                            &point->method_options));
out:
    return rc;
}

int weight_histogram_write(const struct weight_histogram *request, const char *path)
{
    struct job job = {.request = request};
    const struct layer_sink sink = {take_layer, &job};
    struct pipeline_output output = {0};
    struct file_writer writer = {0};
    int rc;
    TRY(open_inputs(&job));
    TRY(make_point(&job));
    const struct pipeline_input input = {
        .model = &job.model, .point = &job.point, .calibration = &job.calibration, .sink = &sink};
    TRY(pipeline_run(&input, &output));
    if (output.left > 0 || job.text.length == 0)
        TRY(err_set(ERR_NUMERIC, "%s: billm cannot quantize it%s%s", job.full_name,
                    output.exception_count ? ": " : "",
                    output.exception_count ? output.exceptions[0].detail : ""));
    TRY(file_write_begin(&writer, path));
    TRY(file_write(&writer, job.text.data, job.text.length));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    pipeline_output_release(&output);
    job_release(&job);
    return rc;
}
