#include "linalg/matmul.h"

#include "core/pool.h"

#include <cblas.h>

/* Tiles are big enough for OpenBLAS to reach its rate on one thread and small enough to share out. */
enum { TILE_ROWS = 128, TILE_COLUMNS = 256 };

void matmul_init(void)
{
    openblas_set_num_threads(1);
}

void gemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a, int lda, const float *b,
          int ldb, float beta, float *c, int ldc)
{
    cblas_sgemm(CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, m, n, k,
                alpha, a, lda, b, ldb, beta, c, ldc);
}

struct product {
    bool transpose_a, transpose_b;
    int m, n, k, lda, ldb, ldc, tiles_n, tile_n;
    float beta;
    const float *a, *b;
    float *c;
};

static int product_tile(void *context, int index, int worker)
{
    const struct product *p = context;
    int row = index / p->tiles_n * TILE_ROWS, column = index % p->tiles_n * p->tile_n;
    int m = p->m - row < TILE_ROWS ? p->m - row : TILE_ROWS;
    int n = p->n - column < p->tile_n ? p->n - column : p->tile_n;
    const float *a = p->transpose_a ? p->a + row : p->a + (long)row * p->lda;
    const float *b = p->transpose_b ? p->b + (long)column * p->ldb : p->b + column;
    gemm(p->transpose_a, p->transpose_b, m, n, p->k, 1.0f, a, p->lda, b, p->ldb, p->beta,
         p->c + (long)row * p->ldc + column, p->ldc);
    (void)worker;
    return 0;
}

static int run(struct product *p)
{
    p->tiles_n = (p->n + p->tile_n - 1) / p->tile_n;
    return pool_run(product_tile, p, (p->m + TILE_ROWS - 1) / TILE_ROWS * p->tiles_n);
}

int matmul_nt(const float *x, const float *weight, int rows, int out, int in, float beta, float *y)
{
    struct product p = {.transpose_b = true, .m = rows, .n = out, .k = in, .lda = in, .ldb = in, .ldc = out,
                        .beta = beta, .a = x, .b = weight, .c = y, .tile_n = 4 * TILE_COLUMNS};
    return run(&p);
}

int matmul_nn(const float *x, const float *weight, int rows, int out, int in, float beta, float *y)
{
    struct product p = {.m = rows, .n = in, .k = out, .lda = out, .ldb = in, .ldc = in, .beta = beta,
                        .a = x, .b = weight, .c = y, .tile_n = 4 * TILE_COLUMNS};
    return run(&p);
}

int matmul_tn(const float *d, const float *x, int rows, int out, int in, float beta, float *gradient)
{
    struct product p = {.transpose_a = true, .m = out, .n = in, .k = rows, .lda = out, .ldb = in, .ldc = in,
                        .beta = beta, .a = d, .b = x, .c = gradient, .tile_n = TILE_COLUMNS};
    return run(&p);
}
