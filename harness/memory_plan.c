#include "harness/memory_plan.h"

#include "core/err.h"
#include "core/pool.h"
#include "core/size.h"
#include "harness/memory_limit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

/* Bytes for each weight of a layer while it is quantized, beside W itself: W_q, the method's copy
 * of W and its codes, the packed arrays, W - W_q. Measured: docs/memory.md. */
static const double method_bytes = 24;

static double least(double a, double b)
{
    return a < b ? a : b;
}

static double most(double a, double b)
{
    return a > b ? a : b;
}

struct memory_stream memory_stream_of(const struct stream *stream)
{
    return stream && stream->rows > 0
               ? (struct memory_stream){stream->rows, stream_largest_chunk(stream)}
               : (struct memory_stream){0};
}

void memory_needs_of(const struct model *model, const struct point *point,
                     const struct stream *calibration, const struct stream *evaluation,
                     struct memory_needs *needs)
{
    *needs = (struct memory_needs){.config = &model->config,
                                   .calibration = memory_stream_of(calibration),
                                   .evaluation = memory_stream_of(evaluation),
                                   .quantizes = point->method != NULL,
                                   .factorizes = layer_plan_caps(point) & QM_NEEDS_HESSIAN};
    needs->drifts = point->harness.drift && needs->calibration.rows > 0 &&
                    needs->evaluation.rows > 0;
}

static double weights_of(const struct linear *linear)
{
    return (double)linear->out * linear->in;
}

static void measure_block(const struct memory_needs *needs, struct memory_plan *plan)
{
    const struct block *block = needs->block;
    double weights = 0, columns = 0, width = needs->config->width;
    for (int i = 0; i < block->linear_count; i++) {
        const struct linear *linear = &block->linears[i];
        bool first = i == 0 || linear->input != block->linears[i - 1].input;
        weights += weights_of(linear);
        columns += linear->out + (first ? linear->in : 0);
        if (first && needs->calibration.rows > 0)
            plan->bytes[MEMORY_HESSIANS] += 4.0 * linear->in * linear->in;
    }
    plan->bytes[MEMORY_BLOCK] = 4 * weights;
    /* The weights once more, laid out for the products, and every input and output of a layer. */
    double rows = most(needs->calibration.chunk, needs->evaluation.chunk);
    plan->bytes[MEMORY_PASS] = 4 * (weights + rows * (columns + width));
    if (needs->evaluation.rows > 0) { /* rows, a share for each part of the vocabulary, its panels
                                       */
        double scored = least(needs->evaluation.rows, STREAM_SCORED_ROWS),
               sides = needs->reference.chunk > 0 ? 2 : 1;
        double scoring = (4 + 4 * sides) * scored * width +
                         16 * sides * scored * needs->config->vocabulary / 256 +
                         4.0 * pool_threads() * 256 * (width + 128 * sides);
        plan->bytes[MEMORY_PASS] = most(plan->bytes[MEMORY_PASS], scoring);
    }
}

/* The most that any layer takes while it is quantized, the Hessians that are still needed then
 * included: they go when their last layer is done. */
static double quantizing_bytes(const struct memory_needs *needs, double *method)
{
    const struct block *block = needs->block;
    double peak = 0;
    for (int i = 0; i < block->linear_count; i++) {
        const struct linear *linear = &block->linears[i];
        double left = 0, squares = (double)linear->in * linear->in;
        for (int k = i; needs->calibration.rows > 0 && k < block->linear_count; k++)
            if (k == i || block->linears[k].input != block->linears[k - 1].input)
                left += 4.0 * block->linears[k].in * block->linears[k].in;
        double scratch = method_bytes * weights_of(linear);
        if (needs->factorizes) /* the factor, and float64 working memory while it is made */
            scratch = 4 * squares + most(scratch, 8 * squares + 4 * weights_of(linear));
        *method = most(*method, scratch);
        peak = most(peak, left + scratch);
    }
    return peak;
}

/* Fills bytes and peak for streams that lie where the files say. */
static void add_up(const struct memory_needs *needs, double quantizing, struct memory_plan *plan)
{
    double *bytes = plan->bytes, row = 4.0 * needs->config->width;
    const struct memory_stream *calibration = &needs->calibration, *evaluation = &needs->evaluation;
    bytes[MEMORY_CALIBRATION] = (needs->drifts ? 2 : 1) * row *
                                (plan->calibration_file > 0 ? calibration->chunk
                                                            : calibration->rows);
    bytes[MEMORY_EVALUATION] = row *
                               (plan->evaluation_file > 0 ? evaluation->chunk : evaluation->rows);
    bytes[MEMORY_REFERENCE] = row * (plan->reference_file > 0 ? needs->reference.chunk
                                                              : needs->reference.rows);
    plan->peak = bytes[MEMORY_HELD] + bytes[MEMORY_BLOCK] + bytes[MEMORY_CALIBRATION] +
                 bytes[MEMORY_EVALUATION] + bytes[MEMORY_REFERENCE] +
                 most(bytes[MEMORY_PASS] + bytes[MEMORY_HESSIANS], quantizing);
}

