/* BiLLM's search within a block of columns (arXiv:2402.04291, section 3.2 and 3.3): which columns
 * are salient, and where to split the others. Rows lie in groups of 16, column by column, so that
 * the vector kernels take 16 rows at a time. */
#include "methods/billm.h"

#include "core/err.h"
#include "core/pool.h"
#include "linalg/select.h"
#include "linalg/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 16 };

static int row_groups(const struct billm_search *s)
{
    return (s->form->rows + ROWS - 1) / ROWS;
}

int billm_search_init(struct billm_search *s, const struct billm_form *form, struct arena *arena)
{
    const struct billm_options *o = form->options;
    size_t block = (size_t)form->block, groups = (size_t)(form->rows + ROWS - 1) / ROWS;
    int most = o->max_salient_columns > BILLM_LEVELS ? o->max_salient_columns : BILLM_LEVELS,
        rc = 0;
    *s = (struct billm_search){.form = form, .arena = arena};
    TRY(arena_calloc(arena, &s->search, groups * block * ROWS, sizeof *s->search));
    s->rank = s->search;
    if (o->follow == BILLM_PAPER && o->salient_metric == BILLM_HESSIAN)
        TRY(arena_calloc(arena, &s->rank, groups * block * ROWS, sizeof *s->rank));
    TRY(arena_alloc(arena, &s->salient, block, sizeof *s->salient));
    TRY(arena_alloc(arena, &s->levels, BILLM_LEVELS, sizeof *s->levels));
    TRY(arena_alloc(arena, &s->sorted, (size_t)form->rows * block, sizeof *s->sorted));
    TRY(arena_alloc(arena, &s->sort_scratch, (size_t)form->rows * block, sizeof *s->sort_scratch));
    TRY(arena_alloc(arena, &s->errors, groups * (size_t)most, sizeof *s->errors));
    TRY(arena_alloc(arena, &s->sums, (groups + 1) * block, sizeof *s->sums));
    TRY(arena_alloc(arena, &s->order, block, sizeof *s->order));
    TRY(arena_alloc(arena, &s->columns, (size_t)pool_threads() * block * ROWS, sizeof *s->columns));
    /* The code searches columns with order 2 for both parts although it quantizes the rest with
     * order 1. */
    s->candidate_order[0] = o->follow == BILLM_CODE              ? 2
                            : form->orders[form->groups - 1] > 1 ? 2
                                                                 : 1;
    s->candidate_order[1] = o->follow == BILLM_CODE ? 2 : form->orders[0] > 1 ? 2 : 1;
out:
    return rc;
}

/* ---- salient columns ---- */

static int sum_columns(void *context, int index, int worker)
{
    const struct billm_search *s = context;
    const float *x = s->rank + (long)index * s->width * ROWS;
    for (int i = 0; i < s->width; i++) {
        double sum = 0;
        for (int l = 0; l < ROWS; l++)
            sum += (double)fabsf(x[i * ROWS + l]);
        s->sums[(long)(index + 1) * s->width + i] = sum;
    }
    return 0;
}

/* order = the columns by descending sum, ties by index. The sums lie in sums[0..width). */
static void rank_columns(struct billm_search *s, int most)
{
    for (int i = 0; i < s->width; i++) {
        s->sums[i] = 0;
        for (int k = 0; k < row_groups(s); k++)
            s->sums[i] += s->sums[(long)(k + 1) * s->width + i];
        s->order[i] = i;
    }
    for (int place = 0; place < most; place++) {
        int best = place;
        for (int i = place + 1; i < s->width; i++)
            if (s->sums[s->order[i]] > s->sums[s->order[best]] ||
                (s->sums[s->order[i]] == s->sums[s->order[best]] && s->order[i] < s->order[best]))
                best = i;
        int chosen = s->order[best];
        s->order[best] = s->order[place];
        s->order[place] = chosen;
    }
}

/* Errors of 1, 2, ... candidates salient columns, for 16 rows. */
static int try_columns(void *context, int index, int worker)
{
    const struct billm_search *s = context;
    const float *x = s->search + (long)index * s->width * ROWS;
    float *sorted = s->columns + (long)worker * s->form->block * ROWS, error[2][ROWS];
    double salient[ROWS] = {0}, rest[ROWS] = {0}, *errors = s->errors + (long)index * s->candidates;
    for (int i = 0; i < s->width; i++) {
        memcpy(sorted + i * ROWS, x + (long)s->order[i] * ROWS, ROWS * sizeof *sorted);
        for (int l = 0; l < ROWS; l++)
            rest[l] += (double)sorted[i * ROWS + l];
    }
    for (int count = 1; count <= s->candidates; count++) {
        const float *added = sorted + (count - 1) * ROWS;
        double sum = 0;
        for (int l = 0; l < ROWS; l++) {
            salient[l] += (double)added[l];
            rest[l] -= (double)added[l];
        }
        simd.binary_error(sorted, count, salient, s->candidate_order[0], error[0]);
        simd.binary_error(added + ROWS, s->width - count, rest, s->candidate_order[1], error[1]);
        for (int l = 0; l < ROWS; l++)
            sum += (double)error[0][l] + (double)error[1][l];
        errors[count - 1] = sum;
    }
    return 0;
}

/* The first candidate with the smallest error. */
static int best_candidate(const struct billm_search *s)
{
    double least = INFINITY;
    int best = 0;
    for (int i = 0; i < s->candidates; i++) {
        double error = 0;
        for (int k = 0; k < row_groups(s); k++)
            error += s->errors[(long)k * s->candidates + i];
        if (error < least) {
            least = error;
            best = i;
        }
    }
    return best;
}

