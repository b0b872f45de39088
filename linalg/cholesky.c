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

/* Between H and U in their order and the reversed matrix in work. */
struct reversing {
    const float *h, *diagonal;
    const int *order;
    int n;
    void *work; /* the reversed matrix, float64 or float32 */
    float *upper;
};

enum { REVERSE_ROWS = 32 };

#define REAL       double
#define NAME(name) name##_double
#define GEMM       gemm_double
#define TRSM       cblas_dtrsm
#define POTRF      LAPACKE_dpotrf_work
#define TRTRI      LAPACKE_dtrtri_work
#include "linalg/cholesky.inc"
#undef REAL
#undef NAME
#undef GEMM
#undef TRSM
#undef POTRF
#undef TRTRI

#define REAL       float
#define NAME(name) name##_float
#define GEMM       gemm
#define TRSM       cblas_strsm
#define POTRF      LAPACKE_spotrf_work
#define TRTRI      LAPACKE_strtri_work
#include "linalg/cholesky.inc"
#undef REAL
#undef NAME
#undef GEMM
#undef TRSM
#undef POTRF
#undef TRTRI

static int reverse_out(void *context, long first, long end, int worker)
{
    const struct reversing *r = context;
    long n = r->n;
    for (long i = first; i < end; i++) {
        const double *from = (const double *)r->work + (n - 1 - i) * n + (n - 1);
        float *upper = r->upper + i * n;
        memset(upper, 0, sizeof *upper * (size_t)i);
        for (long j = i; j < n; j++)
            upper[j] = (float)from[-j];
    }
    return 0;
}

/* Rows i and n - 1 - i of upper exchange their contents, back to front, after the rubbish above the
 * diagonal has been cleared: so the lower triangle becomes the upper one with zeros below it. */
static int reverse_pairs(void *context, long first, long end, int worker)
{
    const struct reversing *r = context;
    long n = r->n;
    for (long i = first; i < end; i++) {
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
    return 0;
}

int cholesky_inverse_upper(const float *h, const float *diagonal, const int *order, int n,
                           double *work, float *upper)
{
    bool large = n > CHOLESKY_DOUBLE; /* then in place */
    struct reversing r = {.h = h,
                          .diagonal = diagonal,
                          .order = order,
                          .n = n,
                          .work = large ? (void *)upper : work,
                          .upper = upper};
    int rc = 0;
    if (large) {
        TRY(pool_run_rows(reverse_in_float, &r, n, REVERSE_ROWS));
        TRY(cholesky_lower_float(upper, n));
        TRY(triangle_invert_float(upper, n));
        TRY(pool_run_rows(reverse_pairs, &r, (n + 1) / 2, REVERSE_ROWS));
    } else {
        TRY(pool_run_rows(reverse_in_double, &r, n, REVERSE_ROWS));
        TRY(cholesky_lower_double(work, n));
        TRY(triangle_invert_double(work, n));
        TRY(pool_run_rows(reverse_out, &r, n, REVERSE_ROWS));
    }
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
