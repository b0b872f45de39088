/* Hessians, Cholesky factors, bit packing, order statistics and rank-one approximations against
 * textbook twins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "linalg/bitpack.h"
#include "linalg/cholesky.h"
#include "linalg/finite.h"
#include "linalg/hessian.h"
#include "linalg/matmul.h"
#include "linalg/packed_gemv.h"
#include "linalg/rank_one.h"
#include "linalg/select.h"
#include "linalg/simd.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *room(size_t count, size_t size)
{
    void *memory;
    assert_int_equal(mem_calloc(&memory, count, size), 0);
    return memory;
}

static float *normal(size_t count, uint64_t seed)
{
    struct rng rng;
    float *values = room(count, sizeof *values);
    rng_seed(&rng, seed);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)rng_normal(&rng);
    return values;
}

/* ---- Hessian ---- */

static void hessian_of(struct hessian *hessian, const float *x, int size)
{
    assert_int_equal(hessian_init(hessian, size), 0);
    assert_int_equal(hessian_add(hessian, x, 20, 1), 0);
    assert_int_equal(hessian_add(hessian, x + 20 * size, 50, 3), 0);
    hessian_finish(hessian);
}

static void hessian_is_the_sum(void **state)
{
    const int sizes[] = {1, 7, 64, 65, 200, 400};
    for (int k = 0; k < 6; k++) {
        int n = sizes[k];
        struct hessian one, three;
        float *x = normal(70 * (size_t)n, 3);
        pool_start(1);
        hessian_of(&one, x, n);
        pool_start(3);
        hessian_of(&three, x, n);
        assert_memory_equal(one.matrix, three.matrix, sizeof(float) * (size_t)n * (size_t)n);
        assert_int_equal(one.sequences, 4);
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++) {
                double sum = 0;
                for (int t = 0; t < 70; t++)
                    sum += 2.0 / 4 * (double)x[t * n + i] * (double)x[t * n + j];
                assert_true(fabs((double)one.matrix[i * n + j] - sum) < 1e-4);
            }
        hessian_release(&one);
        hessian_release(&three);
        mem_free(x);
    }
    struct hessian bad;
    assert_int_equal(hessian_init(&bad, 0), ERR_USAGE);
}

/* ---- Cholesky ---- */

static void factor_against_twin(int n)
{
    float *x = normal((size_t)(2 * n) * (size_t)n, 5), *diagonal = room((size_t)n, sizeof(float));
    float *upper = room((size_t)n * (size_t)n, sizeof(float)),
          *again = room((size_t)n * (size_t)n, sizeof(float));
    double *work = room((size_t)n * (size_t)n, sizeof(double)),
           *twin = room((size_t)n * (size_t)n, sizeof(double));
    double *h = room((size_t)n * (size_t)n, sizeof(double));
    struct hessian hessian;
    assert_int_equal(hessian_init(&hessian, n), 0);
    assert_int_equal(hessian_add(&hessian, x, 2 * n, 1), 0);
    hessian_finish(&hessian);
    for (int i = 0; i < n; i++)
        diagonal[i] = hessian.matrix[i * n + i] += 0.5f;
    for (int i = 0; i < n * n; i++)
        h[i] = (double)hessian.matrix[i];
    pool_start(1);
    assert_int_equal(cholesky_inverse_upper(hessian.matrix, diagonal, NULL, n, work, upper), 0);
    pool_start(3);
    assert_int_equal(cholesky_inverse_upper(hessian.matrix, diagonal, NULL, n, work, again), 0);
    assert_memory_equal(upper, again, sizeof(float) * (size_t)n * (size_t)n);
    assert_int_equal(cholesky_inverse_upper_ref(h, n, twin), 0);
    for (int i = 0; i < n * n; i++)
        assert_true(fabs((double)upper[i] - twin[i]) <=
                    1e-6 * fabs(twin[0]) + 6e-8 * fabs(twin[i]));
    hessian_release(&hessian);
    mem_free(x);
    mem_free(diagonal);
    mem_free(upper);
    mem_free(again);
    mem_free(work);
    mem_free(twin);
    mem_free(h);
}

