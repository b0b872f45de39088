#include "harness/estimate.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/progress.h"

#include <stdio.h>

/* Measured on the embedded model: attention, norms and scoring are not products of large matrices.
 */
static const double pass_efficiency = 0.6;

double estimate_seconds(double flop, double rate)
{
    return flop / (rate * pass_efficiency);
}

struct shape {
    double layers, width, block_weights, squared_inputs, quantize_flop, head;
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

int estimate_point(struct run *run, const struct point *point, struct estimate *estimate)
{
    int rc;
    struct block block = {0};
    struct shape shape;
    const struct run_calibration *calibration;
    const struct stream *stream = &run->evaluation.stream;
    TRY(run_calibration_of(run, point, &calibration));
    TRY(run->model.architecture->load_block(&run->model, 0, &block));
    measure_shape(&block, &run->model, &shape);
    double scored = 0;
    for (int r = 0; r < stream->rows; r++)
        scored += stream->targets[r] >= 0;
    struct estimate sum = {
        .flop = 2 * shape.head * scored + shape.layers * block_pass(&shape, stream),
        .memory = 4 * (shape.width * stream->rows + 2 * shape.block_weights + 2 * shape.head)};
    if (calibration) {
        const struct stream *segments = &calibration->stream;
        sum.flop += shape.layers * (2 * block_pass(&shape, segments) +
                                    shape.squared_inputs * segments->rows + shape.quantize_flop);
        sum.memory += 4 * (shape.width * segments->rows + 4 * shape.squared_inputs);
    }
    *estimate = sum;
out:
    block_release(&block);
    return rc;
}

static int print_point(struct run *run, struct store *store, int index, double rate,
                       double *seconds)
{
    int rc, done = 0;
    struct estimate estimate;
    const struct point *point = &run->experiment.points[index];
    char id[HASH_HEX_SIZE], duration[32];
    json_t *settings = NULL;
    TRY(run_point_id(run, point, &settings, id));
    TRY(estimate_point(run, point, &estimate));
    if (store)
        TRY(store_point_done(store, id, NULL, 0, &done));
    progress_duration(estimate_seconds(estimate.flop, rate), duration);
    if (!done)
        *seconds += estimate_seconds(estimate.flop, rate);
    printf("%3d  %-44s %8s %7.0f MB  %.12s%s\n", index + 1, point->label, done ? "-" : duration,
           estimate.memory / 1e6, id, done ? "  done" : "");
out:
    json_decref(settings);
    return rc;
}

int estimate_print(struct run *run, const char *database, double rate)
{
    int rc = 0;
    struct store *store = NULL;
    double seconds = 0;
    char duration[32];
    if (file_exists(database))
        TRY(store_open(&store, database, 0));
    printf("%s: %d points, %d tokens and %d questions a point, at %.0f GFLOP/s\n\n",
           run->experiment.name, run->experiment.point_count, run->evaluation.stream.rows,
           run->evaluation.choice_count, rate * 1e-9);
    for (int i = 0; i < run->experiment.point_count; i++)
        TRY(print_point(run, store, i, rate, &seconds));
    progress_duration(seconds, duration);
    printf("\nabout %s in all; nothing was run\n", duration);
out:
    store_close(store);
    return rc;
}