static int check_limit(const struct memory_plan *plan)
{
    char need[SIZE_TEXT], have[SIZE_TEXT], block[SIZE_TEXT];
    if (plan->peak <= plan->limit)
        return 0;
    size_text(plan->peak, need);
    size_text(plan->limit, have);
    size_text(plan->bytes[MEMORY_BLOCK], block);
    return err_set(ERR_MEMORY,
                   "a memory limit of %s is too small: about %s are needed with all hidden states "
                   "in files (a block alone takes %s); allow more by --memory, or measure less",
                   have, need, block);
}

static int check_folder(const struct memory_plan *plan)
{
    struct statvfs disk;
    char need[SIZE_TEXT], have[SIZE_TEXT];
    double files = plan->calibration_file + plan->evaluation_file + plan->reference_file;
    if (!plan->folder)
        return 0;
    if (statvfs(plan->folder, &disk) != 0)
        return err_set(ERR_IO,
                       "%s: hidden states cannot be spilled there: %s; name another folder by "
                       "--spill-dir, or allow more by --memory",
                       plan->folder, strerror(errno));
    double room = (double)disk.f_bavail * (double)disk.f_frsize;
    if (files <= room)
        return 0;
    size_text(files, need);
    size_text(room, have);
    return err_set(ERR_IO,
                   "%s: %s of hidden states have to be spilled there, and it has room for %s; name "
                   "another folder by --spill-dir, allow more by --memory, or measure less",
                   plan->folder, need, have);
}

int memory_plan_make(const struct memory_needs *needs, struct memory_plan *plan)
{
    struct memory_plan p = {.limit = (double)memory_limit()};
    double row = 4.0 * needs->config->width,
           calibration = (needs->drifts ? 2 : 1) * row * needs->calibration.rows,
           evaluation = row * needs->evaluation.rows, reference = row * needs->reference.rows,
           quantizing = 0;
    const double choices[][3] = {{0, 0, 0},
                                 {0, 0, reference},
                                 {0, evaluation, reference},
                                 {calibration, 0, reference},
                                 {calibration, evaluation, reference}};
    measure_block(needs, &p);
    if (needs->quantizes)
        quantizing = quantizing_bytes(needs, &p.bytes[MEMORY_METHOD]);
    p.bytes[MEMORY_HELD] = needs->held;
    for (int i = 0; i < (int)(sizeof choices / sizeof *choices); i++) {
        p.calibration_file = choices[i][0];
        p.evaluation_file = choices[i][1];
        p.reference_file = choices[i][2];
        add_up(needs, quantizing, &p);
        if (p.peak <= p.limit)
            break;
    }
    if (p.calibration_file + p.evaluation_file + p.reference_file > 0)
        p.folder = memory_spill_folder();
    *plan = p;
    int rc = check_limit(&p);
    return rc ? rc : check_folder(&p);
}

void memory_plan_print(const struct memory_plan *plan)
{
    static const char *const names[MEMORY_PARTS] = {
        [MEMORY_HELD] = "weights outside the blocks, texts",
        [MEMORY_BLOCK] = "a block in float32",
        [MEMORY_PASS] = "forward pass of a chunk",
        [MEMORY_HESSIANS] = "Hessians",
        [MEMORY_METHOD] = "quantizing a layer",
        [MEMORY_CALIBRATION] = "states of the calibration",
        [MEMORY_EVALUATION] = "states of the evaluation",
        [MEMORY_REFERENCE] = "states of the full model"};
    char size[SIZE_TEXT], limit[SIZE_TEXT];
    for (int i = 0; i < MEMORY_PARTS; i++) {
        double file = i == MEMORY_CALIBRATION  ? plan->calibration_file
                      : i == MEMORY_EVALUATION ? plan->evaluation_file
                      : i == MEMORY_REFERENCE  ? plan->reference_file
                                               : 0;
        if (plan->bytes[i] == 0)
            continue;
        size_text(plan->bytes[i], size);
        printf("  %-34s %10s", names[i], size);
        size_text(file, size);
        printf(file > 0 ? ", and %s in %s\n" : "\n", size, plan->folder);
    }
    size_text(plan->peak, size);
    size_text(plan->limit, limit);
    printf("  %-34s %10s of the %s allowed\n", "at the peak, not all at once", size, limit);
}
