#include "methods/feedback.h"

#include "core/err.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "linalg/simd.h"

#include <string.h>

enum { LANES = FEEDBACK_LANES, SPAN = 512 };

struct run {
    struct feedback *feedback;
    int tile_rows, tiles;
    int span; /* columns whose errors are collected before the columns behind them are updated:
                 whole blocks */
    float *weights; /* per worker: tile_rows x columns, in the order of processing */
    float *errors;  /* per worker: tile_rows x span */
    double *lanes;  /* per worker: block x LANES: weights, transposed */
    float *outputs; /* per worker: 2 arrays of block x LANES: quantized, errors, transposed */
    uint8_t *bytes; /* per worker: 2 arrays of block x LANES: codes, marks, transposed: a column's
                     * bytes lie a row apart in the matrices, which often is a multiple of 4096 and
                     * then does not stay in cache */
    double *losses; /* per tile */
};

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Rows first .. first + count - 1 in processing order, dead columns 0. */
static void gather(const struct feedback *f, int first, int count, float *to)
{
    long n = f->columns;
    for (long r = 0; r < count; r++) {
        const float *from = f->weight + (first + r) * n;
        if (f->order)
            for (long i = 0; i < n; i++)
                to[r * n + i] = from[f->order[i]];
        else
            memcpy(to + r * n, from, sizeof *to * (size_t)n);
        for (long i = 0; f->dead && i < n; i++)
            if (f->dead[f->order ? f->order[i] : i])
                to[r * n + i] = 0;
    }
}

/* lanes[i][l] = tile[l][i], with zeros in the lanes that have no row. */
static void to_lanes(const float *tile, long stride, int rows, int columns, double *lanes)
{
    if (rows < LANES)
        memset(lanes, 0, sizeof *lanes * LANES * (size_t)columns);
    for (int l = 0; l < rows; l++)
        for (int i = 0; i < columns; i++)
            lanes[i * LANES + l] = (double)tile[l * stride + i];
}

static void from_lanes(const float *lanes, int rows, int columns, float *tile, long stride)
{
    for (int l = 0; l < rows; l++)
        for (int i = 0; i < columns; i++)
            tile[l * stride + i] = lanes[i * LANES + l];
}

static void clear_pruned(const struct feedback *f, const struct feedback_column *column)
{
    long at = f->order ? f->order[column->column] : column->column;
    for (long l = 0; l < column->count; l++)
        if (!f->kept[(column->row + l) * f->columns + at])
            column->q[l] = 0;
}

/* One block for LANES rows. Within the block in float64: a float32 weight would collect the
 * roundings of all the columns before it; so decisions are as close to exact arithmetic as the
 * products between blocks let them be. */
static double quantize_block(struct run *run, struct feedback_column *column, int block_start,
                             int width)
{
    const struct feedback *f = run->feedback;
    double *w = run->lanes + (long)column->worker * f->block * LANES, sums[LANES] = {0};
    float *q = run->outputs + (long)column->worker * 2 * f->block * LANES,
          *errors = q + (long)f->block * LANES;
    const float *tile = column->later;
    uint8_t *codes = run->bytes + (long)column->worker * 2 * f->block * LANES,
            *marks = codes + (long)f->block * LANES;
    for (long l = 0; f->marks && l < column->count; l++)
        for (int i = 0; i < width; i++)
            marks[i * LANES + l] = f->marks[(column->row + l) * f->columns + block_start + i];
    to_lanes(tile, column->stride, column->count, width, w);
    for (int i = 0; i < width; i++) {
        float rounded[LANES];
        double error[LANES];
        for (int l = 0; l < LANES; l++)
            rounded[l] = (float)w[i * LANES + l];
        column->column = block_start + i;
        column->w = rounded;
        column->q = q + i * LANES;
        column->codes = codes + i * LANES;
        column->marks = marks + i * LANES;
        column->later = tile + i;
        f->quantize(f->context, column);
        if (f->kept)
            clear_pruned(f, column);
        if (!f->upper)
            continue;
        const float *u = f->upper + (long)(block_start + i) * f->columns + block_start + i;
        for (int l = 0; l < LANES; l++) {
            error[l] = (w[i * LANES + l] - (double)q[i * LANES + l]) / (double)u[0];
            errors[i * LANES + l] = (float)error[l];
            sums[l] += error[l] * error[l];
        }
        simd.feed_back(w + (i + 1) * LANES, error, u + 1, width - i - 1);
    }
    double sum = 0;
    for (int l = 0; l < column->count; l++)
        sum += sums[l];
    return sum;
}

