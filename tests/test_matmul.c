/* The parallel products against a plain double-precision sum, at sizes around the tiles'; the same
 * bytes for every number of threads, and for a row whatever stands beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "linalg/matmul.h"
#include "linalg/panel.h"
#include "tests/fixture.h"

#include <math.h>
#include <string.h>

static const int sizes[][3] = {{1, 1, 1},     {3, 5, 7},      {130, 70, 33},
                               {513, 65, 40}, {40, 33, 1030}, {600, 129, 64}};
enum { SIZES = sizeof sizes / sizeof *sizes };

static float *draw(struct rng *rng, int count)
{
    float *out;
    assert_int_equal(mem_alloc(&out, (size_t)count, sizeof *out), 0);
    for (int i = 0; i < count; i++)
        out[i] = (float)rng_normal(rng);
    return out;
}

/* C (m x n): sum over p of a[i * a_row + p * a_step] b[j * b_row + p * b_step], plus beta C. */
static void check(const float *got, const float *before, double beta, int m, int n, int k,
                  const float *a, int a_row, int a_step, const float *b, int b_row, int b_step)
{
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double sum = beta == 0 ? 0 : beta * before[i * n + j];
            for (int p = 0; p < k; p++)
                sum += (double)a[i * a_row + p * a_step] * b[j * b_row + p * b_step];
            if (!(fabs(got[i * n + j] - sum) < 2e-6 * k + 1e-5))
                fail_msg("%d x %d x %d: (%d, %d) is %.8g, not %.8g", m, n, k, i, j, got[i * n + j],
                         sum);
        }
    }
}

static void products_equal_plain_sums(void **state)
{
    static const float betas[] = {0, 1, -0.5f};
    struct rng rng;
    rng_seed(&rng, 2);
    for (int s = 0; s < SIZES * 3; s++) {
        int rows = sizes[s / 3][0], out = sizes[s / 3][1], in = sizes[s / 3][2];
        float beta = betas[s % 3];
        float *x = draw(&rng, rows * in), *w = draw(&rng, out * in), *d = draw(&rng, rows * out);
        float *y = draw(&rng, rows * out), *dx = draw(&rng, rows * in), *g = draw(&rng, out * in),
              *before;
        int most = rows * out > rows * in ? rows * out : rows * in;
        assert_int_equal(
            mem_alloc(&before, (size_t)(most > out * in ? most : out * in), sizeof *before), 0);
        memcpy(before, y, (size_t)(rows * out) * sizeof *y);
        if (beta == 0)
            y[0] = NAN; /* is not read */
        assert_int_equal(matmul_nt(x, w, rows, out, in, beta, y), 0);
        check(y, before, beta, rows, out, in, x, in, 1, w, in, 1);
        memcpy(before, dx, (size_t)(rows * in) * sizeof *dx);
        assert_int_equal(matmul_nn(d, w, rows, out, in, beta, dx), 0);
        check(dx, before, beta, rows, in, out, d, out, 1, w, 1, in);
        memcpy(before, g, (size_t)(out * in) * sizeof *g);
        assert_int_equal(matmul_tn(d, x, rows, out, in, beta, g), 0);
        check(g, before, beta, out, in, rows, d, 1, out, x, 1, in);
        float *all[] = {x, w, d, y, dx, g, before};
        for (int i = 0; i < 7; i++)
            mem_free(all[i]);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    enum { ROWS = 700, OUT = 150, IN = 600 };
    struct rng rng;
    rng_seed(&rng, 3);
    float *x = draw(&rng, ROWS * IN), *w = draw(&rng, OUT * IN), *y = draw(&rng, ROWS * OUT),
          *dx = draw(&rng, ROWS * IN);
    float *g = draw(&rng, OUT * IN), *y1 = draw(&rng, ROWS * OUT), *dx1 = draw(&rng, ROWS * IN),
          *g1 = draw(&rng, OUT * IN);
    assert_int_equal(pool_start(1), 0);
    matmul_nt(x, w, ROWS, OUT, IN, 0, y1);
    matmul_nn(y1, w, ROWS, OUT, IN, 0, dx1);
    matmul_tn(y1, x, ROWS, OUT, IN, 0, g1);
    for (int threads = 2; threads < 4; threads++) {
        assert_int_equal(pool_start(threads), 0);
        matmul_nt(x, w, ROWS, OUT, IN, 0, y);
        matmul_nn(y, w, ROWS, OUT, IN, 0, dx);
        matmul_tn(y, x, ROWS, OUT, IN, 0, g);
        assert_memory_equal(y, y1, ROWS * OUT * sizeof *y);
        assert_memory_equal(dx, dx1, ROWS * IN * sizeof *y);
        assert_memory_equal(g, g1, OUT * IN * sizeof *y);
    }
    for (int r = 0; r < ROWS; r += 123) {
        matmul_nt(x + r * IN, w, 1, OUT, IN, 0, y);
        assert_memory_equal(y, y1 + r * OUT, OUT * sizeof *y);
    }
    float *all[] = {x, w, y, dx, g, y1, dx1, g1};
    for (int i = 0; i < 8; i++)
        mem_free(all[i]);
}

static void packing_both_ways_agrees(void **state)
{
    enum { N = 45, K = 21 };
    struct rng rng;
    rng_seed(&rng, 4);
    float *w = draw(&rng, N * K), turned[K * N], *a, *b;
    for (int i = 0; i < N * K; i++)
        turned[i % K * N + i / K] = w[i];
    assert_int_equal(panel_floats(N, K), 64 * K);
    assert_int_equal(mem_alloc(&a, panel_floats(N, K), sizeof *a), 0);
    assert_int_equal(mem_alloc(&b, panel_floats(N, K), sizeof *b), 0);
    panel_pack_transposed(w, K, N, K, a);
    panel_pack(turned, N, N, K, b);
    assert_memory_equal(a, b, panel_floats(N, K) * sizeof *a);
    assert_true(a[0] == w[0] && a[1] == w[K] && a[PANEL] == w[1]);
    assert_true(a[panel_floats(N, K) - 1] == 0);
    mem_free(w);
    mem_free(a);
    mem_free(b);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_equal_plain_sums),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(packing_both_ways_agrees),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
