/* Every vector kernel of every instruction set that this CPU has, against its plain twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rng.h"
#include "linalg/simd.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST = 1100 };
static const int lengths[] = {1,  2,  3,  5,  7,   8,   15,  16,  17,  31,   32,
                              33, 63, 64, 65, 127, 128, 130, 200, 576, 1000, 1099};
enum { LENGTHS = sizeof lengths / sizeof *lengths };

/* Buffers with a guard behind the last element, at an address that is not aligned. */
static float memory_x[MOST + 3], memory_y[MOST + 3], memory_z[MOST + 3], out_set[MOST + 3],
    out_ref[MOST + 3];
static float *const x = memory_x + 1, *const y = memory_y + 1, *const z = memory_z + 1;
static const float guard = 12345.5f;

static void fill(struct rng *rng, float *to, int n, double scale)
{
    for (int i = 0; i < n; i++)
        to[i] = (float)(scale * rng_normal(rng));
}

static void draw(struct rng *rng, int n)
{
    fill(rng, x, n, 3);
    fill(rng, y, n, 1);
    fill(rng, z, n, 1);
    for (int i = 0; i < MOST + 3; i++)
        out_set[i] = out_ref[i] = guard;
}

/* |set - ref| <= tolerance * max(|ref|, scale), and nothing was written behind element n. */
static void compare(const char *set, const char *kernel, int n, double tolerance, double scale)
{
    for (int i = 0; i < n; i++) {
        double a = out_set[i + 1], b = out_ref[i + 1], most = tolerance * fmax(fabs(b), scale);
        if (!(fabs(a - b) <= most) && !(isnan(a) && isnan(b)) && !(isinf(b) && a == b))
            fail_msg("%s %s: n = %d: element %d is %.9g, the twin has %.9g", set, kernel, n, i, a,
                     b);
    }
    assert_true(out_set[n + 1] == guard);
    assert_true(out_set[0] == guard);
}

static void compare_value(const char *set, const char *kernel, int n, double a, double b,
                          double most)
{
    if (!(fabs(a - b) <= most))
        fail_msg("%s %s: n = %d: %.9g, the twin has %.9g", set, kernel, n, a, b);
}

static double absolute_products(int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += fabs((double)x[i] * y[i]);
    return sum;
}

static double absolute_gaps(float shift, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += exp((double)x[i] - shift) * fabs((double)x[i] - y[i]);
    return sum;
}

static void check_reductions(const struct simd *s, int n)
{
    compare_value(s->name, "max", n, s->max(x, n), max_ref(x, n), 0);
    assert_int_equal(s->argmax(x, n), argmax_ref(x, n));
    compare_value(s->name, "dot", n, s->dot(x, y, n), dot_ref(x, y, n),
                  1e-6 * absolute_products(n));
    float shift = max_ref(x, n);
    compare_value(s->name, "sum_exp", n, s->sum_exp(x, shift, n), sum_exp_ref(x, shift, n),
                  1e-6 * sum_exp_ref(x, shift, n));
    float gap, gap_ref, sum = s->sum_exp_gap(x, y, shift, n, &gap);
    compare_value(s->name, "sum_exp_gap", n, sum, sum_exp_gap_ref(x, y, shift, n, &gap_ref),
                  1e-6 * sum_exp_ref(x, shift, n));
    compare_value(s->name, "sum_exp_gap's gap", n, gap, gap_ref, 1e-6 * absolute_gaps(shift, n));
    compare_value(s->name, "log_sum_exp", n, s->log_sum_exp(x, n), log_sum_exp_ref(x, n), 2e-6);
}

