/* GPTQ (Frantar et al., arXiv:2210.17323): round to nearest with error feedback through the inverse
 * Hessian's Cholesky factor. Decisions follow the authors' code: see docs/methods/gptq.md. */
#include "core/err.h"
#include "core/pool.h"
#include "methods/common_options.h"
#include "methods/feedback.h"
#include "methods/grid.h"
#include "methods/method.h"
#include "methods/uniform.h"

#include <string.h>

struct gptq_options {
    int bits, group_size, block_size, scale_bits;
    bool sym, act_order, static_groups, mse;
    double percdamp;
};

#define FIELD(field) offsetof(struct gptq_options, field)
static const struct option gptq_options[] = {
    COMMON_BITS(struct gptq_options),
    COMMON_SYM(struct gptq_options),
    COMMON_GROUP_SIZE(struct gptq_options),
    {.name = "act_order",
     .type = OPTION_BOOL,
     .offset = FIELD(act_order),
     .fallback = "false",
     .help = "columns in the order of descending Hessian diagonal"},
    {.name = "static_groups",
     .type = OPTION_BOOL,
     .offset = FIELD(static_groups),
     .fallback = "false",
     .help = "scales of all groups from the original weights, before any feedback"},
    COMMON_MSE(struct gptq_options),
    COMMON_PERCDAMP(struct gptq_options),
    COMMON_BLOCK_SIZE(struct gptq_options),
    COMMON_SCALE_BITS(struct gptq_options),
    {0}};

static int gptq_check(const void *options)
{
    const struct gptq_options *o = options;
    if (o->static_groups && o->group_size < 0)
        return err_set(ERR_USAGE, "gptq: static_groups needs a group_size");
    return 0;
}

static struct grid gptq_grid(const struct gptq_options *o, int rows, int columns)
{
    bool whole = o->group_size < 0 || o->group_size >= columns;
    return (struct grid){.kind = o->sym ? GRID_SYMMETRIC : GRID_UNIFORM,
                         .rows = rows,
                         .columns = columns,
                         .bits = o->bits,
                         .half = o->scale_bits == 1,
                         .group = whole ? columns : o->group_size,
                         .ordered = o->act_order && !o->static_groups && !whole};
}

struct gptq_work {
    const struct gptq_options *options;
    const struct layer_problem *problem;
    struct grid grid;
    struct grid_arrays arrays;
    struct uniform uniform;
    const int *order; /* or NULL */
    bool *dead;
    int groups, block;
    bool dynamic;   /* groups are fitted when they begin, in the order of processing */
    float *lanes;   /* per worker: scale and zero of FEEDBACK_LANES rows */
    float *scratch; /* per worker: one row of a group */
};

enum { ROWS_A_TASK = 8 };

/* Scales of all groups from the original weights; dead columns count as 0 only with groups, as in
 * the reference. */
static int fit_rows(void *context, long first, long end, int worker)
{
    const struct gptq_work *work = context;
    const struct grid *g = &work->grid;
    float *row = work->scratch + (long)worker * g->columns;
    for (long r = first; r < end; r++) {
        memcpy(row, work->problem->weight + r * g->columns, sizeof *row * (size_t)g->columns);
        for (int i = 0; work->options->static_groups && i < g->columns; i++)
            if (work->dead[i])
                row[i] = 0;
        for (int k = 0; k < work->groups; k++) {
            int count = k == work->groups - 1 ? g->columns - k * g->group : g->group;
            uniform_fit(&work->uniform, row + (long)k * g->group, count,
                        work->arrays.scale + r * work->groups + k,
                        work->arrays.zero + r * work->groups + k);
        }
    }
    return 0;
}

/* Fits group k for the column's rows to the weights as they stand. */
static void fit_group(const struct gptq_work *work, const struct feedback_column *c, int k)
{
    const struct grid *g = &work->grid;
    int count = k == work->groups - 1 ? g->columns - k * g->group : g->group;
    for (int l = 0; l < c->count; l++) {
        long at = (long)(c->row + l) * work->groups + k;
        uniform_fit(&work->uniform, c->later + l * c->stride, count, work->arrays.scale + at,
                    work->arrays.zero + at);
    }
}

