/* PB-LLM (Shang et al., arXiv:2310.00034), post-training: a salient share of the weights keeps
 * high_bits on a grid, the others are binarized, GPTQ's error feedback corrects both. Decisions
 * follow the authors' code: see docs/methods/pb-llm.md for where it differs from the paper. */
#include "methods/pbllm.h"

#include "core/err.h"
#include "core/pool.h"
#include "linalg/select.h"
#include "methods/common_options.h"
#include "methods/feedback.h"
#include "methods/uniform.h"

#include <math.h>
#include <string.h>

enum { METRIC_MAGNITUDE, METRIC_HESSIAN };
enum { LANES = FEEDBACK_LANES, ROWS_A_TASK = 16 };

#define FIELD(field) offsetof(struct pbllm_options, field)
static const struct option pbllm_options[] = {
    {.name = "low_method",
     .type = OPTION_CHOICE,
     .offset = FIELD(low_method),
     .fallback = "xnor",
     .choices = "xnor|sign|rtn|2bit|4bit|prune|no",
     .help = "what the weights that are not salient become"},
    {.name = "low_frac",
     .type = OPTION_REAL,
     .offset = FIELD(low_frac),
     .fallback = "0.9",
     .low = 0,
     .high = 1,
     .help = "share of the weights that are not salient"},
    {.name = "salient_frac",
     .type = OPTION_REAL,
     .alias_of = "low_frac",
     .complement = 1,
     .low = 0,
     .high = 1,
     .help = "share of the salient weights, the paper's r"},
    {.name = "salient_metric",
     .type = OPTION_CHOICE,
     .offset = FIELD(salient_metric),
     .fallback = "hessian",
     .choices = "magnitude|hessian",
     .help = "salience: |w|, or w^2 over the squared diagonal of the inverse's factor"},
    {.name = "high_bits",
     .type = OPTION_INT,
     .offset = FIELD(high_bits),
     .fallback = "8",
     .low = 1,
     .high = 8,
     .help = "bits of a salient weight"},
    {.name = "group_size",
     .type = OPTION_INT,
     .offset = FIELD(group_size),
     .fallback = "-1",
     .low = 1,
     .high = 1 << 20,
     .special = "-1=the whole row",
     .help = "columns that share low scales and a salience threshold"},
    COMMON_BLOCK_SIZE(struct pbllm_options),
    COMMON_PERCDAMP(struct pbllm_options),
    {.name = "gptq",
     .type = OPTION_BOOL,
     .offset = FIELD(gptq),
     .fallback = "true",
     .help = "error feedback; without it each weight is quantized as it is"},
    {.name = "follow",
     .type = OPTION_CHOICE,
     .offset = FIELD(follow),
     .fallback = "code",
     .choices = "code|paper",
     .help = "code: low statistics count salient weights as 0, 2bit and 4bit share a zero point's "
             "scale; paper: only low "
             "weights count, each row has its own"},
    COMMON_SCALE_BITS(struct pbllm_options),
    {0}};

int pbllm_low_bits(const struct pbllm_options *o)
{
    static const int bits[] = {
        [LOW_XNOR] = 1, [LOW_SIGN] = 1, [LOW_RTN] = 1, [LOW_2BIT] = 2, [LOW_4BIT] = 3};
    return o->low_method == LOW_PRUNE || o->low_method == LOW_NO ? 0 : bits[o->low_method];
}

struct work {
    const struct pbllm_options *options;
    const struct layer_problem *problem;
    int rows, columns, group, groups;
    struct uniform high;
    const bool *dead;
    float *divisors;       /* squared diagonal of the factor, for the hessian metric */
    uint8_t *mask, *codes; /* rows x columns */
    float *low_scale, *low_mean, *low_zero; /* groups x rows */
    float *high_scale, *high_zero;          /* rows */
    float *saliency;                        /* rows x group */
    uint8_t *left;                          /* per worker: group; where weights were pruned */
    float *low;  /* rows x 2: the range of the low weights, for 2bit and 4bit */
    int current; /* group */
    float threshold;
};