static void check_rows(const struct simd *s, int n)
{
    float *a = out_set + 1, *b = out_ref + 1;
    float shift = max_ref(x, n);
    memcpy(a, y, (size_t)n * sizeof *a);
    memcpy(b, y, (size_t)n * sizeof *b);
    s->axpy(a, 0.7f, x, n), axpy_ref(b, 0.7f, x, n);
    compare(s->name, "axpy", n, 1e-6, 3);
    s->scale(a, 0.7f, x, n), scale_ref(b, 0.7f, x, n);
    compare(s->name, "scale", n, 1e-7, 0);
    s->exp(a, x, n), exp_ref(b, x, n);
    compare(s->name, "exp", n, 2.4e-7, 0);
    float sum_set = s->exp_sum(a, x, shift, n), sum_ref = exp_sum_ref(b, x, shift, n);
    compare(s->name, "exp_sum", n, 2.4e-7, 0);
    compare_value(s->name, "exp_sum's sum", n, sum_set, sum_ref, 1e-6 * sum_ref);
    s->softmax(a, x, n), softmax_ref(b, x, n);
    compare(s->name, "softmax", n, 1e-6, 0);
    s->rmsnorm(a, x, y, 1e-5f, n), rmsnorm_ref(b, x, y, 1e-5f, n);
    compare(s->name, "rmsnorm", n, 1e-6, 0);
    s->layernorm(a, x, y, z, 1e-5f, n), layernorm_ref(b, x, y, z, 1e-5f, n);
    compare(s->name, "layernorm", n, 1e-6, 3);
    s->relu(a, x, n), relu_ref(b, x, n);
    compare(s->name, "relu", n, 0, 0);
    s->silu_mul(a, x, y, n), silu_mul_ref(b, x, y, n);
    compare(s->name, "silu_mul", n, 1e-6, 0);
    if (n % 2 == 0) {
        memcpy(a, x, (size_t)n * sizeof *a);
        memcpy(b, x, (size_t)n * sizeof *b);
        s->rope(a, y, z, n), rope_ref(b, y, z, n);
        compare(s->name, "rope", n, 1e-6, 3);
    }
}

static void all_sets_match_the_twins(void **state)
{
    struct rng rng;
    const struct simd *set;
    rng_seed(&rng, 1);
    for (int i = 0; (set = simd_set(i)) != NULL; i++) {
        for (int j = 0; j < LENGTHS; j++) {
            draw(&rng, lengths[j]);
            check_reductions(set, lengths[j]);
            check_rows(set, lengths[j]);
        }
    }
}

/* Rows, columns and lengths at and around the kernels' own sizes. */
static void panels_match_the_twins(void **state)
{
    enum { MOST_ROWS = 40, MOST_K = 70, STRIDE = 37 };
    static const int rows[] = {1, 2, 5, 6, 7, 13, 14, 15, 28, 29, 40},
                     columns[] = {1, 3, 8, 15, 16, 17, 31, 32};
    static const int depths[] = {1, 4, 15, 16, 33, 70};
    static float w[32 * MOST_K], a[MOST_ROWS * MOST_K], panel[2][MOST_K * 32],
        got[2][MOST_ROWS * STRIDE];
    struct rng rng;
    const struct simd *set;
    rng_seed(&rng, 3);
    fill(&rng, w, 32 * MOST_K, 1);
    fill(&rng, a, MOST_ROWS * MOST_K, 1);
    for (int i = 0; (set = simd_set(i)) != NULL; i++) {
        for (int m = 0; m < 11 * 8 * 6 * 2; m++) {
            int r = rows[m % 11], c = columns[m / 11 % 8], k = depths[m / 88 % 6], add = m / 528;
            set->panel_transpose(w, MOST_K, c, k, panel[0]);
            panel_transpose_ref(w, MOST_K, c, k, panel[1]);
            assert_memory_equal(panel[0], panel[1], (size_t)k * 32 * sizeof **panel);
            for (int j = 0; j < MOST_ROWS * STRIDE; j++)
                got[0][j] = got[1][j] = guard;
            set->panel_multiply(a, MOST_K, r, panel[0], k, got[0], STRIDE, c, add);
            panel_multiply_ref(a, MOST_K, r, panel[0], k, got[1], STRIDE, c, add);
            for (int j = 0; j < MOST_ROWS * STRIDE; j++)
                compare_value(set->name, "panel_multiply", m, got[0][j], got[1][j],
                              add ? 2e-3 : 1e-5 * k);
        }
    }
}