static int search_columns(struct billm_search *s)
{
    int most = s->form->options->max_salient_columns, rc = 0;
    if (most > s->width)
        most = s->width; /* the reference fails on blocks that are narrower than its 50 */
    TRY(pool_run(sum_columns, s, row_groups(s)));
    rank_columns(s, most);
    s->candidates = most - 1;
    s->salient_count = 1;
    if (s->candidates > 0) {
        TRY(pool_run(try_columns, s, row_groups(s)));
        s->salient_count = best_candidate(s) + 1;
    }
    memset(s->salient, 0, (size_t)s->width * sizeof *s->salient);
    for (int i = 0; i < s->salient_count; i++)
        s->salient[s->order[i]] = true;
out:
    return rc;
}

/* ---- splits ---- */

/* The candidates: quantiles of |x| over the block, salient columns counting as zeros. */
static int gather_sizes(void *context, int index, int worker)
{
    const struct billm_search *s = context;
    const float *x = s->search + (long)index * s->width * ROWS;
    int rows = s->form->rows - index * ROWS < ROWS ? s->form->rows - index * ROWS : ROWS;
    float *to = s->sorted + (long)index * ROWS * s->width;
    for (int i = 0; i < s->width; i++)
        for (int l = 0; l < rows; l++)
            *to++ = s->salient[i] ? 0 : fabsf(x[i * ROWS + l]);
    return 0;
}

void billm_quantiles(const float *sorted, size_t count, float *levels)
{
    const float step = (0.9f - 0.1f) / 80;
    for (int i = 0; i < BILLM_LEVELS; i++) {
        /* torch.linspace from both ends, then numpy.quantile's linear rule, all in float32. */
        float q = i < 40 ? fmaf(step, (float)i, 0.1f) : fmaf(-step, (float)(80 - i), 0.9f);
        float place = (float)(count - 1) * q, below = floorf(place), t = place - below;
        size_t low = (size_t)below < count - 1 ? (size_t)below : count - 1;
        float a = sorted[low], b = sorted[low + 1 < count ? low + 1 : low], difference = b - a;
        levels[i] = t >= 0.5f ? b - difference * (1 - t) : a + difference * t;
    }
}

/* The error of one row in groups by the given ascending bounds: for more than two groups. */
static double grouped_error(const float *x, int count, const float *bounds, int bound_count)
{
    double sum[BILLM_MAX_SPLITS] = {0}, spread[BILLM_MAX_SPLITS] = {0}, error = 0;
    int n[BILLM_MAX_SPLITS] = {0};
    for (int pass = 0; pass < 3; pass++)
        for (int i = 0; i < count; i++) {
            double w = (double)x[i * ROWS];
            int g = 0;
            while (g < bound_count && fabsf(x[i * ROWS]) >= bounds[g])
                g++;
            double u = pass > 0 ? w - sum[g] / n[g] : 0;
            if (pass == 0) {
                sum[g] += w;
                n[g]++;
            } else if (pass == 1) {
                spread[g] += fabs(u);
            } else {
                u -= u != 0 ? copysign(spread[g] / n[g], u) : 0;
                error += u * u;
            }
        }
    return error;
}

struct split_trial {
    const struct billm_search *search;
    int found; /* splits that stand already */
};

/* Puts level among the found bounds, in order. */
static void insert_bound(const float *found, int count, float level, float *bounds)
{
    int at = 0;
    for (; at < count && found[at] <= level; at++)
        bounds[at] = found[at];
    bounds[at] = level;
    for (; at < count; at++)
        bounds[at + 1] = found[at];
}

static int try_splits(void *context, int index, int worker)
{
    const struct split_trial *trial = context;
    const struct billm_search *s = trial->search;
    const float *x = s->search + (long)index * s->width * ROWS;
    float *plain = s->columns + (long)worker * s->form->block * ROWS, error[ROWS],
          bounds[BILLM_MAX_SPLITS];
    int count = 0;
    for (int i = 0; i < s->width; i++)
        if (!s->salient[i])
            memcpy(plain + ROWS * count++, x + (long)i * ROWS, ROWS * sizeof *plain);
    for (int i = 0; i < BILLM_LEVELS; i++) {
        double sum = 0;
        if (trial->found == 0) {
            simd.split_error(plain, count, s->levels[i], error);
            for (int l = 0; l < ROWS; l++)
                sum += (double)error[l];
        } else {
            insert_bound(s->splits, trial->found, s->levels[i], bounds);
            for (int l = 0; l < ROWS; l++)
                sum += grouped_error(plain + l, count, bounds, trial->found + 1);
        }
        s->errors[(long)index * s->candidates + i] = sum;
    }
    return 0;
}

static int search_splits(struct billm_search *s)
{
    struct split_trial trial = {.search = s};
    int rc = 0, wanted = s->form->groups - 2;
    if (wanted == 0)
        return 0;
    size_t count = (size_t)s->form->rows * (size_t)s->width;
    TRY(pool_run(gather_sizes, s, row_groups(s)));
    TRY(sort_values(s->sorted, s->sort_scratch, count, s->arena));
    billm_quantiles(s->sorted, count, s->levels);
    s->largest = s->sorted[count - 1];
    s->candidates = BILLM_LEVELS;
    for (; trial.found < wanted; trial.found++) { /* one after the other, each the best beside those
                                                     before */
        float bounds[BILLM_MAX_SPLITS];
        TRY(pool_run(try_splits, &trial, row_groups(s)));
        insert_bound(s->splits, trial.found, s->levels[best_candidate(s)], bounds);
        memcpy(s->splits, bounds, sizeof *bounds * (size_t)(trial.found + 1));
    }
out:
    return rc;
}

int billm_search_block(struct billm_search *s, int width)
{
    int rc = 0;
    s->width = width;
    TRY(search_columns(s));
    TRY(search_splits(s));
out:
    return rc;
}
