/* BitNet b1.58's weight quantizer (Ma et al., arXiv:2402.17764, equations 1 to 3), as a
 * post-training method: each weight becomes -1, 0 or 1 times the mean size of the matrix's weights.
 */
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "methods/common_options.h"
#include "methods/grid.h"
#include "methods/method.h"
#include "methods/uniform.h"

#include <math.h>
#include <string.h>

enum { BY_MATRIX, BY_ROW, BY_GROUP };

struct bitnet_options {
    int granularity, group_size, activation_bits, scale_bits;
};

#define FIELD(field) offsetof(struct bitnet_options, field)
static const struct option bitnet_options[] = {
    {.name = "granularity",
     .type = OPTION_CHOICE,
     .offset = FIELD(granularity),
     .fallback = "matrix",
     .choices = "matrix|row|group",
     .help = "which weights share a scale; matrix is the paper's"},
    {.name = "group_size",
     .type = OPTION_INT,
     .offset = FIELD(group_size),
     .fallback = "128",
     .low = 1,
     .high = 1 << 20,
     .help = "columns of a group, with granularity group"},
    {.name = "activation_bits",
     .type = OPTION_INT,
     .offset = FIELD(activation_bits),
     .fallback = "0",
     .low = 2,
     .high = 8,
     .special = "0=not quantized",
     .help = "bits of the layer's inputs, on a grid up to each token's largest; the paper's "
             "models have 8"},
    COMMON_SCALE_BITS(struct bitnet_options),
    {0}};

static struct grid bitnet_grid(const struct bitnet_options *o, int rows, int columns)
{
    return (struct grid){
        .kind = GRID_TERNARY,
        .rows = rows,
        .columns = columns,
        .half = o->scale_bits == 1,
        .one_scale = o->granularity == BY_MATRIX,
        .group = o->granularity == BY_GROUP && o->group_size < columns ? o->group_size : columns};
}

struct work {
    const struct layer_problem *problem;
    struct grid grid;
    struct grid_arrays arrays;
    float *quantized;
    double *sums; /* of |w|, per row */
};

enum { ROWS_A_TASK = 16 };

static double sum_sizes(const float *w, long count)
{
    double sums[8] = {0};
    long i = 0;
    for (; i + 8 <= count; i += 8)
        for (int l = 0; l < 8; l++)
            sums[l] += (double)fabsf(w[i + l]);
    for (; i < count; i++)
        sums[0] += (double)fabsf(w[i]);
    return ((sums[0] + sums[4]) + (sums[1] + sums[5])) +
           ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

static int sum_rows(void *context, long first, long end, int worker)
{
    const struct work *work = context;
    long n = work->grid.columns;
    for (long r = first; r < end; r++)
        work->sums[r] = sum_sizes(work->problem->weight + r * n, n);
    return 0;
}

/* T = clamp(round(w / (gamma + 1e-5)), -1, 1): beyond half of gamma, a tie going to 0. */
static int code_of(float w, float gamma)
{
    float ratio = w / (gamma + 1e-5f);
    return ratio > 0.5f ? 2 : ratio < -0.5f ? 0 : 1;
}

static int quantize_rows(void *context, long first, long end, int worker)
{
    const struct work *work = context;
    const struct grid *g = &work->grid;
    long n = g->columns, groups = grid_groups(g);
    for (long r = first; r < end; r++)
        for (long i = 0; i < n; i++) {
            float *scale = work->arrays.scale + (g->one_scale ? 0 : r * groups + i / g->group);
            const float *w = work->problem->weight + r * n + i;
            if (!g->one_scale && i % g->group == 0) {
                long count = n - i < g->group ? n - i : g->group;
                *scale = (float)(sum_sizes(w, count) / (double)count);
                *scale = g->half ? uniform_half(*scale) : *scale;
            }
            work->arrays.codes[r * n + i] = (uint8_t)code_of(*w, *scale);
            work->quantized[r * n + i] = grid_value(g, work->arrays.codes[r * n + i], *scale, 0);
        }
    return 0;
}

static int bitnet_quantize(const void *options, const struct layer_problem *problem,
                           struct layer_result *result)
{
    const struct bitnet_options *o = options;
    struct work work = {.problem = problem,
                        .quantized = result->quantized,
                        .grid = bitnet_grid(o, problem->rows, problem->columns)};
    int rc = 0;
    TRY(layer_check(problem, false));
    TRY(grid_add_details(&work.grid, &result->details, &work.arrays));
    if (work.grid.one_scale) {
        double sum = 0;
        TRY(arena_alloc(problem->arena, &work.sums, (size_t)problem->rows, sizeof *work.sums));
        TRY(pool_run_rows(sum_rows, &work, problem->rows, ROWS_A_TASK));
        for (int r = 0; r < problem->rows; r++)
            sum += work.sums[r];
        float gamma = (float)(sum / problem->rows / problem->columns);
        work.arrays.scale[0] = work.grid.half ? uniform_half(gamma) : gamma;
    }
    TRY(pool_run_rows(quantize_rows, &work, problem->rows, ROWS_A_TASK));
    result->paper_bits = grid_paper_bits(&work.grid);
    if (o->granularity == BY_GROUP)
        layer_check_group(result, "group_size", o->group_size, problem->columns);
out:
    if (rc)
        packed_release(&result->details);
    return rc;
}

GRID_METHOD(bitnet)

/* ---- the operator with quantized activations ---- */

static bool bitnet_operates(const void *options)
{
    return ((const struct bitnet_options *)options)->activation_bits > 0;
}

/* to = x on a grid of 2^(bits - 1) - 1 steps up to the largest |x| of the token (BitNet,
 * arXiv:2310.11453, equation 4, without its epsilon: a token of zeros stays one). */
static void round_token(const float *x, int count, int bits, float *to)
{
    float largest = 0, top = (float)((1 << (bits - 1)) - 1);
    for (int i = 0; i < count; i++)
        largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    for (int i = 0; i < count; i++)
        to[i] = largest > 0 ? rintf(x[i] / largest * top) * (largest / top) : 0;
}

static int bitnet_operate(const void *options, const float *weight, int rows, int columns,
                          const float *x, int tokens, float *y)
{
    const struct bitnet_options *o = options;
    float *rounded = NULL;
    int rc = 0;
    TRY(mem_alloc(&rounded, (size_t)tokens * (size_t)columns, sizeof *rounded));
    for (long t = 0; t < tokens; t++)
        round_token(x + t * columns, columns, o->activation_bits, rounded + t * columns);
    TRY(matmul_nt(rounded, weight, tokens, rows, columns, 0, y));
out:
    mem_free(rounded);
    return rc;
}

const struct quant_method method_bitnet = {
    .name = "bitnet",
    .title = "BitNet b1.58 (absmean)",
    .paper = "arXiv:2402.17764",
    .version = 1,
    .caps = QM_PACKS | QM_MATVEC,
    .options = bitnet_options,
    .options_size = sizeof(struct bitnet_options),
    .quantize_layer = bitnet_quantize,
    .pack = bitnet_pack,
    .unpack = bitnet_unpack,
    .matvec = bitnet_matvec,
    .operates = bitnet_operates,
    .operate = bitnet_operate,
};
