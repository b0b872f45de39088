#include "linalg/matmul.h"

#include "core/pool.h"
#include "linalg/panel.h"

#include <cblas.h>

/* X W^T and X W: a task packs its part of W, DEPTH of the sum at a time, and takes a tall tile of
 * rows through it. D^T X needs both factors packed, which OpenBLAS does as well as we could. */
enum { TALL = 512, NARROW = 64, DEPTH = 512, GRADIENT_ROWS = 128, GRADIENT_COLUMNS = 256 };

void matmul_init(void)
{
    openblas_set_num_threads(1);
}

void gemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a,
          int lda, const float *b, int ldb, float beta, float *c, int ldc)
{
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
                transpose_b ? CblasTrans : CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c,
                ldc);
}

/* C (m x n) = A (m x k) op(B) + beta C; for the gradient A is k x m and transposed. */
struct product {
    const float *a, *b;
    float *c;
    int m, n, k, tile_m, tile_n;
    float beta;
    bool transpose_b;
};

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Where tile `index` lies: its first row and column, and their numbers. */
struct place {
    int row, column, rows, columns;
};

static struct place place_of(const struct product *p, int index)
{
    int across = (p->n + p->tile_n - 1) / p->tile_n;
    struct place at = {.row = index / across * p->tile_m, .column = index % across * p->tile_n};
    at.rows = least(p->m - at.row, p->tile_m);
    at.columns = least(p->n - at.column, p->tile_n);
    return at;
}

static void scale_tile(float *c, int ldc, const struct place *at, float beta)
{
    for (int i = 0; i < at->rows; i++) {
        for (int j = 0; j < at->columns; j++)
            c[(size_t)i * (size_t)ldc + (size_t)j] *= beta;
    }
}

static int panel_tile(void *context, int index, int worker)
{
    static _Thread_local float packed[DEPTH * NARROW];
    const struct product *p = context;
    struct place at = place_of(p, index);
    float *c = p->c + (size_t)at.row * (size_t)p->n + at.column;
    if (p->beta != 0.0f && p->beta != 1.0f)
        scale_tile(c, p->n, &at, p->beta);
    for (int start = 0; start < p->k; start += DEPTH) {
        int depth = least(p->k - start, DEPTH);
        if (p->transpose_b)
            panel_pack_transposed(p->b + (size_t)at.column * (size_t)p->k + start, p->k, at.columns,
                                  depth, packed);
        else
            panel_pack(p->b + (size_t)start * (size_t)p->n + at.column, p->n, at.columns, depth,
                       packed);
        panel_product(p->a + (size_t)at.row * (size_t)p->k + start, p->k, at.rows, packed,
                      at.columns, depth, start > 0 || p->beta != 0.0f, c, p->n);
    }
    return 0;
}

static int gradient_tile(void *context, int index, int worker)
{
    const struct product *p = context;
    struct place at = place_of(p, index);
    gemm(true, false, at.rows, at.columns, p->k, 1.0f, p->a + at.row, p->m, p->b + at.column, p->n,
         p->beta, p->c + (size_t)at.row * (size_t)p->n + at.column, p->n);
    return 0;
}

static int run(struct product *p, pool_task *task, int tile_m, int tile_n)
{
    p->tile_m = tile_m;
    p->tile_n = tile_n;
    return pool_run(task, p, (p->m + tile_m - 1) / tile_m * ((p->n + tile_n - 1) / tile_n));
}

int matmul_nt(const float *x, const float *weight, int rows, int out, int in, float beta, float *y)
{
    struct product p = {.a = x,
                        .b = weight,
                        .c = y,
                        .m = rows,
                        .n = out,
                        .k = in,
                        .beta = beta,
                        .transpose_b = true};
    return run(&p, panel_tile, TALL, NARROW);
}

int matmul_nn(const float *x, const float *weight, int rows, int out, int in, float beta, float *y)
{
    struct product p = {.a = x, .b = weight, .c = y, .m = rows, .n = in, .k = out, .beta = beta};
    return run(&p, panel_tile, TALL, NARROW);
}

int matmul_tn(const float *d, const float *x, int rows, int out, int in, float beta,
              float *gradient)
{
    struct product p = {.a = d, .b = x, .c = gradient, .m = out, .n = in, .k = rows, .beta = beta};
    return run(&p, gradient_tile, GRADIENT_ROWS, GRADIENT_COLUMNS);
}