static void factor_of_the_inverse(void **state)
{
    const int sizes[] = {1, 2, 63, 64, 65, 129, 200, 577};
    for (int i = 0; i < 8; i++)
        factor_against_twin(sizes[i]);
}

/* Above CHOLESKY_DOUBLE: U^T U H = I, looked at through a vector. */
static void large_factor(void **state)
{
    enum { N = CHOLESKY_DOUBLE + 65 };
    float *h = room((size_t)N * N, sizeof *h), *diagonal = room(N, sizeof *h),
          *upper = room((size_t)N * N, sizeof *h);
    double *x = room(3 * N, sizeof *x), *y = x + N, *z = y + N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            h[(long)i * N + j] = (float)(exp(-0.05 * abs(i - j)) + (i == j ? 0.1 : 0));
    for (int i = 0; i < N; i++) {
        diagonal[i] = h[(long)i * N + i];
        x[i] = sin(0.7 * i);
    }
    assert_int_equal(cholesky_inverse_upper(h, diagonal, NULL, N, NULL, upper), 0);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            y[i] += (double)h[(long)i * N + j] * x[j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            z[i] += (double)upper[(long)i * N + j] * y[j];
            assert_true(j >= i || upper[(long)i * N + j] == 0);
        }
    for (int i = 0; i < N; i++) {
        double sum = 0;
        for (int j = 0; j <= i; j++)
            sum += (double)upper[(long)j * N + i] * z[j];
        assert_true(fabs(sum - x[i]) < 1e-4);
    }
    mem_free(h);
    mem_free(diagonal);
    mem_free(upper);
    mem_free(x);
}

/* By hand: H = [4 2; 2 3], H^-1 = [3 -2; -2 4] / 8 = U^T U with U = [sqrt(3/8) -2/sqrt(24); 0
 * sqrt(1/3)]. */
static void factor_by_hand(void **state)
{
    const float h[] = {4, 2, 2, 3}, diagonal[] = {4, 3};
    const int reversed[] = {1, 0};
    float upper[4];
    double work[4];
    assert_int_equal(cholesky_inverse_upper(h, diagonal, NULL, 2, work, upper), 0);
    assert_true(fabs((double)upper[0] - sqrt(3.0 / 8)) < 1e-7);
    assert_true(fabs((double)upper[1] + 2 / sqrt(24)) < 1e-7);
    assert_true(upper[2] == 0);
    assert_true(fabs((double)upper[3] - sqrt(1.0 / 3)) < 1e-7);
    assert_int_equal(cholesky_inverse_upper(h, diagonal, reversed, 2, work, upper), 0); /* of [3 2;
                                                                                           2 4] */
    assert_true(fabs((double)upper[0] - sqrt(4.0 / 8)) < 1e-7);
    assert_true(fabs((double)upper[3] - sqrt(1.0 / 4)) < 1e-7);
}

static void not_positive_definite(void **state)
{
    const float h[] = {1, 2, 2, 1}, diagonal[] = {1, 1};
    float upper[4];
    double work[4];
    assert_int_equal(cholesky_inverse_upper(h, diagonal, NULL, 2, work, upper), ERR_NUMERIC);
    assert_non_null(strstr(err_text(), "pivot 2 of 2"));
}