/* The lanes' results to their places. */
static void scatter(const struct feedback *f, const float *lanes, const uint8_t *codes, int row,
                    int count, int start, int width)
{
    for (long l = 0; l < count; l++)
        for (int i = 0; i < width; i++) {
            long at = (row + l) * f->columns + (f->order ? f->order[start + i] : start + i);
            f->quantized[at] = lanes[i * LANES + l];
            f->codes[at] = codes[i * LANES + l];
        }
}

/* Columns from .. from + count - 1 of the tile's weights take the errors of columns start .. start
 * + width - 1. */
static void update(const struct feedback *f, const struct run *run, int rows, const float *errors,
                   int start, int width, int from, int count, float *weights)
{
    if (count > 0)
        gemm(false, false, rows, count, width, -1.0f, errors, run->span,
             f->upper + (long)start * f->columns + from, f->columns, 1.0f, weights + from,
             f->columns);
}

static int run_tile(void *context, int index, int worker)
{
    struct run *run = context;
    const struct feedback *f = run->feedback;
    long n = f->columns;
    int first = index * run->tile_rows, rows = smaller(run->tile_rows, f->rows - first);
    float *weights = run->weights + (long)worker * run->tile_rows * n;
    float *errors = run->errors + (long)worker * run->tile_rows * run->span;
    const float *outputs = run->outputs + (long)worker * 2 * f->block * LANES;
    const uint8_t *bytes = run->bytes + (long)worker * 2 * f->block * LANES;
    double loss = 0;
    gather(f, first, rows, weights);
    for (int start = 0; start < n; start += f->block) {
        int width = smaller(f->block, f->columns - start), behind = start + width;
        int span_start = start - start % run->span,
            span_end = smaller(span_start + run->span, f->columns);
        float *block_errors = errors + (start - span_start);
        for (int r = 0; r < rows; r += LANES) {
            struct feedback_column column = {.worker = worker,
                                             .row = first + r,
                                             .count = smaller(LANES, rows - r),
                                             .later = weights + r * n + start,
                                             .stride = n};
            loss += quantize_block(run, &column, start, width);
            scatter(f, outputs, bytes, first + r, column.count, start, width);
            if (f->upper)
                from_lanes(outputs + (long)f->block * LANES, column.count, width,
                           block_errors + (long)r * run->span, run->span);
        }
        if (!f->upper)
            continue;
        if (behind < span_end) /* at once within the span, since the next block is in it */
            update(f, run, rows, block_errors, start, width, behind, span_end - behind, weights);
        else
            update(f, run, rows, errors, span_start, span_end - span_start, span_end,
                   f->columns - span_end, weights);
    }
    run->losses[index] = loss / 2;
    return 0;
}

int feedback_run(struct feedback *f)
{
    struct run run = {.feedback = f};
    int rc = 0, workers = pool_threads();
    /* Tall tiles make the products fast, many tiles share out well; whole multiples of LANES. */
    run.tile_rows = f->rows >= 8192   ? 512
                    : f->rows >= 4096 ? 256
                    : f->rows >= 1024 ? 128
                    : f->rows >= 512  ? 64
                                      : LANES;
    run.tiles = (f->rows + run.tile_rows - 1) / run.tile_rows;
    run.span = f->dynamic || f->block >= SPAN ? f->block : SPAN / f->block * f->block;
    size_t tile = (size_t)workers * (size_t)run.tile_rows;
    TRY(arena_alloc(f->arena, &run.weights, tile * (size_t)f->columns, sizeof *run.weights));
    TRY(arena_alloc(f->arena, &run.errors, tile * (size_t)run.span, sizeof *run.errors));
    TRY(arena_alloc(f->arena, &run.lanes, (size_t)workers * LANES * (size_t)f->block,
                    sizeof *run.lanes));
    TRY(arena_alloc(f->arena, &run.outputs, (size_t)workers * 2 * LANES * (size_t)f->block,
                    sizeof *run.outputs));
    TRY(arena_calloc(f->arena, &run.bytes, (size_t)workers * 2 * LANES * (size_t)f->block, 1));
    TRY(arena_alloc(f->arena, &run.losses, (size_t)run.tiles, sizeof *run.losses));
    TRY(pool_run(run_tile, &run, run.tiles));
    f->loss = 0;
    for (int i = 0; i < run.tiles; i++)
        f->loss += run.losses[i];
out:
    return rc;
}