static void gptq_column(void *context, const struct feedback_column *c)
{
    const struct gptq_work *work = context;
    const struct grid *g = &work->grid;
    int original = work->order ? work->order[c->column] : c->column;
    int position = work->dynamic ? c->column : original, k = position / g->group;
    float *scale = work->lanes + (long)c->worker * 2 * FEEDBACK_LANES,
          *zero = scale + FEEDBACK_LANES;
    if (work->dynamic && position % g->group == 0)
        fit_group(work, c, k);
    if (c->column % work->block == 0 || position % g->group == 0 ||
        (work->order && work->groups > 1))
        for (int l = 0; l < FEEDBACK_LANES; l++) {
            long at = (long)(c->row + (l < c->count ? l : 0)) * work->groups + k;
            scale[l] = work->arrays.scale[at];
            zero[l] = work->arrays.zero[at];
        }
    uniform_quantize_each(&work->uniform, c->w, FEEDBACK_LANES, scale, zero, c->codes, c->q);
}

static int prepare(struct gptq_work *work, const struct hessian_factor *factor)
{
    const struct layer_problem *problem = work->problem;
    size_t columns = (size_t)problem->columns, workers = (size_t)pool_threads();
    const float *h = problem->hessian->matrix;
    int rc = 0;
    TRY(arena_alloc(problem->arena, &work->dead, columns, sizeof *work->dead));
    TRY(arena_alloc(problem->arena, &work->lanes, workers * 2 * FEEDBACK_LANES,
                    sizeof *work->lanes));
    TRY(arena_alloc(problem->arena, &work->scratch, workers * columns, sizeof *work->scratch));
    for (size_t i = 0; i < columns; i++)
        work->dead[i] = h[i * columns + i] == 0;
    work->order = factor->order;
    work->dynamic = work->groups > 1 && !work->options->static_groups;
    for (size_t i = 0; work->arrays.perm && i < columns; i++)
        work->arrays.perm[i] = factor->order[i];
    if (!work->dynamic)
        TRY(pool_run_rows(fit_rows, work, problem->rows, ROWS_A_TASK));
out:
    return rc;
}

static int gptq_quantize(const void *options, const struct layer_problem *problem,
                         struct layer_result *result)
{
    const struct gptq_options *o = options;
    const struct hessian_factor *factor;
    struct gptq_work work = {
        .options = o, .problem = problem, .grid = gptq_grid(o, problem->rows, problem->columns)};
    struct feedback feedback = {.rows = problem->rows,
                                .columns = problem->columns,
                                .block = feedback_block(o->block_size, problem->columns),
                                .weight = problem->weight,
                                .kept = problem->kept,
                                .quantized = result->quantized,
                                .quantize = gptq_column,
                                .context = &work,
                                .arena = problem->arena};
    int rc = 0;
    TRY(layer_check(problem, true));
    TRY(layer_factor(problem, o->percdamp, o->act_order, result, &factor));
    work.groups = grid_groups(&work.grid);
    work.block = feedback.block;
    work.uniform = (struct uniform){
        .bits = o->bits, .symmetric = o->sym, .mse = o->mse, .half = work.grid.half};
    TRY(grid_add_details(&work.grid, &result->details, &work.arrays));
    TRY(prepare(&work, factor));
    feedback.upper = factor->upper;
    feedback.order = factor->order;
    feedback.dead = work.dead;
    feedback.codes = work.arrays.codes;
    feedback.dynamic = work.dynamic;
    TRY(feedback_run(&feedback));
    result->paper_bits = grid_paper_bits(&work.grid);
    layer_check_group(result, "group_size", o->group_size, problem->columns);
out:
    if (rc)
        packed_release(&result->details);
    return rc;
}

GRID_METHOD(gptq)

const struct quant_method method_gptq = {
    .name = "gptq",
    .title = "GPTQ",
    .paper = "arXiv:2210.17323",
    .version = 1,
    .caps = QM_NEEDS_HESSIAN | QM_PACKS | QM_MATVEC,
    .options = gptq_options,
    .options_size = sizeof(struct gptq_options),
    .check = gptq_check,
    .quantize_layer = gptq_quantize,
    .pack = gptq_pack,
    .unpack = gptq_unpack,
    .matvec = gptq_matvec,
};
