/* The error of a layer, weighted by the Hessian, against textbook loops in float64. */
#include "harness/layer_loss.h"

#include "core/pool.h"
#include "tests/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct layer {
    int rows, columns;
    float *weight, *quantized;
    struct hessian hessian;
};

static void layer_init(struct layer *layer, int rows, int columns, double step, uint64_t seed)
{
    struct rng rng;
    size_t count = (size_t)rows * (size_t)columns;
    int samples = columns / 2 + 3; /* a Hessian that is not of full rank */
    float *x;
    *layer = (struct layer){.rows = rows, .columns = columns};
    rng_seed(&rng, seed);
    FIXTURE_OK(mem_alloc(&layer->weight, count, sizeof(float)));
    FIXTURE_OK(mem_alloc(&layer->quantized, count, sizeof(float)));
    FIXTURE_OK(mem_alloc(&x, (size_t)samples * (size_t)columns, sizeof(float)));
    for (size_t i = 0; i < count; i++) {
        layer->weight[i] = (float)rng_normal(&rng);
        layer->quantized[i] = (float)(round((double)layer->weight[i] / step) * step);
    }
    for (int i = 0; i < samples * columns; i++)
        x[i] = (float)(rng_normal(&rng) * exp(rng_normal(&rng)));
    FIXTURE_OK(hessian_init(&layer->hessian, columns));
    FIXTURE_OK(hessian_add(&layer->hessian, x, samples, 2));
    hessian_finish(&layer->hessian);
    mem_free(x);
}

static void layer_release(struct layer *layer)
{
    mem_free(layer->weight);
    mem_free(layer->quantized);
    hessian_release(&layer->hessian);
}

/* tr(A H A^T), A = W - factor W_q. */
static double plain_norm(const struct layer *l, double factor)
{
    double sum = 0;
    size_t n = (size_t)l->columns;
    for (size_t r = 0; r < (size_t)l->rows; r++)
        for (size_t j = 0; j < n; j++) {
            double product = 0,
                   a = (double)l->weight[r * n + j] - factor * (double)l->quantized[r * n + j];
            for (size_t k = 0; k < n; k++)
                product += ((double)l->weight[r * n + k] -
                            factor * (double)l->quantized[r * n + k]) *
                           (double)l->hessian.matrix[j * n + k];
            sum += a * product;
        }
    return sum;
}

static void agrees_with_plain_loops(void **state)
{
    static const int shapes[][2] = {{1, 1}, {7, 5}, {3, 257}, {513, 256}, {70, 600}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct layer layer;
        struct arena arena = {0};
        struct layer_loss loss;
        layer_init(&layer, shapes[i][0], shapes[i][1], 0.3, i);
        FIXTURE_OK(layer_loss(layer.weight, layer.quantized, layer.rows, layer.columns,
                              &layer.hessian, &arena, &loss));
        double expected = plain_norm(&layer, 1), norm = plain_norm(&layer, 0);
        assert_true(fabs(loss.hessian_loss / expected - 1) < 1e-6);
        assert_true(fabs(loss.relative_loss / (expected / norm) - 1) < 1e-6);
        arena_release(&arena);
        layer_release(&layer);
    }
}

static void threads_do_not_matter(void **state)
{
    struct layer layer;
    struct layer_loss losses[2];
    layer_init(&layer, 1100, 700, 0.5, 9);
    for (int i = 0; i < 2; i++) {
        struct arena arena = {0};
        FIXTURE_OK(pool_start(i ? 3 : 1));
        FIXTURE_OK(layer_loss(layer.weight, layer.quantized, layer.rows, layer.columns,
                              &layer.hessian, &arena, &losses[i]));
        arena_release(&arena);
    }
    FIXTURE_OK(pool_start(2));
    assert_memory_equal(&losses[0], &losses[1], sizeof losses[0]);
    layer_release(&layer);
}

static void without_hessian_only_the_mean_square(void **state)
{
    const float weight[] = {1, 2, 3, 4}, quantized[] = {1, 1, 3, 2};
    struct arena arena = {0};
    struct layer_loss loss;
    FIXTURE_OK(layer_loss(weight, quantized, 2, 2, NULL, &arena, &loss));
    assert_true(loss.weight_mse == 1.25);
    assert_true(isnan(loss.hessian_loss) && isnan(loss.relative_loss));
    arena_release(&arena);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_plain_loops),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(without_hessian_only_the_mean_square),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
