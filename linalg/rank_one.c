#include "linalg/rank_one.h"

#include "core/err.h"
#include "core/pool.h"

#include <lapacke.h>
#include <math.h>
#include <string.h>

enum { TILE = 64, MAX_TURNS = 300 };

/* |W|'s products with a vector, in tiles of rows or of columns. */
struct sizes {
    const float *weight;
    long rows, columns;
    const double *from;
    double *to;
};

static int times_columns(void *context, long first, long end, int worker)
{
    const struct sizes *s = context;
    for (long r = first; r < end; r++) {
        const float *w = s->weight + r * s->columns;
        double sums[4] = {0};
        long i = 0;
        for (; i + 4 <= s->columns; i += 4)
            for (int l = 0; l < 4; l++)
                sums[l] += (double)fabsf(w[i + l]) * s->from[i + l];
        for (; i < s->columns; i++)
            sums[0] += (double)fabsf(w[i]) * s->from[i];
        s->to[r] = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }
    return 0;
}

static int times_rows(void *context, long first, long end, int worker)
{
    const struct sizes *s = context;
    const long width = end - first;
    double sums[TILE] = {0};
    for (long r = 0; r < s->rows; r++)
        for (long i = 0; i < width; i++)
            sums[i] += (double)fabsf(s->weight[r * s->columns + first + i]) * s->from[r];
    memcpy(s->to + first, sums, sizeof *sums * (size_t)width);
    return 0;
}

/* to (rows) = |W| from (columns) */
static int right(struct sizes *s, const double *from, double *to)
{
    s->from = from;
    s->to = to;
    return pool_run_rows(times_columns, s, s->rows, TILE);
}

/* to (columns) = |W|^T from (rows) */
static int left(struct sizes *s, const double *from, double *to)
{
    s->from = from;
    s->to = to;
    return pool_run_rows(times_rows, s, s->columns, TILE);
}

static double norm(const double *x, long count)
{
    double sum = 0;
    for (long i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

static void scale(double *x, long count, double factor)
{
    for (long i = 0; i < count; i++)
        x[i] *= factor;
}

static void store(const double *u, const double *v, const struct sizes *s, double factor, float *a,
                  float *b)
{
    for (long i = 0; i < s->rows; i++)
        a[i] = (float)(factor * fabs(u[i]));
    for (long i = 0; i < s->columns; i++)
        b[i] = (float)(factor * fabs(v[i]));
}

static int full_svd(const struct sizes *s, struct arena *arena, double *u, double *v, double *sigma)
{
    long m = s->rows, n = s->columns, least = m < n ? m : n;
    double *sizes, *values, *left_vectors, *right_vectors, *rest;
    int rc = 0;
    TRY(arena_alloc(arena, &sizes, (size_t)(m * n), sizeof *sizes));
    TRY(arena_alloc(arena, &values, (size_t)least, sizeof *values));
    TRY(arena_alloc(arena, &rest, (size_t)least, sizeof *rest));
    TRY(arena_alloc(arena, &left_vectors, (size_t)(m * least), sizeof *left_vectors));
    TRY(arena_alloc(arena, &right_vectors, (size_t)(least * n), sizeof *right_vectors));
    for (long i = 0; i < m * n; i++)
        sizes[i] = (double)fabsf(s->weight[i]);
    int info = LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'S', 'S', (lapack_int)m, (lapack_int)n, sizes,
                              (lapack_int)n, values, left_vectors, (lapack_int)least, right_vectors,
                              (lapack_int)n, rest);
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR)
        return err_set(ERR_MEMORY, "out of memory in the singular value decomposition of %ld x %ld",
                       m, n);
    if (info != 0)
        return err_set(ERR_NUMERIC,
                       "the singular value decomposition of |W| (%ld x %ld) did not converge", m,
                       n);
    for (long i = 0; i < m; i++)
        u[i] = left_vectors[i * least];
    memcpy(v, right_vectors, sizeof *v * (size_t)n);
    *sigma = values[0];
out:
    return rc;
}

