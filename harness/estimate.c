#include "harness/estimate.h"

#include "core/err.h"
#include "core/file.h"
#include "core/machine.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/memory_plan.h"
#include "model/tensor_pages.h"

#include <stdio.h>

/* Measured on the embedded model: attention, norms and scoring are not products of large matrices.
 */
static const double pass_efficiency = 0.6;

/* Seconds for this much work: a pass reaches about this share of the bare products' rate. */
static double estimate_seconds(double flop, double rate)
{
    return flop / (rate * pass_efficiency);
}

struct estimate {
    double flop; /* of matrix products, factorisations included */
    struct memory_plan memory;
};

struct shape {
    double layers, width, block_weights, squared_inputs, quantize_flop, head;
    struct block block; /* without its weights */
};

static void measure_shape(const struct block *block, const struct model *model, struct shape *shape)
{
    *shape = (struct shape){.layers = model->config.layers,
                            .width = model->config.width,
                            .head = (double)model->config.vocabulary * model->config.width};
    int seen = -1;
    for (int i = 0; i < block->linear_count; i++) {
        double out = block->linears[i].out, in = block->linears[i].in;
        shape->block_weights += out * in;
        /* the lazy updates of GPTQ (rows columns^2), its factorisation (columns^3), the layer's
         * error */
        shape->quantize_flop += out * in * in + in * in * in + 4 * out * in * in;
        if (block->linears[i].input != seen)
            shape->squared_inputs += in * in;
        seen = block->linears[i].input;
    }
}

/* A pass of the stream through one block: products of the linear layers and of attention over half
 * a square. */
static double block_pass(const struct shape *shape, const struct stream *stream)
{
    double flop = 2 * shape->block_weights * stream->rows;
    for (int s = 0; s < stream->count; s++) {
        double length = stream->offsets[s + 1] - stream->offsets[s];
        flop += 2 * length * length * shape->width;
    }
    return flop;
}

/* Blocks are alike: the first stands for all. */
static int find_shape(const struct model *model, struct shape *shape)
{
    struct block block = {0};
    int rc = model->architecture->load_block(model, 0, &block);
    if (rc == 0) {
        measure_shape(&block, model, shape);
        shape->block = block;
        for (int i = 0; i < block.linear_count; i++)
            shape->block.linears[i].weight = NULL;
        shape->block.storage = NULL;
    }
    block_release(&block);
    if (model->tensors)                        /* a planned run has none */
        tensor_pages_drop(model->tensors, ""); /* which would be taken for memory that is held */
    return rc;
}

/* The blocks of which a layer is quantized, and those up to the last of them: calibration does not
 * go on behind it. */
static void count_blocks(const struct shape *shape, const struct point *point, int *quantized,
                         int *calibrated)
{
    *quantized = *calibrated = 0;
    for (int b = 0; b < (int)shape->layers; b++) {
        bool any = false;
        for (int i = 0; i < shape->block.linear_count; i++)
            any |= layer_plan_find(point, (int)shape->layers, b, shape->block.linears[i].name)
                       .method != NULL;
        *quantized += any;
        *calibrated = any ? b + 1 : *calibrated;
    }
}

/* Counts the products that the pipeline will do for this point. Where it has too little memory, or
 * too little room for files, the estimate is there with the error. */
static int estimate_point(const struct shape *shape, struct run *run, const struct point *point,
                          struct estimate *estimate)
{
    const struct run_calibration *calibration;
    const struct stream *stream = &run->evaluation.stream;
    int rc = run_calibration_of(run, point, &calibration);
    if (rc)
        return rc;
    double scored = 0;
    for (int r = 0; r < stream->rows; r++)
        scored += stream->targets[r] >= 0;
    struct memory_needs needs;
    memory_needs_of(&run->model, point, calibration ? &calibration->stream : NULL, stream, &needs);
    struct estimate sum = {.flop = 2 * shape->head * scored +
                                   shape->layers * block_pass(shape, stream)};
    if (point->method) /* the head once more, for the full model's predictions */
        sum.flop += 2 * shape->head * run->reference.rows;
    if (calibration) {
        const struct stream *segments = &calibration->stream;
        int quantized, calibrated;
        count_blocks(shape, point, &quantized, &calibrated);
        /* Quantized states go no further than into the last of these blocks; for the drift they go
         * through it, and the full model's go beside them. */
        int on = needs.drifts ? 2 * calibrated : calibrated > 0 ? calibrated - 1 : 0;
        sum.flop += (quantized + on) * block_pass(shape, segments) +
                    quantized * (shape->squared_inputs * segments->rows + shape->quantize_flop);
    }
    needs.block = &shape->block;
    needs.held = (double)machine_held();
    needs.reference = reference_states_needs(&run->reference);
    if (run->planned) /* embedding and head are not held yet */
        needs.held += 4 * shape->head * (run->model.config.tied_head ? 1 : 2);
    rc = memory_plan_make(&needs, &sum.memory);
    *estimate = sum;
    return rc;
}