static float weight_at(const struct work *work, long row, long column)
{
    return work->dead[column] ? 0 : work->problem->weight[row * work->columns + column];
}

static int group_width(const struct work *work)
{
    int start = work->current * work->group;
    return work->columns - start < work->group ? work->columns - start : work->group;
}

static int rate_rows(void *context, long first, long end, int worker)
{
    const struct work *work = context;
    long start = (long)work->current * work->group, width = group_width(work), n = work->columns;
    const float *divisors = work->divisors + start;
    for (long r = first; r < end; r++) {
        const float *w = work->problem->weight + r * n + start;
        float *to = work->saliency + r * width;
        if (work->options->salient_metric == METRIC_HESSIAN)
            for (long i = 0; i < width; i++)
                to[i] = w[i] * w[i] / divisors[i];
        else
            for (long i = 0; i < width; i++)
                to[i] = fabsf(w[i]);
        for (long i = 0; i < width; i++)
            to[i] = work->dead[start + i] ? 0 : to[i];
    }
    return 0;
}

/* Statistics are of the weights that pruning left: w and its mask without the others, the mask in
 * the worker's scratch. */
static uint8_t *leave_out_pruned(const struct work *work, long at, const uint8_t *mask, float *w,
                                 long *count, int worker)
{
    const uint8_t *kept = work->problem->kept + at;
    uint8_t *left = work->left + (long)worker * work->group;
    long width = *count;
    *count = 0;
    for (long i = 0; i < width; i++)
        if (kept[i]) {
            left[*count] = mask[i];
            w[(*count)++] = w[i];
        }
    return left;
}

/* The group's mask and low statistics for a few rows; with the first group also the rows' high
 * grid. */
static int fit_rows(void *context, long first, long end, int worker)
{
    const struct work *work = context;
    const struct pbllm_options *o = work->options;
    long start = (long)work->current * work->group, width = group_width(work), n = work->columns;
    for (long r = first; r < end; r++) {
        float *w = work->saliency + r * width,
              *scale = work->low_scale + (long)work->current * work->rows + r;
        uint8_t *mask = work->mask + r * n + start;
        bool strict = o->follow == PBLLM_PAPER && o->low_frac < 1;
        for (long i = 0; i < width; i++)
            mask[i] = strict ? w[i] < work->threshold : w[i] <= work->threshold;
        for (long i = 0; i < width; i++)
            w[i] = weight_at(work, r, start + i);
        long count = width;
        if (work->problem->kept)
            mask = leave_out_pruned(work, r * n + start, mask, w, &count, worker);
        if (o->low_method == LOW_XNOR)
            pbllm_fit_xnor(o, w, mask, (int)count, scale,
                           work->low_mean + (long)work->current * work->rows + r);
        else if (o->low_method == LOW_SIGN || o->low_method == LOW_RTN)
            pbllm_fit_one_sided(o, w, mask, (int)count, scale);
        else if (o->low_method == LOW_2BIT || o->low_method == LOW_4BIT)
            pbllm_fit_range(o, w, mask, (int)count, scale, work->low + r);
        if (work->current == 0)
            uniform_fit(&work->high, work->problem->weight + r * n, work->columns,
                        work->high_scale + r, work->high_zero + r);
    }
    return 0;
}

/* The code divides every row's minimum by the scale of row number `group`; the paper's meaning is
 * its own. */
static void fit_zeros(struct work *work)
{
    const float *scale = work->low_scale + (long)work->current * work->rows;
    bool own = work->options->follow == PBLLM_PAPER || work->current >= work->rows;
    for (long r = 0; r < work->rows; r++) {
        float zero = rintf(-work->low[r] / scale[own ? r : work->current]);
        work->low_zero[(long)work->current * work->rows + r] = zero < 1e30f ? zero : 1e30f;
    }
}

