/* Pruning without retraining: the share of the weights with the smallest scores becomes 0, the
 * others stay as they are. Scores: |w| (Han et al., arXiv:1506.02626), or |w| sqrt(H_jj), the size
 * of the weight times that of its input (Wanda, Sun et al., arXiv:2306.11695, equation 1). */
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/finite.h"
#include "linalg/select.h"
#include "methods/floats.h"
#include "methods/kept.h"
#include "methods/method.h"
#include "model/dtype.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { METRIC_MAGNITUDE, METRIC_WANDA };
enum { SCOPE_ROW, SCOPE_MATRIX };
enum { ROWS_A_TASK = 16 };

struct prune_options {
    double share;
    int metric, scope, value_bits;
};

#define FIELD(field) offsetof(struct prune_options, field)
static const struct option prune_options[] = {
    {.name = "share",
     .type = OPTION_REAL,
     .offset = FIELD(share),
     .fallback = "0.5",
     .low = 0,
     .high = 1,
     .help = "share of the weights that become 0"},
    {.name = "metric",
     .type = OPTION_CHOICE,
     .offset = FIELD(metric),
     .fallback = "wanda",
     .choices = "magnitude|wanda",
     .help = "the score: |w|, or |w| times the norm of the weight's input"},
    {.name = "scope",
     .type = OPTION_CHOICE,
     .offset = FIELD(scope),
     .fallback = "row",
     .choices = "row|matrix",
     .help = "weights that are compared with each other: the same share of each row, or of the "
             "matrix"},
    {.name = "value_bits",
     .type = OPTION_CHOICE,
     .offset = FIELD(value_bits),
     .fallback = "16",
     .choices = "32|16",
     .help = "bits of a weight that stays: float32 as it is, or rounded to float16"},
    {0}};

struct work {
    const struct prune_options *options;
    const struct layer_problem *problem;
    float *norms;  /* columns: of the inputs */
    float *scores; /* rows x columns */
    float *sorted; /* per worker: columns */
    float *quantized;
    float threshold; /* of the matrix */
    size_t ties;     /* weights of the matrix that are pruned though their score is the threshold */
};

static int score_rows(void *context, long first, long end, int worker)
{
    const struct work *work = context;
    long n = work->problem->columns;
    for (long r = first; r < end; r++)
        for (long i = 0; i < n; i++)
            work->scores[r * n + i] = fabsf(work->problem->weight[r * n + i]) * work->norms[i];
    return 0;
}

static int by_value(const void *left, const void *right)
{
    float a = *(const float *)left, b = *(const float *)right;
    return (a > b) - (a < b);
}

/* What is below the threshold goes, and of what equals it the first `ties`. */
static void prune_run(const float *w, const float *scores, size_t count, float threshold,
                      size_t ties, float *q)
{
    for (size_t i = 0; i < count; i++) {
        bool tie = scores[i] == threshold && ties > 0;
        ties -= tie;
        q[i] = scores[i] < threshold || tie ? 0 : w[i];
    }
}

static size_t below(const float *scores, size_t count, float threshold)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += scores[i] < threshold;
    return n;
}

static int prune_rows(void *context, long first, long end, int worker)
{
    const struct work *work = context;
    size_t n = (size_t)work->problem->columns, gone = (size_t)((double)n * work->options->share);
    float *sorted = work->sorted + (size_t)worker * n;
    for (long r = first; r < end; r++) {
        const float *scores = work->scores + (size_t)r * n;
        memcpy(sorted, scores, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_value);
        float threshold = gone < n ? sorted[gone] : INFINITY;
        prune_run(work->problem->weight + (size_t)r * n, scores, n, threshold,
                  gone - below(scores, n, threshold), work->quantized + (size_t)r * n);
    }
    return 0;
}

static int prune_matrix(const struct work *work)
{
    int rc = 0;
    const struct layer_problem *p = work->problem;
    size_t count = (size_t)p->rows * (size_t)p->columns,
           gone = (size_t)((double)count * work->options->share);
    float threshold = INFINITY;
    if (gone < count)
        TRY(select_rank(work->scores, count, gone, p->arena, &threshold));
    prune_run(p->weight, work->scores, count, threshold,
              gone - below(work->scores, count, threshold), work->quantized);
out:
    return rc;
}

/* Float16 as it is stored, and the mask of what is left. */
static int finish(const struct work *work, struct layer_result *result)
{
    int rc = 0;
    const struct layer_problem *p = work->problem;
    size_t count = (size_t)p->rows * (size_t)p->columns, left = 0;
    uint16_t *half = NULL;
    uint8_t *kept;
    TRY(packed_add(&result->details, KEPT_ARRAY, ARRAY_U8, BITS_MASKS, (size_t)p->rows,
                   (size_t)p->columns, &kept));
    if (work->options->value_bits == 1) {
        TRY(arena_alloc(p->arena, &half, count, sizeof *half));
        TRY(dtype_from_float(DTYPE_F16, work->quantized, count, half));
        TRY(dtype_to_float(DTYPE_F16, half, count, work->quantized));
    }
    for (size_t i = 0; i < count; i++) {
        kept[i] = work->quantized[i] != 0;
        left += kept[i];
        if (!isfinite(work->quantized[i])) {
            rc = err_set(
                ERR_NUMERIC,
                "%s: the weight in row %zu, column %zu is %g, more than float16 holds: set "
                "value_bits: 32",
                p->name ? p->name : "the layer", i / (size_t)p->columns, i % (size_t)p->columns,
                (double)p->weight[i]);
            goto out;
        }
    }
    kept_clear(kept, p->rows, p->columns, work->quantized); /* of -0 */
    result->paper_bits = (double)left / (double)count * (work->options->value_bits == 1 ? 16 : 32);
    result->paper_bits_marks = 1;
out:
    return rc;
}