static void factors_are_kept(void **state)
{
    struct hessian hessian;
    const struct hessian_factor *a, *b, *c;
    const float x[] = {1, 2, 3, 0, 1, 1, 2, 0, 1, 1, 3, 0};
    assert_int_equal(hessian_init(&hessian, 4), 0);
    assert_int_equal(hessian_add(&hessian, x, 3, 1), 0);
    hessian_finish(&hessian);
    assert_int_equal(hessian_factorize(&hessian, 0.01, false, &a), 0);
    assert_int_equal(hessian_factorize(&hessian, 0.01, true, &b), 0);
    assert_int_equal(hessian_factorize(&hessian, 0.01, false, &c), 0);
    assert_ptr_equal(a, c);
    assert_ptr_not_equal(a, b);
    assert_int_equal(a->raised, 0);
    const int order[] = {2, 1, 0, 3}; /* diagonal 2 (9 + 4 + 9... ) falls from column 2 to the dead
                                         one, which counts as 1 */
    double diagonal[4];
    for (int i = 0; i < 4; i++)
        diagonal[i] = hessian.matrix[i * 5] == 0 ? 1 : (double)hessian.matrix[i * 5];
    for (int i = 0; i < 3; i++)
        assert_true(diagonal[b->order[i]] >= diagonal[b->order[i + 1]]);
    assert_int_equal(b->order[3], order[3]);
    /* the dead column: alone, with diagonal 1 + 0.01 mean */
    double mean = (diagonal[0] + diagonal[1] + diagonal[2] + diagonal[3]) / 4;
    assert_true(fabs((double)a->upper[15] - 1 / sqrt(1 + 0.01 * mean)) < 1e-6);
    hessian_release(&hessian);
}

/* ---- bits ---- */

static void packing_loses_nothing(void **state)
{
    struct rng rng;
    rng_seed(&rng, 9);
    for (int bits = 0; bits <= 8; bits++)
        for (size_t count = 0; count < 70; count++) {
            uint8_t codes[70], packed[80] = {0}, back[70];
            size_t bytes = bitpack_row_bytes(bits, count);
            for (size_t i = 0; i < count; i++)
                codes[i] = (uint8_t)rng_below(&rng, bits ? 1u << bits : 3);
            bitpack_row(bits, codes, count, packed);
            assert_int_equal(packed[bytes], 0);
            bitunpack_row(bits, packed, count, back);
            assert_memory_equal(codes, back, count);
        }
    const uint8_t three[] = {5, 2, 7}, trits[] = {2, 0, 1, 1, 0, 2};
    uint8_t packed[2] = {0};
    bitpack_row(3, three, 3, packed); /* 5 | 2 << 3 | 7 << 6 = 0x1d5 */
    assert_int_equal(packed[0], 0xd5);
    assert_int_equal(packed[1], 0x01);
    packed[0] = packed[1] = 0;
    bitpack_row(BITPACK_TERNARY, trits, 6, packed); /* 2 + 0 + 9 + 27 + 0, then 2 */
    assert_int_equal(packed[0], 38);
    assert_int_equal(packed[1], 2);
}

static void packed_products(void **state)
{
    enum { COUNT = 517 };
    float *x = normal(COUNT, 2);
    struct rng rng;
    rng_seed(&rng, 8);
    for (int i = 0; simd_set(i); i++) {
        assert_true(simd_choose(simd_set(i)->name));
        for (int bits = 0; bits <= 8; bits++)
            for (size_t first = 0; first < 40; first++) {
                uint8_t codes[COUNT], packed[COUNT + 1] = {0};
                size_t count = COUNT - first - (size_t)rng_below(&rng, first % 3 == 0 ? 450 : 20);
                double sizes = 0;
                for (size_t k = 0; k < COUNT; k++)
                    codes[k] = (uint8_t)rng_below(&rng, bits ? 1u << bits : 3);
                bitpack_row(bits, codes, COUNT, packed);
                for (size_t k = 0; k < count; k++)
                    sizes += codes[first + k] * fabs((double)x[k]);
                float fast = packed_dot(bits, packed, first, count, x),
                      plain = packed_dot_ref(bits, packed, first, count, x);
                if (!(fabs((double)fast - (double)plain) <= 2e-6 * sizes))
                    fail_msg("%s, %d bits, codes %zu to %zu: %g, not %g", simd_set(i)->name, bits,
                             first, first + count, (double)fast, (double)plain);
            }
        for (size_t count = 0; count < 130; count++) {
            uint8_t mask[17];
            float a[130], b[130], c[130], d[130];
            for (int k = 0; k < 17; k++)
                mask[k] = (uint8_t)rng_next(&rng);
            size_t set = (size_t)simd.mask_split(mask, x, (int)count, a, b);
            assert_int_equal(set, mask_split_ref(mask, x, (int)count, c, d));
            assert_memory_equal(a, c, set * sizeof *a);
            assert_memory_equal(b, d, (count - set) * sizeof *b);
            assert_true(fabs((double)simd.mask_dot(mask, x, (int)count) -
                             (double)mask_dot_ref(mask, x, (int)count)) < 1e-4);
        }
    }
    simd_choose(simd_set(0)->name);
    mem_free(x);
}

