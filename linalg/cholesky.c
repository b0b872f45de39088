#include "linalg/cholesky.h"

#include "core/err.h"
#include "core/pool.h"
#include "linalg/matmul.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

/* Panels: narrow for small matrices, where the serial panel would dominate, wide for large ones,
 * where products want depth. */
static int panel_width(int n)
{
    return n <= 512 ? 64 : n <= 2048 ? 128 : 256;
}

/* C (m x n) = alpha op(A) op(B) + beta C. */
static void gemm_double(bool transpose_a, bool transpose_b, int m, int n, int k, double alpha,
                        const double *a, int lda, const double *b, int ldb, double beta, double *c,
                        int ldc)
{
    cblas_dgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c,
                ldc);
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

struct factoring {
    double *a;
    int n, start, width; /* the panel's columns are start .. start + width - 1 */
    int tile;
};

/* Rows of the panel below its diagonal block: A21 := A21 L11^-T. */
static int panel_rows(void *context, int index, int worker)
{
    const struct factoring *f = context;
    long first = f->start + f->width + (long)index * f->tile;
    int rows = smaller(f->tile, f->n - (int)first);
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, rows, f->width,
                1.0, f->a + (long)f->start * f->n + f->start, f->n, f->a + first * f->n + f->start,
                f->n);
    (void)worker;
    return 0;
}

/* A22 -= A21 A21^T: row tile i with all columns left of and in it, so that each task's product is
 * wide. The largest tasks come first, which evens out the load. */
static int trailing_rows(void *context, int index, int worker)
{
    const struct factoring *f = context;
    int origin = f->start + f->width, count = (f->n - origin + f->tile - 1) / f->tile;
    long first = origin + (long)(count - 1 - index) * f->tile;
    int rows = smaller(f->tile, f->n - (int)first);
    const double *panel = f->a + f->start;
    gemm_double(false, true, rows, (int)first + rows - origin, f->width, -1.0, panel + first * f->n,
                f->n, panel + (long)origin * f->n, f->n, 1.0, f->a + first * f->n + origin, f->n);
    (void)worker;
    return 0;
}

int cholesky_lower(double *a, int n)
{
    struct factoring f = {.a = a, .n = n};
    int rc = 0, step = panel_width(n);
    for (f.start = 0; f.start < n; f.start += step) {
        f.width = smaller(step, n - f.start);
        /* LAPACK's columns are our rows: its upper triangle is our lower one. */
        int info = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', f.width,
                                       a + (long)f.start * n + f.start, n);
        if (info > 0)
            return err_set(ERR_NUMERIC, "the matrix is not positive definite (pivot %d of %d)",
                           f.start + info, n);
        int rest = n - f.start - f.width;
        if (rest == 0)
            break;
        f.tile = rest > 16 * 128 ? 256 : rest > 512 ? 128 : 64;
        TRY(pool_run(panel_rows, &f, (rest + f.tile - 1) / f.tile));
        TRY(pool_run(trailing_rows, &f, (rest + f.tile - 1) / f.tile));
    }
out:
    return rc;
}

#define REAL       double
#define NAME(name) name##_double
#define GEMM       gemm_double
#define TRTRI      LAPACKE_dtrtri_work
#include "linalg/triangle.inc"
#undef REAL
#undef NAME
#undef GEMM
#undef TRTRI

#define REAL       float
#define NAME(name) name##_float
#define GEMM       gemm
#define TRTRI      LAPACKE_strtri_work
#include "linalg/triangle.inc"
#undef REAL
#undef NAME
#undef GEMM
#undef TRTRI

int triangle_invert(double *l, int n)
{
    return triangle_invert_double(l, n);
}

/* Between H and U in their order and the reversed matrix in work. */
struct reversing {
    const float *h, *diagonal;
    const int *order;
    int n;
    double *work;
    float *upper;
};

enum { REVERSE_ROWS = 32 };

static int reverse_in(void *context, int index, int worker)
{
    const struct reversing *r = context;
    long n = r->n, last = smaller(r->n, (index + 1) * REVERSE_ROWS);
    for (long i = (long)index * REVERSE_ROWS; i < last; i++) {
        long row = r->order ? r->order[n - 1 - i] : n - 1 - i;
        const float *h = r->h + row * n;
        double *to = r->work + i * n;
        if (r->order)
            for (long j = 0; j < i; j++)
                to[j] = (double)h[r->order[n - 1 - j]];
        else
            for (long j = 0; j < i; j++)
                to[j] = (double)h[n - 1 - j];
        to[i] = (double)r->diagonal[row];
    }
    (void)worker;
    return 0;
}