/* A row's product has the same bytes however many rows are beside it. */
static void a_row_does_not_depend_on_its_neighbours(void **state)
{
    enum { ROWS = 31, K = 50 };
    static float a[ROWS * K], panel[K * 32], together[ROWS * 32], alone[32];
    struct rng rng;
    const struct simd *set;
    rng_seed(&rng, 4);
    fill(&rng, a, ROWS * K, 1);
    fill(&rng, panel, K * 32, 1);
    for (int i = 0; (set = simd_set(i)) != NULL; i++) {
        set->panel_multiply(a, K, ROWS, panel, K, together, 32, 32, 0);
        for (int r = 0; r < ROWS; r++) {
            set->panel_multiply(a + r * K, K, 1, panel, K, alone, 32, 32, 0);
            assert_memory_equal(alone, together + r * 32, sizeof alone);
        }
    }
}

/* Over the whole range that has a result, to 2 units in the last place. */
static void exp_is_accurate(void **state)
{
    const struct simd *set;
    for (int i = 0; (set = simd_set(i)) != NULL; i++) {
        double worst = 0;
        for (int block = 0; block < 1750; block++) {
            for (int j = 0; j < 1000; j++)
                x[j] = (float)(-87.3 + (block * 1000 + j) * 1e-4);
            set->exp(out_set, x, 1000);
            for (int j = 0; j < 1000; j++) {
                double right = exp((double)x[j]), error = fabs(out_set[j] - right) / right;
                worst = error > worst ? error : worst;
            }
        }
        assert_true(worst < 2.4e-7);
    }
}

static void exp_at_the_edges(void **state)
{
    static const float at[] = {-INFINITY, -1e30f, -88, -87.34f, 0,        -0.0f,
                               1,         88,     89,  1e30f,   INFINITY, NAN};
    enum { COUNT = sizeof at / sizeof *at };
    const struct simd *set;
    float got[COUNT];
    for (int i = 0; (set = simd_set(i)) != NULL; i++) {
        set->exp(got, at, COUNT);
        for (int j = 0; j < 4; j++)
            assert_true(got[j] == 0);
        assert_true(got[4] == 1 && got[5] == 1);
        assert_true(fabsf(got[6] - 2.7182818f) < 3e-7f);
        assert_true(fabs(got[7] / exp(88) - 1) < 2.4e-7);
        assert_true(isinf(got[8]) && isinf(got[9]) && isinf(got[10]) && isnan(got[11]));
    }
}

static void a_nan_is_not_lost(void **state)
{
    const struct simd *set;
    for (int i = 0; (set = simd_set(i)) != NULL; i++) {
        for (int at = 0; at < 70; at += 7) {
            for (int j = 0; j < 70; j++)
                x[j] = j == at ? NAN : (float)j;
            set->softmax(out_set, x, 70);
            assert_true(isnan(out_set[0]) && isnan(out_set[69]));
            assert_true(isnan(set->log_sum_exp(x, 70)));
            assert_true(isnan(set->dot(x, x, 70)));
        }
    }
}

static void argmax_takes_the_first_of_equals(void **state)
{
    const struct simd *set;
    for (int i = 0; (set = simd_set(i)) != NULL; i++) {
        for (int j = 0; j < 100; j++)
            x[j] = j == 41 || j == 57 || j == 99 ? 2.0f : 1.0f;
        assert_int_equal(set->argmax(x, 100), 41);
        x[0] = NAN;
        assert_int_equal(set->argmax(x, 100), 41);
    }
}

static void sets_are_chosen_by_name(void **state)
{
    struct simd before = simd;
    assert_false(simd_choose("mmx"));
    assert_string_equal(simd.name, before.name);
    assert_true(simd_choose("base"));
    assert_string_equal(simd.name, "base");
    assert_true(simd_choose("ref"));
    assert_ptr_equal((void *)(uintptr_t)simd.dot, (void *)(uintptr_t)dot_ref);
    assert_true(simd_choose(before.name));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_sets_match_the_twins),
        cmocka_unit_test(panels_match_the_twins),
        cmocka_unit_test(a_row_does_not_depend_on_its_neighbours),
        cmocka_unit_test(exp_is_accurate),
        cmocka_unit_test(exp_at_the_edges),
        cmocka_unit_test(a_nan_is_not_lost),
        cmocka_unit_test(argmax_takes_the_first_of_equals),
        cmocka_unit_test(sets_are_chosen_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