int estimate_costs(struct run *run, double *costs, bool *known)
{
    int rc;
    struct shape shape;
    struct estimate estimate;
    *known = find_shape(&run->model, &shape) == 0;
    for (int i = 0; *known && i < run->experiment.point_count; i++) {
        rc = estimate_point(&shape, run, &run->experiment.points[i], &estimate);
        if (rc)
            return err_prefix(rc, "%s", run->experiment.points[i].label);
        costs[i] = estimate.flop;
    }
    return 0;
}

static int count_questions(const struct run *run)
{
    const struct evaluation *evaluation = &run->evaluation;
    size_t count = (size_t)run->planned_questions;
    for (int i = 0; i < evaluation->choice_count; i++)
        count += evaluation->choices[i].questions.count;
    return (int)count;
}

/* What the points printed so far come to. */
struct total {
    double seconds; /* of those that are not done */
    struct memory_plan largest;
    int code; /* of the first point that has too little memory or room, and why; or 0 */
    char why[1024];
};

static void add_to_total(struct total *total, const struct estimate *estimate, double seconds)
{
    total->seconds += seconds;
    if (estimate->memory.peak > total->largest.peak)
        total->largest = estimate->memory;
}

/* The line of a point. */
static int print_point(struct run *run, struct store *store, const struct shape *shape, int index,
                       double rate, struct total *total)
{
    int rc, done = 0;
    struct estimate estimate = {0};
    const struct point *point = &run->experiment.points[index];
    char id[HASH_HEX_SIZE] = "", duration[32];
    const char *lacks = "";
    json_t *settings = NULL;
    if (!run->planned)
        TRY(run_point_id(run, point, &settings, id));
    rc = estimate_point(shape, run, point, &estimate);
    if (rc && (estimate.memory.peak == 0 || (rc != ERR_MEMORY && rc != ERR_IO)))
        goto out;
    if (rc) {
        lacks = rc == ERR_MEMORY ? "  too little memory" : "  too little room for files";
        if (!total->code)
            snprintf(total->why, sizeof total->why, "%s", err_text());
        total->code = total->code ? total->code : rc;
    }
    rc = 0;
    if (store && !run->planned)
        TRY(store_point_done(store, id, NULL, 0, &done));
    double seconds = estimate_seconds(estimate.flop, rate);
    progress_duration(seconds, duration);
    printf("%3d  %-44s %8s %7.0f MB  %.12s%s%s\n", index + 1, point->label, done ? "-" : duration,
           estimate.memory.peak / 1e6, id, done ? "  done" : "", lacks);
    add_to_total(total, &estimate, done ? 0 : seconds);
out:
    json_decref(settings);
    return rc;
}

int estimate_print(struct run *run, const char *database, double rate)
{
    int rc = 0;
    struct store *store = NULL;
    struct shape shape;
    struct total total = {0};
    char duration[32];
    TRY(run_prepare_points(run));
    TRY(find_shape(&run->model, &shape));
    if (file_exists(database))
        TRY(store_open(&store, database, 0));
    printf("%s: %d points, %d tokens and %d questions a point, at %.0f GFLOP/s\n\n",
           run->experiment.name, run->experiment.point_count, run->evaluation.stream.rows,
           count_questions(run), rate * 1e-9);
    for (int i = 0; i < run->experiment.point_count; i++)
        TRY(print_point(run, store, &shape, i, rate, &total));
    progress_duration(total.seconds, duration);
    printf("\nmemory of the largest point:\n");
    memory_plan_print(&total.largest);
    if (run->experiment.point_count > 1 && !total.code)
        printf("  what the limit leaves free then keeps hidden states that several points share\n");
    printf("\nabout %s in all; nothing was run\n", duration);
    if (total.code)
        rc = err_set(total.code, "%s", total.why);
out:
    store_close(store);
    return rc;
}
