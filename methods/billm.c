/* BiLLM (Huang et al., arXiv:2402.04291): in each block of columns a few salient columns get a
 * residual approximation of two bits, the others one bit in two groups split by size; errors go to
 * later blocks as in GPTQ. Decisions follow the authors' code: see docs/methods/billm.md for where
 * it differs from the paper. */
#include "methods/billm.h"

#include "core/err.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "methods/common_options.h"

#include <math.h>
#include <string.h>

#define FIELD(field) offsetof(struct billm_options, field)
static const struct option billm_options[] = {
    {.name = "low_method",
     .type = OPTION_CHOICE,
     .offset = FIELD(low_method),
     .fallback = "braq",
     .choices = "braq|xnor|sign|rtn|2bit|4bit|prune|no",
     .help = "what the groups of a block become; braq is the paper's"},
    {.name = "salient_metric",
     .type = OPTION_CHOICE,
     .offset = FIELD(salient_metric),
     .fallback = "hessian",
     .choices = "magnitude|hessian",
     .help = "what ranks columns: w, or w^2 over the squared diagonal of the inverse's factor"},
    {.name = "block_size",
     .type = OPTION_INT,
     .offset = FIELD(block_size),
     .fallback = "128",
     .low = 1,
     .high = BILLM_MAX_BLOCK,
     .special = "-1=the whole row",
     .help = "columns that are searched, scaled and updated together"},
    COMMON_PERCDAMP(struct billm_options),
    {.name = "gptq",
     .type = OPTION_BOOL,
     .offset = FIELD(gptq),
     .fallback = "true",
     .help = "a block's errors are fed to the later blocks"},
    {.name = "max_salient_columns",
     .type = OPTION_INT,
     .offset = FIELD(max_salient_columns),
     .fallback = "50",
     .low = 2,
     .high = BILLM_MAX_BLOCK,
     .help = "the search tries fewer salient columns than this in each block"},
    {.name = "orders",
     .type = OPTION_TEXT,
     .offset = FIELD(orders),
     .fallback = "1,1,2",
     .help =
         "residual orders, 1 to 4, of the small weights, the large ones and the salient columns"},
    {.name = "split_groups",
     .type = OPTION_INT,
     .offset = FIELD(split_groups),
     .fallback = "2",
     .low = 1,
     .high = BILLM_MAX_SPLITS,
     .help = "groups by size among the weights that are not salient"},
    {.name = "follow",
     .type = OPTION_CHOICE,
     .offset = FIELD(follow),
     .fallback = "code",
     .choices = "code|paper",
     .help = "code: with the hessian metric the searches run on saliency, and count the rest with "
             "order 2; paper: on the "
             "weights, with the orders that are used"},
    COMMON_SCALE_BITS(struct billm_options),
    {0}};

static int parse_orders(const char *text, int orders[3])
{
    size_t length = strlen(text);
    if (length != 5 || text[1] != ',' || text[3] != ',')
        return err_set(ERR_USAGE,
                       "billm: orders is '%s': write three numbers from 1 to %d, like 1,1,2", text,
                       BILLM_MAX_ORDER);
    for (int i = 0; i < 3; i++) {
        orders[i] = text[2 * i] - '0';
        if (orders[i] < 1 || orders[i] > BILLM_MAX_ORDER)
            return err_set(ERR_USAGE, "billm: orders is '%s': each order is from 1 to %d", text,
                           BILLM_MAX_ORDER);
    }
    return 0;
}

static int billm_check(const void *options)
{
    int orders[3];
    return parse_orders(((const struct billm_options *)options)->orders, orders);
}

int billm_form_init(struct billm_form *form, const struct billm_options *o, int rows, int columns)
{
    int orders[3], rc = parse_orders(o->orders, orders);
    if (rc)
        return rc;
    if (feedback_block(o->block_size, columns) > BILLM_MAX_BLOCK)
        return err_set(ERR_USAGE, "billm: blocks of %d columns are more than %d: set block_size",
                       columns, BILLM_MAX_BLOCK);
    *form = (struct billm_form){.options = o,
                                .rows = rows,
                                .columns = columns,
                                .groups = o->split_groups + 1,
                                .block = feedback_block(o->block_size, columns),
                                .half = o->scale_bits == 1};
    form->blocks = (columns + form->block - 1) / form->block;
    for (int g = 0; g < form->groups; g++) {
        int order = orders[g == form->groups - 1 ? 2 : g == 0 ? 0 : 1];
        form->orders[g] = o->low_method == BILLM_BRAQ ? order : 1;
        form->first[g + 1] = form->first[g] + form->orders[g];
    }
    if (o->low_method >= BILLM_2BIT) /* no groups: a grid for each row of a block, or nothing */
        form->first[form->groups] = o->low_method <= BILLM_4BIT;
    return 0;
}

