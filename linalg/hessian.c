#include "linalg/hessian.h"

#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/cholesky.h"
#include "linalg/finite.h"
#include "linalg/matmul.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int hessian_init(struct hessian *hessian, int size)
{
    *hessian = (struct hessian){.size = size};
    if (size <= 0)
        return err_set(ERR_USAGE, "a Hessian of size %d: the size must be at least 1", size);
    return mem_calloc(&hessian->matrix, (size_t)size * (size_t)size, sizeof *hessian->matrix);
}

static void factor_free(struct hessian_factor *factor)
{
    if (factor) {
        mem_free(factor->order);
        mem_free(factor->upper);
        mem_free(factor->diagonal);
        mem_free(factor);
    }
}

void hessian_release(struct hessian *hessian)
{
    while (hessian->factors) {
        struct hessian_factor *factor = hessian->factors;
        hessian->factors = factor->next;
        factor_free(factor);
    }
    mem_free(hessian->matrix);
    *hessian = (struct hessian){0};
}

/* One call's product in square tiles of the upper triangle; the tile's side depends on the size
 * alone. */
struct accumulation {
    float *matrix;
    const float *x;
    int size, rows, tile, tiles;
    float alpha, beta;
};

static int accumulate_tile(void *context, int index, int worker)
{
    const struct accumulation *a = context;
    int i = 0;
    while (index >= a->tiles - i)
        index -= a->tiles - i++;
    long row = (long)i * a->tile, column = (long)(i + index) * a->tile, n = a->size;
    int m = n - row < a->tile ? (int)(n - row) : a->tile,
        w = n - column < a->tile ? (int)(n - column) : a->tile;
    float *c = a->matrix + row * n + column;
    if (index == 0 && m > 64)
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, m, a->rows, a->alpha, a->x + row, (int)n,
                    a->beta, c, (int)n);
    else
        gemm(true, false, m, w, a->rows, a->alpha, a->x + row, (int)n, a->x + column, (int)n,
             a->beta, c, (int)n);
    return 0;
}

int hessian_add(struct hessian *hessian, const float *x, int rows, int sequences)
{
    if (rows <= 0 || sequences <= 0)
        return err_set(
            ERR_USAGE,
            "a Hessian needs at least one row of one sequence (got %d rows, %d sequences)", rows,
            sequences);
    int n = hessian->size, total = hessian->sequences + sequences;
    struct accumulation a = {.matrix = hessian->matrix,
                             .x = x,
                             .size = n,
                             .rows = rows,
                             .alpha = (float)(2.0 / total),
                             .beta = (float)((double)hessian->sequences / total),
                             .tile = n <= 384    ? 64
                                     : n <= 1024 ? 128
                                     : n <= 2048 ? 256
                                                 : 512};
    a.tiles = (n + a.tile - 1) / a.tile;
    int rc = pool_run(accumulate_tile, &a, a.tiles * (a.tiles + 1) / 2);
    if (rc == 0)
        hessian->sequences = total;
    return rc;
}

void hessian_finish(struct hessian *hessian)
{
    enum { TILE = 32 };
    long n = hessian->size;
    float *h = hessian->matrix;
    for (long i0 = 0; i0 < n; i0 += TILE)
        for (long j0 = 0; j0 <= i0; j0 += TILE)
            for (long i = i0; i < n && i < i0 + TILE; i++)
                for (long j = j0; j < i && j < j0 + TILE; j++)
                    h[i * n + j] = h[j * n + i];
}

struct keyed {
    float value;
    int index;
};

/* Descending, ties by index. */
static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;
    if (x->value != y->value)
        return x->value < y->value ? 1 : -1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int sort_columns(const float *diagonal, int n, int *order)
{
    struct keyed *keys = NULL;
    int rc = mem_alloc(&keys, (size_t)n, sizeof *keys);
    if (rc)
        return rc;
    for (int i = 0; i < n; i++)
        keys[i] = (struct keyed){diagonal[i], i};
    qsort(keys, (size_t)n, sizeof *keys, compare_keyed);
    for (int i = 0; i < n; i++)
        order[i] = keys[i].index;
    mem_free(keys);
    return 0;
}

/* The diagonal with dead inputs set to 1, and its mean. */
static int effective_diagonal(const struct hessian *hessian, float *diagonal, float *mean)
{
    long n = hessian->size, bad = first_not_finite(hessian->matrix, (size_t)(n * n));
    if (bad >= 0)
        return err_set(ERR_NUMERIC,
                       "the Hessian has a value that is not finite in row %ld, column %ld", bad / n,
                       bad % n);
    double sum = 0;
    for (long i = 0; i < n; i++) {
        diagonal[i] = hessian->matrix[i * n + i];
        if (diagonal[i] == 0)
            diagonal[i] = 1;
        sum += (double)diagonal[i];
    }
    *mean = (float)(sum / (double)n);
    if (!(*mean > 0))
        return err_set(ERR_NUMERIC, "the mean of the Hessian's diagonal is %g: it must be positive",
                       (double)*mean);
    return 0;
}

static int factor_with_damping(const struct hessian *hessian, struct hessian_factor *factor,
                               const float *diagonal, float mean, double *work)
{
    int n = hessian->size, rc;
    float *damped = factor->diagonal;
    factor->damping = factor->percdamp;
    for (;;) {
        float damp = (float)factor->damping * mean;
        for (int i = 0; i < n; i++)
            damped[i] = diagonal[i] + damp;
        rc = cholesky_inverse_upper(hessian->matrix, damped, factor->order, n, work, factor->upper);
        if (rc == 0 && first_not_finite(factor->upper, (size_t)n * (size_t)n) >= 0)
            rc = err_set(ERR_NUMERIC, "the inverse of the Hessian overflows float32");
        if (rc != ERR_NUMERIC)
            return rc;
        double next = 1e-4;
        while (next <= factor->damping * 1.0001)
            next *= 10;
        if (next > 2e3)
            return err_prefix(
                rc, "the Hessian cannot be factorised, even with %g of its diagonal's mean added",
                factor->damping);
        factor->damping = next;
        factor->raised++;
    }
}

int hessian_factorize(struct hessian *hessian, double percdamp, bool ordered,
                      const struct hessian_factor **out)
{
    struct hessian_factor *factor = hessian->factors;
    while (factor && !(factor->percdamp == percdamp && factor->ordered == ordered))
        factor = factor->next;
    *out = factor;
    if (factor)
        return 0;
    size_t n = (size_t)hessian->size;
    float *diagonal = NULL, mean = 0;
    double *work = NULL;
    int rc;
    TRY(mem_calloc(&factor, 1, sizeof *factor));
    factor->percdamp = percdamp;
    factor->ordered = ordered;
    TRY(mem_alloc(&diagonal, n, sizeof *diagonal));
    TRY(mem_alloc(&factor->diagonal, n, sizeof *factor->diagonal));
    TRY(effective_diagonal(hessian, diagonal, &mean));
    if (ordered) {
        TRY(mem_alloc(&factor->order, n, sizeof *factor->order));
        TRY(sort_columns(diagonal, hessian->size, factor->order));
    }
    TRY(mem_alloc(&factor->upper, n * n, sizeof *factor->upper));
    if (n <= CHOLESKY_DOUBLE)
        TRY(mem_alloc(&work, n * n, sizeof *work));
    TRY(factor_with_damping(hessian, factor, diagonal, mean, work));
    factor->next = hessian->factors;
    hessian->factors = factor;
    *out = factor;
out:
    mem_free(work);
    mem_free(diagonal);
    if (rc)
        factor_free(factor);
    return rc;
}
