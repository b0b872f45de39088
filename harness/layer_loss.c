#include "harness/layer_loss.h"

#include "core/err.h"
#include "linalg/matmul.h"

#include <math.h>

/* sum_ij A_ij (A H)_ij = tr(A H A^T); H is symmetric, so A H = A H^T. product
 * is rows x columns of scratch. */
static int weighted_norm(const float *a, int rows, int columns, const float *hessian,
                         float *product, double *norm)
{
    int rc = matmul_nt(a, hessian, rows, columns, columns, 0.0f, product);
    if (rc)
        return rc;
    *norm = 0;
    for (size_t i = 0; i < (size_t)rows * (size_t)columns; i++)
        *norm += (double)a[i] * (double)product[i];
    return 0;
}

int layer_loss(const float *weight, const float *quantized, int rows, int columns,
               const struct hessian *hessian, struct arena *arena, struct layer_loss *loss)
{
    int rc = 0;
    struct arena_mark mark = arena_mark(arena);
    size_t count = (size_t)rows * (size_t)columns;
    struct layer_loss result = {.hessian_loss = NAN, .relative_loss = NAN};
    float *difference, *product;
    double norm;
    TRY(arena_alloc(arena, &difference, count, sizeof *difference));
    for (size_t i = 0; i < count; i++) {
        difference[i] = weight[i] - quantized[i];
        result.weight_mse += (double)difference[i] * (double)difference[i] / (double)count;
    }
    if (hessian) {
        TRY(arena_alloc(arena, &product, count, sizeof *product));
        TRY(weighted_norm(difference, rows, columns, hessian->matrix, product,
                          &result.hessian_loss));
        TRY(weighted_norm(weight, rows, columns, hessian->matrix, product, &norm));
        result.relative_loss = norm > 0 ? result.hessian_loss / norm : NAN;
    }
    *loss = result;
out:
    arena_reset(arena, mark);
    return rc;
}