/* u, v and sigma by power iteration; *settled tells whether v stopped moving. */
static int iterate(struct sizes *s, double *u, double *v, double *next, double *sigma, int *settled)
{
    int rc = 0;
    *settled = 0;
    *sigma = 0;
    for (int turn = 0; turn < MAX_TURNS && !*settled; turn++) {
        double moved = 0;
        TRY(right(s, v, u));
        double length = norm(u, s->rows);
        if (length == 0) {
            *settled = 1; /* W is 0 */
            break;
        }
        scale(u, s->rows, 1 / length);
        TRY(left(s, u, next));
        *sigma = norm(next, s->columns);
        scale(next, s->columns, 1 / *sigma);
        for (long i = 0; i < s->columns; i++)
            moved = fmax(moved, fabs(next[i] - v[i]));
        memcpy(v, next, sizeof *v * (size_t)s->columns);
        *settled = moved < 1e-13;
    }
out:
    return rc;
}

int rank_one_svd(const float *weight, int rows, int columns, struct arena *arena, float *a,
                 float *b)
{
    struct sizes s = {.weight = weight, .rows = rows, .columns = columns};
    double *u, *v, *next, sigma;
    int rc = 0, settled;
    TRY(arena_alloc(arena, &u, (size_t)rows, sizeof *u));
    TRY(arena_alloc(arena, &v, (size_t)columns, sizeof *v));
    TRY(arena_alloc(arena, &next, (size_t)columns, sizeof *next));
    for (int i = 0; i < columns; i++)
        v[i] = 1 / sqrt(columns);
    TRY(iterate(&s, u, v, next, &sigma, &settled));
    if (!settled)
        TRY(full_svd(&s, arena, u, v, &sigma));
    store(u, v, &s, sqrt(sigma), a, b);
out:
    return rc;
}

/* x = max(0, product / weight) for each, the exact minimum for one component; returns the sum of
 * |projected gradient| before. */
static double least_squares(double *x, const double *product, long count, double weight)
{
    double violation = 0;
    for (long i = 0; i < count; i++) {
        double gradient = x[i] * weight - product[i];
        violation += x[i] == 0 && gradient > 0 ? 0 : fabs(gradient);
        x[i] = weight > 0 && product[i] > 0 ? product[i] / weight : 0;
    }
    return violation;
}

int rank_one_nmf(const float *weight, int rows, int columns, struct rng *rng, struct arena *arena,
                 float *a, float *b)
{
    struct sizes s = {.weight = weight, .rows = rows, .columns = columns};
    double *u, *v, *product, sum = 0, first = 0;
    int rc = 0, longer = rows > columns ? rows : columns;
    TRY(arena_alloc(arena, &u, (size_t)rows, sizeof *u));
    TRY(arena_alloc(arena, &v, (size_t)columns, sizeof *v));
    TRY(arena_alloc(arena, &product, (size_t)longer, sizeof *product));
    for (int i = 0; i < columns; i++)
        v[i] = 1;
    TRY(right(&s, v, u));
    for (int i = 0; i < rows; i++)
        sum += u[i];
    double start = sqrt(sum / rows / columns);
    for (int i = 0; i < columns; i++)
        v[i] = start * fabs(rng_normal(rng));
    for (int i = 0; i < rows; i++)
        u[i] = start * fabs(rng_normal(rng));
    for (int turn = 0; turn < 200; turn++) {
        double length = norm(v, columns);
        TRY(right(&s, v, product));
        double violation = least_squares(u, product, rows, length * length);
        length = norm(u, rows);
        TRY(left(&s, u, product));
        violation += least_squares(v, product, columns, length * length);
        if (turn == 0)
            first = violation;
        if (violation <= 1e-4 * first)
            break;
    }
    store(u, v, &s, 1, a, b);
out:
    return rc;
}
