/* Matrix products on OpenBLAS and on packed panels (linalg/panel.h). BLAS itself is kept on one
 * thread; parallel products are cut into fixed tiles that go to the pool, so the result does not
 * depend on the number of threads; in matmul_nt and matmul_nn a row's result does not depend on the
 * other rows either. All matrices are row-major float32. */
#ifndef LINALG_MATMUL_H
#define LINALG_MATMUL_H

#include <stdbool.h>

/* Puts OpenBLAS on one thread; called once at start. */
void matmul_init(void);

/* C (m x n, leading dimension ldc) = alpha op(A) op(B) + beta C, on the calling thread. */
void gemm(bool transpose_a, bool transpose_b, int m, int n, int k, float alpha, const float *a,
          int lda, const float *b, int ldb, float beta, float *c, int ldc);

/* Y (rows x out) = X (rows x in) W^T + beta Y, W out x in, in tiles on the pool. Not from within a
 * task. */
int matmul_nt(const float *x, const float *weight, int rows, int out, int in, float beta, float *y);

/* Y (rows x in) = X (rows x out) W + beta Y, W out x in: the gradient of the input. In tiles on the
 * pool. */
int matmul_nn(const float *x, const float *weight, int rows, int out, int in, float beta, float *y);

/* G (out x in) = D^T X + beta G, D rows x out, X rows x in: the gradient of the weight. In tiles of
 * G on the pool, so that each element is one thread's sum over all rows. */
int matmul_tn(const float *d, const float *x, int rows, int out, int in, float beta,
              float *gradient);

#endif