/* ---- kernels of the searches ---- */

static void search_kernels(void **state)
{
    enum { COUNT = 100, ROWS = 16 };
    float *x = normal(COUNT * ROWS, 4), got[ROWS], want[ROWS];
    double w[3 * 32], v[3 * 32], e[32];
    float u[3] = {0.5f, -2, 3};
    for (int i = 0; i < COUNT * ROWS; i += 5)
        x[i] = 0.25f; /* equal weights and zeros among them */
    for (int l = 0; l < COUNT; l += 2)
        x[l * ROWS + 3] = 0;
    for (int i = 0; simd_set(i); i++) {
        const struct simd *s = simd_set(i);
        for (int count = 0; count <= COUNT; count += count < 10 ? 1 : 9) {
            double sum[ROWS] = {0}, squares = 0;
            for (int k = 0; k < count * ROWS; k++) {
                sum[k % ROWS] += (double)x[k];
                squares += (double)x[k] * (double)x[k] / ROWS;
            }
            for (int order = 1; order <= 2; order++) {
                s->binary_error(x, count, sum, order, got);
                binary_error_ref(x, count, sum, order, want);
                for (int l = 0; l < ROWS; l++) /* row 3 has ties, where order 2 hangs on the last
                                                  bit */
                    if (!(fabs((double)got[l] - (double)want[l]) <= 1e-5 * (squares + 1)) &&
                        (l != 3 || order == 1))
                        fail_msg("%s: order %d of %d columns, row %d: %g, not %g", s->name, order,
                                 count, l, (double)got[l], (double)want[l]);
            }
            for (float split = 0; split < 3; split += 0.7f) {
                s->split_error(x, count, split, got);
                split_error_ref(x, count, split, want);
                for (int l = 0; l < ROWS; l++)
                    assert_true(fabs((double)got[l] - (double)want[l]) <= 1e-5 * (squares + 1));
            }
        }
        for (int k = 0; k < 96; k++)
            w[k] = v[k] = k * 0.37 - 5;
        for (int l = 0; l < 32; l++)
            e[l] = 1.0 / (l + 1);
        s->feed_back(w, e, u, 3);
        feed_back_ref(v, e, u, 3);
        for (int k = 0; k < 96; k++)
            assert_true(fabs(w[k] - v[k]) < 1e-12);
    }
    /* By hand: 1, 2, 6 have mean 3 and mean distance 2; left are 0, 1, 1, so the error is 2. */
    const float hand[3 * ROWS] = {[0] = 1, [ROWS] = 2, [2 * ROWS] = 6};
    const double sum[ROWS] = {9};
    simd.binary_error(hand, 3, sum, 1, got);
    assert_true(got[0] == 2);
    mem_free(x);
}