struct work {
    struct billm_form form;
    const struct layer_problem *problem;
    struct billm_search search;
    const float *upper;
    float *weights; /* rows x columns: what is left to quantize */
    float *errors;  /* per worker: TILE_ROWS x block */
    float *quantized;
    uint8_t *partition, *codes;
    float *scale, *mean; /* rows x blocks x first[groups] */
    int start, width;    /* of the block */
    double split_sum;    /* over the blocks that were split */
    int split_blocks;
};

enum { LANES = 16, TILE_ROWS = 128 };

static int copy_rows(void *context, long first, long end, int worker)
{
    const struct work *work = context;
    long n = work->form.columns;
    const float *h = work->problem->hessian->matrix;
    for (long r = first; r < end; r++)
        memcpy(work->weights + r * n, work->problem->weight + r * n, sizeof(float) * (size_t)n);
    for (long i = 0; i < n; i++)
        for (long r = first; h[i * n + i] == 0 && r < end; r++)
            work->weights[r * n + i] = 0;
    return 0;
}

/* What is searched and ranked, 16 rows of the block. */
static int rate_rows(void *context, int index, int worker)
{
    const struct work *work = context;
    const struct billm_search *s = &work->search;
    const struct billm_options *o = work->form.options;
    long n = work->form.columns, at = (long)index * work->width * LANES;
    int rows = work->form.rows - index * LANES < LANES ? work->form.rows - index * LANES : LANES;
    for (int l = 0; l < rows; l++)
        for (int i = 0; i < work->width; i++) {
            float w = work->weights[((long)index * LANES + l) * n + work->start + i];
            float d = work->upper[(long)(work->start + i) * n + work->start + i];
            if (o->salient_metric == BILLM_HESSIAN)
                s->rank[at + i * LANES + l] = w * w / (d * d);
            if (s->rank != s->search || o->salient_metric == BILLM_MAGNITUDE)
                s->search[at + i * LANES + l] = w;
        }
    for (int l = rows; l < LANES; l++)
        for (int i = 0; i < work->width; i++)
            s->search[at + i * LANES + l] = s->rank[at + i * LANES + l] = 0;
    return 0;
}

static void group_row(const struct work *work, long row, uint8_t *group)
{
    const struct billm_search *s = &work->search;
    const float *x = s->search + row / LANES * LANES * work->width + row % LANES;
    for (int i = 0; i < work->width; i++) {
        int g = 0;
        float size = fabsf(x[i * LANES]);
        while (g < work->form.groups - 2 && size >= s->splits[g])
            g++;
        group[i] = (uint8_t)(s->salient[i] ? work->form.groups - 1 : g);
    }
}

/* Quantizes a tile of rows in the block and feeds its errors to the columns behind. */
static int quantize_rows(void *context, long first, long end, int worker)
{
    const struct work *work = context;
    const struct billm_form *form = &work->form;
    long n = form->columns, per_block = form->first[form->groups];
    int rows = (int)(end - first), rest = form->columns - work->start - work->width;
    float *errors = work->errors + (long)worker * TILE_ROWS * form->block;
    const uint8_t *kept = work->problem->kept;
    for (long r = first; r < end; r++) {
        const float *w = work->weights + r * n + work->start;
        float *q = work->quantized + r * n + work->start,
              *error = errors + (r - first) * form->block;
        uint8_t *group = work->partition + r * n + work->start;
        long scale = (r * form->blocks + work->start / form->block) * per_block;
        group_row(work, r, group);
        billm_quantize_row(form, w, group, kept ? kept + r * n + work->start : NULL, work->width, q,
                           work->codes + r * n + work->start, work->scale + scale,
                           work->mean + scale);
        for (int i = 0; i < work->width; i++) {
            error[i] = (w[i] - q[i]) / work->upper[(work->start + i) * n + work->start + i];
            group[i]++; /* numbered from 1 in the details */
        }
    }
    if (form->options->gptq && rest > 0)
        gemm(false, false, rows, rest, work->width, -1.0f, errors, form->block,
             work->upper + (long)work->start * n + work->start + work->width, form->columns, 1.0f,
             work->weights + first * n + work->start + work->width, form->columns);
    return 0;
}

static int add_details(struct work *work, struct packed *details, int32_t **salient, float **splits)
{
    const struct billm_form *form = &work->form;
    size_t rows = (size_t)form->rows, columns = (size_t)form->columns,
           blocks = (size_t)form->blocks;
    size_t scales = blocks * (size_t)form->first[form->groups];
    int rc = 0;
    TRY(packed_add(details, "partition", ARRAY_U8, BITS_MASKS, rows, columns, &work->partition));
    TRY(packed_add(details, "n_salient_cols", ARRAY_I32, BITS_INDICES, blocks, 1, salient));
    TRY(packed_add(details, "split", ARRAY_F32, BITS_OTHER, blocks, (size_t)form->groups - 2,
                   splits));
    TRY(packed_add(details, "codes", ARRAY_U8, BITS_PAYLOAD, rows, columns, &work->codes));
    TRY(packed_add(details, "scale", ARRAY_F32, BITS_SCALES, rows, scales, &work->scale));
    bool grid = form->options->low_method == BILLM_2BIT || form->options->low_method == BILLM_4BIT;
    TRY(packed_add(details, grid ? "zero" : "mean", ARRAY_F32, BITS_SCALES, rows, scales,
                   &work->mean));
out:
    return rc;
}