static int reverse_out(void *context, int index, int worker)
{
    const struct reversing *r = context;
    long n = r->n, last = smaller(r->n, (index + 1) * REVERSE_ROWS);
    for (long i = (long)index * REVERSE_ROWS; i < last; i++) {
        const double *from = r->work + (n - 1 - i) * n + (n - 1);
        float *upper = r->upper + i * n;
        memset(upper, 0, sizeof *upper * (size_t)i);
        for (long j = i; j < n; j++)
            upper[j] = (float)from[-j];
    }
    (void)worker;
    return 0;
}

/* The lower triangle rounded to float32, still reversed. */
static int round_rows(void *context, int index, int worker)
{
    const struct reversing *r = context;
    long n = r->n, last = smaller(r->n, (index + 1) * REVERSE_ROWS);
    for (long i = (long)index * REVERSE_ROWS; i < last; i++)
        for (long j = 0; j <= i; j++)
            r->upper[i * n + j] = (float)r->work[i * n + j];
    (void)worker;
    return 0;
}

/* Rows i and n - 1 - i of upper exchange their contents, back to front, after the rubbish above the
 * diagonal has been cleared: so the lower triangle becomes the upper one with zeros below it. */
static int reverse_pairs(void *context, int index, int worker)
{
    const struct reversing *r = context;
    long n = r->n, last = smaller((r->n + 1) / 2, (index + 1) * REVERSE_ROWS);
    for (long i = (long)index * REVERSE_ROWS; i < last; i++) {
        float *low = r->upper + i * n, *high = r->upper + (n - 1 - i) * n;
        memset(low + i + 1, 0, sizeof *low * (size_t)(n - 1 - i));
        memset(high + n - i, 0, sizeof *high * (size_t)i);
        long count = low == high ? n / 2 : n;
        for (long j = 0; j < count; j++) {
            float swapped = low[j];
            low[j] = high[n - 1 - j];
            high[n - 1 - j] = swapped;
        }
    }
    (void)worker;
    return 0;
}

int cholesky_inverse_upper(const float *h, const float *diagonal, const int *order, int n,
                           double *work, float *upper)
{
    struct reversing r = {
        .h = h, .diagonal = diagonal, .order = order, .n = n, .work = work, .upper = upper};
    int rc = 0, tasks = (n + REVERSE_ROWS - 1) / REVERSE_ROWS;
    TRY(pool_run(reverse_in, &r, tasks));
    TRY(cholesky_lower(work, n));
    if (n > CHOLESKY_DOUBLE_INVERSE) {
        TRY(pool_run(round_rows, &r, tasks));
        TRY(triangle_invert_float(upper, n));
        TRY(pool_run(reverse_pairs, &r, tasks));
        goto out;
    }
    TRY(triangle_invert(work, n));
    TRY(pool_run(reverse_out, &r, tasks));
out:
    return rc;
}

int cholesky_inverse_upper_ref(const double *h, int n, double *upper)
{
    /* H = R R^T, R upper, from the last column to the first. */
    for (long j = n - 1; j >= 0; j--) {
        for (long i = j; i >= 0; i--) {
            double sum = h[i * n + j];
            for (long k = j + 1; k < n; k++)
                sum -= upper[i * n + k] * upper[j * n + k];
            if (i == j && !(sum > 0))
                return err_set(ERR_NUMERIC, "the matrix is not positive definite (pivot %ld of %d)",
                               n - j, n);
            upper[i * n + j] = i == j ? sqrt(sum) : sum / upper[j * n + j];
        }
        for (long i = j + 1; i < n; i++)
            upper[i * n + j] = 0;
    }
    /* R^-1 by back substitution, column by column from the last, each column from its foot to the
     * top. */
    for (long j = n - 1; j >= 0; j--) {
        double inverse = 1 / upper[j * n + j];
        for (long i = j - 1; i >= 0; i--) {
            double sum = upper[i * n + j] * inverse;
            for (long k = i + 1; k < j; k++)
                sum += upper[i * n + k] * upper[k * n + j];
            upper[i * n + j] = -sum / upper[i * n + i];
        }
        upper[j * n + j] = inverse;
    }
    return 0;
}