static int fit_groups(struct work *work)
{
    int rc = 0;
    for (work->current = 0; work->current < work->groups; work->current++) {
        size_t count = (size_t)group_width(work) * (size_t)work->rows;
        size_t rank = (size_t)((double)count * work->options->low_frac);
        TRY(pool_run_rows(rate_rows, work, work->rows, ROWS_A_TASK));
        work->threshold = INFINITY; /* low_frac 1: all */
        if (rank < count)
            TRY(select_rank(work->saliency, count, rank, work->problem->arena, &work->threshold));
        TRY(pool_run_rows(fit_rows, work, work->rows, ROWS_A_TASK));
        if (work->low_zero)
            fit_zeros(work);
    }
out:
    return rc;
}

/* ---- columns ---- */

/* The paper's method, in steps that become vector code: low values and codes for all lanes, then
 * the mask picks. */
static void xnor_column(const struct work *work, const struct feedback_column *c, long group)
{
    float w[LANES], q[LANES], scale[LANES] = {0}, mean[LANES] = {0}, low[LANES];
    int32_t code[LANES], low_codes[LANES], mark[LANES];
    memcpy(w, c->w, sizeof w);
    memcpy(q, c->q, sizeof q);
    memcpy(scale, work->low_scale + group, sizeof *scale * (size_t)c->count);
    memcpy(mean, work->low_mean + group, sizeof *mean * (size_t)c->count);
    for (int l = 0; l < LANES; l++) {
        mark[l] = c->marks[l];
        code[l] = c->codes[l];
    }
    for (int l = 0; l < LANES; l++) {
        float centred = w[l] - mean[l];
        int32_t above = centred > 0, below = centred < 0, scaled = scale[l] != 0;
        low[l] = (float)(above - below) * scale[l] + mean[l];
        low_codes[l] = above + 2 * (scaled & ~(above | below) & 1);
    }
    for (int l = 0; l < LANES; l++) {
        q[l] = mark[l] ? low[l] : q[l];
        code[l] = mark[l] ? low_codes[l] : code[l];
    }
    for (int l = 0; l < LANES; l++)
        c->codes[l] = (uint8_t)code[l];
    memcpy(c->q, q, sizeof q);
}

static void pbllm_column(void *context, const struct feedback_column *c)
{
    const struct work *work = context;
    int low = work->options->low_method;
    float scale[LANES], zero[LANES];
    long group = (long)(c->column / work->group) * work->rows + c->row;
    for (int l = 0; l < LANES; l++) {
        scale[l] = work->high_scale[c->row + (l < c->count ? l : 0)];
        zero[l] = work->high_zero[c->row + (l < c->count ? l : 0)];
    }
    uniform_quantize_each(&work->high, c->w, LANES, scale, zero, c->codes, c->q);
    if (low == LOW_XNOR) {
        xnor_column(work, c, group);
        return;
    }
    for (int l = 0; l < c->count; l++)
        if (c->marks[l]) {
            float s = work->low_scale[group + l],
                  z = work->low_zero ? work->low_zero[group + l] : 0;
            c->codes[l] = (uint8_t)pbllm_low_code(work->options, c->w[l], s, z);
            c->q[l] = low == LOW_NO ? c->w[l] : pbllm_low_value(low, c->codes[l], s, 0, z);
        }
}

static int add_details(struct work *work, struct packed *details)
{
    size_t rows = (size_t)work->rows, columns = (size_t)work->columns,
           groups = (size_t)work->groups;
    int low = work->options->low_method, rc = 0;
    TRY(packed_add(details, "mask_low", ARRAY_U8, BITS_MASKS, rows, columns, &work->mask));
    TRY(packed_add(details, "codes", ARRAY_U8, BITS_PAYLOAD, rows, columns, &work->codes));
    TRY(packed_add(details, "low_scale", ARRAY_F32, BITS_SCALES, groups, rows, &work->low_scale));
    if (low == LOW_XNOR)
        TRY(packed_add(details, "low_mean", ARRAY_F32, BITS_SCALES, groups, rows, &work->low_mean));
    if (low == LOW_2BIT || low == LOW_4BIT)
        TRY(packed_add(details, "low_zero", ARRAY_F32, BITS_ZEROS, groups, rows, &work->low_zero));
    TRY(packed_add(details, "high_scale", ARRAY_F32, BITS_SCALES, rows, 1, &work->high_scale));
    TRY(packed_add(details, "high_zero", ARRAY_F32, BITS_ZEROS, rows, 1, &work->high_zero));
out:
    return rc;
}