/* The block's upper split as a share of the largest size that was split. Searched on saliences, w^2
 * over d^2, its root: so it is on the scale of weights whichever way it was searched. */
static void note_split(struct work *work)
{
    const struct billm_search *s = &work->search;
    const struct billm_options *o = work->form.options;
    bool squared = o->salient_metric == BILLM_HESSIAN && o->follow == BILLM_CODE;
    if (work->form.groups < 3 || !(s->largest > 0))
        return;
    double share = (double)s->splits[work->form.groups - 3] / (double)s->largest;
    work->split_sum += squared ? sqrt(share) : share;
    work->split_blocks++;
}

/* s is the share of salient columns: 1 + s bits of weights, 1 + 1 / block bits of marks
 * (section 3.4). */
static void count_bits(const struct billm_form *form, const int32_t *salient,
                       struct layer_result *result)
{
    static const double whole[] = {
        [BILLM_2BIT] = 2, [BILLM_4BIT] = 4, [BILLM_PRUNE] = 0, [BILLM_NO] = 32};
    double count = 0;
    int extra = form->orders[form->groups - 1] - form->orders[0];
    for (int i = 0; i < form->blocks; i++)
        count += salient[i];
    if (form->options->low_method >= BILLM_2BIT) {
        result->paper_bits = whole[form->options->low_method];
        return;
    }
    result->salient = count / form->columns;
    result->paper_bits = form->orders[0] + extra * count / form->columns;
    result->paper_bits_marks = ceil(log2(form->groups - 1)) + 1.0 / form->block;
}

static int prepare(struct work *work)
{
    const struct billm_form *form = &work->form;
    struct arena *arena = work->problem->arena;
    int rc = 0;
    TRY(arena_alloc(arena, &work->weights, (size_t)form->rows * (size_t)form->columns,
                    sizeof *work->weights));
    TRY(arena_alloc(arena, &work->errors, (size_t)pool_threads() * TILE_ROWS * (size_t)form->block,
                    sizeof *work->errors));
    TRY(billm_search_init(&work->search, form, arena));
    TRY(pool_run_rows(copy_rows, work, form->rows, LANES));
out:
    return rc;
}

static int billm_quantize(const void *options, const struct layer_problem *problem,
                          struct layer_result *result)
{
    const struct billm_options *o = options;
    const struct hessian_factor *factor;
    struct work work = {.problem = problem, .quantized = result->quantized};
    struct billm_form *form = &work.form;
    int32_t *salient;
    float *splits;
    int rc = 0;
    TRY(layer_check(problem, true));
    TRY(billm_form_init(form, o, problem->rows, problem->columns));
    TRY(layer_factor(problem, o->percdamp, false, result, &factor));
    work.upper = factor->upper;
    TRY(add_details(&work, &result->details, &salient, &splits));
    TRY(prepare(&work));
    for (int block = 0; block < form->blocks; block++) {
        work.start = block * form->block;
        work.width = form->columns - work.start < form->block ? form->columns - work.start
                                                              : form->block;
        TRY(pool_run(rate_rows, &work, (form->rows + LANES - 1) / LANES));
        TRY(billm_search_block(&work.search, work.width));
        TRY(pool_run_rows(quantize_rows, &work, form->rows, TILE_ROWS));
        salient[block] = work.search.salient_count;
        memcpy(splits + block * (form->groups - 2), work.search.splits,
               sizeof *splits * (size_t)(form->groups - 2));
        note_split(&work);
    }
    if (work.split_blocks > 0 && o->low_method < BILLM_2BIT) /* those have no groups */
        result->split = work.split_sum / work.split_blocks;
    count_bits(form, salient, result);
    layer_check_group(result, "block_size", o->block_size, problem->columns);
out:
    if (rc)
        packed_release(&result->details);
    return rc;
}

const struct quant_method method_billm = {
    .name = "billm",
    .title = "BiLLM",
    .paper = "arXiv:2402.04291",
    .version = 1,
    .caps = QM_NEEDS_HESSIAN | QM_PACKS | QM_MATVEC,
    .options = billm_options,
    .options_size = sizeof(struct billm_options),
    .check = billm_check,
    .quantize_layer = billm_quantize,
    .pack = billm_pack,
    .unpack = billm_unpack,
    .matvec = billm_matvec,
};
