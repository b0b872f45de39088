/* Round to nearest: each weight on its own, on a grid of 2^bits values fitted to its row or group.
 * The baseline of every paper; its quantizer is the one in GPTQ's code (arXiv:2210.17323). */
#include "core/err.h"
#include "core/pool.h"
#include "methods/common_options.h"
#include "methods/grid.h"
#include "methods/method.h"
#include "methods/uniform.h"

#include <math.h>
#include <string.h>

enum { SCHEME_MINMAX, SCHEME_SIGN_MEAN };

struct rtn_options {
    int bits, group_size, scheme, scale_bits;
    bool sym, mse, trits;
};

#define FIELD(field) offsetof(struct rtn_options, field)
static const struct option rtn_options[] = {
    COMMON_BITS(struct rtn_options),
    COMMON_SYM(struct rtn_options),
    COMMON_GROUP_SIZE(struct rtn_options),
    COMMON_MSE(struct rtn_options),
    {.name = "trits",
     .type = OPTION_BOOL,
     .offset = FIELD(trits),
     .fallback = "false",
     .help = "three values, the smallest weight, 0 and the largest (with bits: 2)"},
    {.name = "scheme",
     .type = OPTION_CHOICE,
     .offset = FIELD(scheme),
     .fallback = "minmax",
     .choices = "minmax|sign_mean",
     .help =
         "minmax: a grid over the range; sign_mean: the sign times the mean of |w| (with bits: 1)"},
    COMMON_SCALE_BITS(struct rtn_options),
    {0}};

static int rtn_check(const void *options)
{
    const struct rtn_options *o = options;
    if (o->scheme == SCHEME_SIGN_MEAN && (o->bits != 1 || o->mse || o->sym || o->trits))
        return err_set(
            ERR_USAGE,
            "rtn: scheme sign_mean has one bit a weight and no range: it goes with bits 1 and "
            "without sym, mse and trits");
    if (o->trits && (o->bits != 2 || o->mse))
        return err_set(ERR_USAGE,
                       "rtn: trits has three values: it goes with bits 2 and without mse");
    return 0;
}

static struct grid rtn_grid(const struct rtn_options *o, int rows, int columns)
{
    return (struct grid){.kind = o->scheme == SCHEME_SIGN_MEAN ? GRID_SIGN
                                 : o->trits                    ? GRID_TRITS
                                 : o->sym                      ? GRID_SYMMETRIC
                                                               : GRID_UNIFORM,
                         .rows = rows,
                         .columns = columns,
                         .bits = o->bits,
                         .half = o->scale_bits == 1,
                         .group = o->group_size < 0 || o->group_size > columns ? columns
                                                                               : o->group_size};
}

struct rtn_work {
    const struct rtn_options *options;
    const struct layer_problem *problem;
    struct grid grid;
    struct grid_arrays arrays;
    struct uniform uniform;
    float *quantized;
};

enum { ROWS_A_TASK = 8 };

/* sign(w) mean|w|, with sign(0) = 1 so that one bit is enough. */
static void sign_mean(const struct rtn_work *work, const float *w, int count, float *scale,
                      uint8_t *codes, float *values)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += (double)fabsf(w[i]);
    *scale = (float)(sum / count);
    if (work->grid.half)
        *scale = uniform_half(*scale);
    for (int i = 0; i < count; i++) {
        codes[i] = w[i] >= 0;
        values[i] = grid_value(&work->grid, codes[i], *scale, 0);
    }
}

static int rtn_rows(void *context, long first, long end, int worker)
{
    const struct rtn_work *work = context;
    const struct grid *g = &work->grid;
    int groups = grid_groups(g);
    for (long r = first; r < end; r++)
        for (long k = 0; k < groups; k++) {
            long at = r * g->columns + k * g->group, scale = r * groups + k;
            int count = k == groups - 1 ? g->columns - (int)k * g->group : g->group;
            const float *w = work->problem->weight + at;
            uint8_t *codes = work->arrays.codes + at;
            float *s = work->arrays.scale + scale;
            if (g->kind == GRID_SIGN) {
                sign_mean(work, w, count, s, codes, work->quantized + at);
                continue;
            }
            float *z = work->arrays.zero + scale;
            uniform_fit(&work->uniform, w, count, s, z);
            uniform_quantize(&work->uniform, w, count, *s, *z, codes, work->quantized + at);
        }
    return 0;
}

static int rtn_quantize(const void *options, const struct layer_problem *problem,
                        struct layer_result *result)
{
    const struct rtn_options *o = options;
    struct rtn_work work = {.options = o,
                            .problem = problem,
                            .grid = rtn_grid(o, problem->rows, problem->columns),
                            .quantized = result->quantized};
    int rc = 0;
    TRY(layer_check(problem, false));
    work.uniform = (struct uniform){.bits = o->bits,
                                    .symmetric = o->sym,
                                    .mse = o->mse,
                                    .trits = o->trits,
                                    .half = work.grid.half};
    TRY(grid_add_details(&work.grid, &result->details, &work.arrays));
    TRY(pool_run_rows(rtn_rows, &work, problem->rows, ROWS_A_TASK));
    result->paper_bits = grid_paper_bits(&work.grid);
    layer_check_group(result, "group_size", o->group_size, problem->columns);
out:
    if (rc)
        packed_release(&result->details);
    return rc;
}

GRID_METHOD(rtn)

const struct quant_method method_rtn = {
    .name = "rtn",
    .title = "Round to nearest",
    .paper = "arXiv:2210.17323 (its baseline)",
    .version = 1,
    .caps = QM_PACKS | QM_MATVEC,
    .options = rtn_options,
    .options_size = sizeof(struct rtn_options),
    .check = rtn_check,
    .quantize_layer = rtn_quantize,
    .pack = rtn_pack,
    .unpack = rtn_unpack,
    .matvec = rtn_matvec,
};