static int prune_quantize(const void *options, const struct layer_problem *problem,
                          struct layer_result *result)
{
    const struct prune_options *o = options;
    size_t rows = (size_t)problem->rows, columns = (size_t)problem->columns;
    struct work work = {.options = o, .problem = problem, .quantized = result->quantized};
    int rc = 0;
    TRY(layer_check(problem, o->metric == METRIC_WANDA));
    if (o->metric == METRIC_WANDA &&
        first_not_finite(problem->hessian->matrix, columns * columns) >= 0) {
        rc = err_set(ERR_NUMERIC, "%s: the Hessian is not finite",
                     problem->name ? problem->name : "the layer");
        goto out;
    }
    TRY(arena_alloc(problem->arena, &work.norms, columns, sizeof *work.norms));
    TRY(arena_alloc(problem->arena, &work.scores, rows * columns, sizeof *work.scores));
    TRY(arena_alloc(problem->arena, &work.sorted, (size_t)pool_threads() * columns,
                    sizeof *work.sorted));
    for (size_t i = 0; i < columns; i++)
        work.norms[i] = o->metric == METRIC_WANDA ? sqrtf(problem->hessian->matrix[i * columns + i])
                                                  : 1;
    TRY(pool_run_rows(score_rows, &work, problem->rows, ROWS_A_TASK));
    TRY(o->scope == SCOPE_ROW ? pool_run_rows(prune_rows, &work, problem->rows, ROWS_A_TASK)
                              : prune_matrix(&work));
    TRY(finish(&work, result));
out:
    if (rc)
        packed_release(&result->details);
    return rc;
}

/* The mask, and the values that are left, row after row. */
static int prune_pack(const void *options, const struct layer_problem *problem,
                      const struct layer_result *result, struct packed *packed)
{
    const struct prune_options *o = options;
    size_t count = (size_t)problem->rows * (size_t)problem->columns, left = 0;
    bool half = o->value_bits == 1;
    const uint8_t *kept = NULL;
    struct packed values = {.count = 0};
    float *list;
    int rc;
    TRY(packed_get(&result->details, KEPT_ARRAY, ARRAY_U8, (size_t)problem->rows,
                   (size_t)problem->columns, &kept));
    for (size_t i = 0; i < count; i++)
        left += kept[i];
    TRY(packed_add(&values, "values", ARRAY_F32, BITS_PAYLOAD, left, 1, &list));
    for (size_t i = 0, k = 0; i < count; i++)
        if (kept[i])
            list[k++] = result->quantized[i];
    TRY(kept_pack(kept, problem->rows, problem->columns, packed));
    TRY(floats_pack(&values, "values", BITS_PAYLOAD, half, packed));
out:
    packed_release(&values);
    return rc;
}

/* The mask and the values; both the caller's. */
static int open_packed(const struct packed *packed, int rows, int columns, uint8_t **kept,
                       float **values)
{
    size_t count = (size_t)rows * (size_t)columns, left = 0;
    int rc;
    TRY(mem_alloc(kept, count, sizeof **kept));
    TRY(kept_unpack(packed, rows, columns, *kept));
    for (size_t i = 0; i < count; i++)
        left += (*kept)[i];
    TRY(floats_open(packed, "values", left, 1, true, values));
out:
    return rc;
}

static int prune_unpack(const void *options, const struct packed *packed, int rows, int columns,
                        float *weight)
{
    size_t count = (size_t)rows * (size_t)columns;
    uint8_t *kept = NULL;
    float *values = NULL;
    int rc;
    TRY(open_packed(packed, rows, columns, &kept, &values));
    for (size_t i = 0, k = 0; i < count; i++)
        weight[i] = kept[i] ? values[k++] : 0;
out:
    mem_free(kept);
    mem_free(values);
    return rc;
}

static int prune_matvec(const void *options, const struct packed *packed, int rows, int columns,
                        const float *x, float *y)
{
    uint8_t *kept = NULL;
    float *values = NULL;
    int rc;
    TRY(open_packed(packed, rows, columns, &kept, &values));
    const uint8_t *mask = kept;
    const float *value = values;
    for (int r = 0; r < rows; r++) {
        double sum = 0;
        for (int i = 0; i < columns; i++)
            if (*mask++)
                sum += (double)*value++ * (double)x[i];
        y[r] = (float)sum;
    }
out:
    mem_free(kept);
    mem_free(values);
    return rc;
}

const struct quant_method method_prune = {
    .name = "prune",
    .title = "Pruning",
    .paper = "arXiv:2306.11695",
    .version = 1,
    .caps = QM_NEEDS_HESSIAN | QM_PACKS | QM_MATVEC | QM_PRUNES,
    .options = prune_options,
    .options_size = sizeof(struct prune_options),
    .quantize_layer = prune_quantize,
    .pack = prune_pack,
    .unpack = prune_unpack,
    .matvec = prune_matvec,
};