/* ---- order statistics ---- */

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void order_statistics(void **state)
{
    enum { COUNT = 300000 };
    float *values = normal(COUNT, 6), *sorted = room(COUNT, sizeof *sorted),
          *scratch = room(COUNT, sizeof *sorted), value;
    struct arena arena = {0};
    for (int i = 0; i < COUNT; i++)
        sorted[i] = values[i] = i % 9 == 0 ? 0 : i % 31 == 0 ? 1e-40f : fabsf(values[i]);
    qsort(sorted, COUNT, sizeof *sorted, ascending);
    const size_t ranks[] = {0, 1, 40000, 123456, COUNT - 2, COUNT - 1};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(select_rank(values, COUNT, ranks[i], &arena, &value), 0);
        assert_true(value == sorted[ranks[i]]);
    }
    assert_int_equal(sort_values(values, scratch, COUNT, &arena), 0);
    assert_memory_equal(values, sorted, COUNT * sizeof *sorted);
    assert_int_equal(first_not_finite(values, COUNT), -1);
    values[COUNT - 1] = NAN;
    assert_int_equal(first_not_finite(values, COUNT), COUNT - 1);
    values[1025] = -INFINITY;
    assert_int_equal(first_not_finite(values, COUNT), 1025);
    arena_release(&arena);
    mem_free(values);
    mem_free(sorted);
    mem_free(scratch);
}

/* ---- rank one ---- */

static void rank_one_of(int rows, int columns, bool blocks)
{
    size_t count = (size_t)rows * (size_t)columns;
    int least = rows < columns ? rows : columns;
    float *w = normal(count, 21), *a = room((size_t)rows, sizeof *a),
          *b = room((size_t)columns, sizeof *b);
    double *sizes = room(count, sizeof *sizes), *values = room((size_t)least, sizeof *values);
    double *rest = room((size_t)least, sizeof *rest);
    struct arena arena = {0};
    struct rng rng;
    for (int i = 0; blocks && i < rows * columns; i++) /* two blocks: no single singular value
                                                          stands out */
        if ((i / columns < rows / 2) != (i % columns < columns / 2))
            w[i] = 0;
    double total = 0;
    for (size_t i = 0; i < count; i++) {
        sizes[i] = fabs((double)w[i]);
        total += sizes[i] * sizes[i];
    }
    assert_int_equal(LAPACKE_dgesvd(LAPACK_ROW_MAJOR, 'N', 'N', rows, columns, sizes, columns,
                                    values, NULL, 1, NULL, columns, rest),
                     0);
    double best = total - values[0] * values[0];
    for (int method = 0; method < 2; method++) {
        rng_seed(&rng, 2);
        int rc = method ? rank_one_nmf(w, rows, columns, &rng, &arena, a, b)
                        : rank_one_svd(w, rows, columns, &arena, a, b);
        assert_int_equal(rc, 0);
        double error = 0;
        for (size_t i = 0; i < count; i++) {
            double difference = fabs((double)w[i]) -
                                (double)a[i / (size_t)columns] * (double)b[i % (size_t)columns];
            error += difference * difference;
        }
        /* no rank-one matrix is nearer than the leading singular pair */
        assert_true(error >= best * (1 - 1e-6));
        if (!blocks || method == 0)
            assert_true(error <= best * (1 + (method ? 1e-4 : 1e-6)) + 1e-9);
        arena_release(&arena);
    }
    mem_free(w);
    mem_free(a);
    mem_free(b);
    mem_free(sizes);
    mem_free(values);
    mem_free(rest);
}

static void rank_one(void **state)
{
    rank_one_of(1, 1, false);
    rank_one_of(1, 9, false);
    rank_one_of(40, 70, false);
    rank_one_of(150, 30, false);
    rank_one_of(20, 30, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hessian_is_the_sum),
        cmocka_unit_test(factor_of_the_inverse),
        cmocka_unit_test(factor_by_hand),
        cmocka_unit_test(not_positive_definite),
        cmocka_unit_test(large_factor),
        cmocka_unit_test(factors_are_kept),
        cmocka_unit_test(packing_loses_nothing),
        cmocka_unit_test(packed_products),
        cmocka_unit_test(search_kernels),
        cmocka_unit_test(order_statistics),
        cmocka_unit_test(rank_one),
    };
    matmul_init();
    pool_start(2);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