static int prepare(struct work *work, const struct hessian_factor *factor,
                   struct layer_result *result)
{
    const struct layer_problem *p = work->problem;
    size_t rows = (size_t)work->rows, columns = (size_t)work->columns;
    bool *dead;
    int rc = 0;
    TRY(arena_alloc(p->arena, &dead, columns, sizeof *dead));
    TRY(arena_alloc(p->arena, &work->saliency, rows * (size_t)work->group, sizeof *work->saliency));
    if (p->kept)
        TRY(arena_alloc(p->arena, &work->left, (size_t)pool_threads() * (size_t)work->group, 1));
    TRY(arena_alloc(p->arena, &work->low, rows, sizeof *work->low));
    TRY(arena_alloc(p->arena, &work->divisors, columns, sizeof *work->divisors));
    for (size_t i = 0; i < columns; i++) {
        float d = factor->upper[i * columns + i];
        dead[i] = p->hessian->matrix[i * columns + i] == 0;
        work->divisors[i] = d * d;
    }
    work->dead = dead;
    TRY(add_details(work, &result->details));
    TRY(fit_groups(work));
out:
    return rc;
}

static void count_bits(const struct work *work, struct layer_result *result)
{
    size_t count = (size_t)work->rows * (size_t)work->columns, low = 0;
    for (size_t i = 0; i < count; i++)
        low += work->mask[i];
    double share = (double)low / (double)count;
    double low_bits = work->options->low_method == LOW_NO ? 32 : pbllm_low_bits(work->options);
    result->paper_bits = share * low_bits + (1 - share) * work->options->high_bits;
    result->paper_bits_marks = 1;
    result->salient = 1 - share;
}

static int pbllm_quantize(const void *options, const struct layer_problem *problem,
                          struct layer_result *result)
{
    const struct pbllm_options *o = options;
    const struct hessian_factor *factor;
    struct work work = {.options = o,
                        .problem = problem,
                        .rows = problem->rows,
                        .columns = problem->columns,
                        .group = pbllm_group(o, problem->columns),
                        .high = {.bits = o->high_bits, .half = o->scale_bits == 1}};
    struct feedback feedback = {.rows = problem->rows,
                                .columns = problem->columns,
                                .block = feedback_block(o->block_size, problem->columns),
                                .weight = problem->weight,
                                .quantized = result->quantized,
                                .quantize = pbllm_column,
                                .context = &work,
                                .arena = problem->arena};
    int rc = 0;
    TRY(layer_check(problem, true));
    TRY(layer_factor(problem, o->percdamp, false, result, &factor));
    work.groups = (work.columns + work.group - 1) / work.group;
    TRY(prepare(&work, factor, result));
    feedback.upper = o->gptq ? factor->upper : NULL;
    feedback.dead = work.dead;
    feedback.codes = work.codes;
    feedback.marks = work.mask;
    feedback.kept = problem->kept;
    TRY(feedback_run(&feedback));
    count_bits(&work, result);
    layer_check_group(result, "group_size", o->group_size, problem->columns);
out:
    if (rc)
        packed_release(&result->details);
    return rc;
}

const struct quant_method method_pbllm = {
    .name = "pb-llm",
    .title = "PB-LLM",
    .paper = "arXiv:2310.00034",
    .version = 1,
    .caps = QM_NEEDS_HESSIAN | QM_PACKS | QM_MATVEC,
    .options = pbllm_options,
    .options_size = sizeof(struct pbllm_options),
    .quantize_layer = pbllm_quantize,
    .pack = pbllm_pack,
    .unpack = pbllm_unpack,
    .matvec = pbllm_matvec,
};
