/* tr(A H A^T) = sum_r sum_jk a_rj h_jk a_rk, and H is symmetric: the products with k left of j's
 * tile count twice and those to the right are not computed, which halves the work. A task takes a
 * tile of rows and of columns j. */
#include "harness/layer_loss.h"

#include "core/err.h"
#include "core/pool.h"
#include "linalg/matmul.h"

#include <math.h>

enum { ROWS = 512, COLUMNS = 256 };

struct norms {
    const float *weight, *hessian;
    int rows, columns, across;
    float *difference; /* rows x columns */
    float *product;    /* for each thread: ROWS x COLUMNS */
    struct sums {
        double difference, weight;
    } * sums; /* one a task */
};

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* The tile's share of tr(A H A^T); product is scratch. */
static double tile_norm(const struct norms *n, const float *a, int row, int column, float *product)
{
    int rows = smaller(ROWS, n->rows - row), columns = smaller(COLUMNS, n->columns - column);
    const float *h = n->hessian + (size_t)column * (size_t)n->columns;
    double sum = 0;
    a += (size_t)row * (size_t)n->columns;
    if (column > 0)
        gemm(false, true, rows, columns, column, 2.0f, a, n->columns, h, n->columns, 0.0f, product,
             COLUMNS);
    gemm(false, true, rows, columns, columns, 1.0f, a + column, n->columns, h + column, n->columns,
         column > 0 ? 1.0f : 0.0f, product, COLUMNS);
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < columns; j++)
            sum += (double)a[(size_t)r * (size_t)n->columns + (size_t)(column + j)] *
                   (double)product[r * COLUMNS + j];
    return sum;
}

/* The tiles to the right have the most work and come first. */
static int add_tile(void *context, int index, int worker)
{
    const struct norms *n = context;
    int down = (n->rows + ROWS - 1) / ROWS, row = index % down * ROWS,
        column = (n->across - 1 - index / down) * COLUMNS;
    float *product = n->product + (size_t)worker * ROWS * COLUMNS;
    n->sums[index] = (struct sums){tile_norm(n, n->difference, row, column, product),
                                   tile_norm(n, n->weight, row, column, product)};
    return 0;
}

static int weighted_norms(struct norms *n, struct arena *arena, struct layer_loss *loss)
{
    int rc, tasks;
    struct sums all = {0};
    n->across = (n->columns + COLUMNS - 1) / COLUMNS;
    tasks = n->across * ((n->rows + ROWS - 1) / ROWS);
    TRY(arena_alloc(arena, &n->product, (size_t)pool_threads() * ROWS * COLUMNS,
                    sizeof *n->product));
    TRY(arena_alloc(arena, &n->sums, (size_t)tasks, sizeof *n->sums));
    TRY(pool_run(add_tile, n, tasks));
    for (int i = 0; i < tasks; i++) {
        all.difference += n->sums[i].difference;
        all.weight += n->sums[i].weight;
    }
    loss->hessian_loss = all.difference;
    loss->relative_loss = all.weight > 0 ? all.difference / all.weight : NAN;
out:
    return rc;
}

int layer_loss(const float *weight, const float *quantized, int rows, int columns,
               const struct hessian *hessian, struct arena *arena, struct layer_loss *loss)
{
    int rc = 0;
    struct arena_mark mark = arena_mark(arena);
    size_t count = (size_t)rows * (size_t)columns;
    struct layer_loss result = {.hessian_loss = NAN, .relative_loss = NAN};
    struct norms n = {.weight = weight, .rows = rows, .columns = columns};
    TRY(arena_alloc(arena, &n.difference, count, sizeof *n.difference));
    for (size_t i = 0; i < count; i++) {
        n.difference[i] = weight[i] - quantized[i];
        result.weight_mse += (double)n.difference[i] * (double)n.difference[i] / (double)count;
    }
    if (hessian) {
        n.hessian = hessian->matrix;
        TRY(weighted_norms(&n, arena, &result));
    }
    *loss = result;
out:
    arena_reset(arena, mark);
    return rc;
}
