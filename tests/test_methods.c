/* The methods against values worked out by hand and against plain textbook twins, on cases small
 * enough to read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "linalg/matmul.h"
#include "methods/billm.h"
#include "methods/method.h"
#include "tests/golden.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Runs a method with "name=value ..." and gives W_q; details, when wanted, are the caller's. */
static void quantize(const char *name, const char *settings, const float *weight, int rows,
                     int columns, struct hessian *hessian, float *quantized, struct packed *details)
{
    const struct quant_method *method = method_find(name);
    struct arena arena = {0};
    struct layer_result result = {.quantized = quantized};
    char copy[200], *rest = copy, *word;
    void *options;
    assert_non_null(method);
    assert_int_equal(mem_calloc(&options, 1, method->options_size), 0);
    assert_int_equal(options_defaults(method->options, options), 0);
    snprintf(copy, sizeof copy, "%s", settings);
    while ((word = strsep(&rest, " ")) && *word) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        assert_int_equal(options_set(method->options, options, word, value, "test"), 0);
    }
    struct layer_problem problem = {.name = "test",
                                    .weight = weight,
                                    .rows = rows,
                                    .columns = columns,
                                    .hessian = hessian,
                                    .seed = 1,
                                    .arena = &arena};
    if (method->quantize_layer(options, &problem, &result) != 0)
        fail_msg("%s %s: %s", name, settings, err_text());
    if (details)
        *details = result.details;
    else
        layer_result_release(&result);
    arena_release(&arena);
    mem_free(options);
}

static void expect(const float *got, const double *want, int count)
{
    for (int i = 0; i < count; i++)
        if (!(fabs((double)got[i] - want[i]) < 1e-6))
            fail_msg("value %d is %.9g, not %.9g", i, (double)got[i], want[i]);
}

/* ---- by hand ---- */

static void round_to_nearest(void **state)
{
    const float w[4] = {-1, 0.4f, 0.6f, 2};
    float q[4];
    /* range -1 .. 2, scale 1, zero 1 */
    quantize("rtn", "bits=2", w, 1, 4, NULL, q, NULL);
    expect(q, (double[]){-1, 0, 1, 2}, 4);
    /* -2 .. 2, scale 4/3, zero 2: codes 2 - 1, 2 + 0, 2 + 0, 2 + 1 (1.5 is a tie and goes to 2, but
     * the top is 3) */
    quantize("rtn", "bits=2 sym=true", w, 1, 4, NULL, q, NULL);
    expect(q, (double[]){-4.0 / 3, 0, 0, 4.0 / 3}, 4);
    quantize("rtn", "bits=2 trits=true", w, 1, 4, NULL, q, NULL);
    expect(q, (double[]){-1, 0, 0, 2}, 4);
    quantize("rtn", "bits=1 scheme=sign_mean", w, 1, 4, NULL, q, NULL);
    expect(q, (double[]){-1, 1, 1, 1}, 4);
    quantize("rtn", "bits=1 scheme=sign_mean group_size=2", w, 1, 4, NULL, q, NULL);
    expect(q, (double[]){-0.7, 0.7, 1.3, 1.3}, 4);
    quantize("rtn", "bits=1", w, 1, 4, NULL, q, NULL); /* scale 3, zero round(1/3) = 0: 0 and 3 */
    expect(q, (double[]){0, 0, 0, 3}, 4);
}

static void absmean(void **state)
{
    const float w[4] = {-1, 0.4f, 0.6f, 2};
    float q[4];
    quantize("bitnet", "", w, 2, 2, NULL, q, NULL); /* gamma 1 */
    expect(q, (double[]){-1, 0, 1, 1}, 4);
    quantize("bitnet", "granularity=row", w, 2, 2, NULL, q, NULL); /* gamma 0.7 and 1.3 */
    expect(q, (double[]){-0.7, 0.7, 0, 1.3}, 4);
}

static void sign_and_values(void **state)
{
    const float w[6] = {1, -2, 3, -2, 4, -6}; /* |W| = (1, 2)^T (1, 2, 3) */
    float q[6];
    quantize("onebit", "init=svd", w, 2, 3, NULL, q, NULL);
    expect(q, (double[]){1, -2, 3, -2, 4, -6}, 6);
    quantize("onebit", "init=nmf", w, 2, 3, NULL, q, NULL);
    for (int i = 0; i < 6; i++)
        assert_true(fabs((double)q[i] - (double)w[i]) < 1e-3);
}

/* ---- GPTQ's textbook: after each column the rest is corrected by the inverse of what is left of H
 * (equation 2). ---- */

enum { N = 7, R = 5 };

static void invert(const double *h, int n, double *inverse) /* Gauss-Jordan */
{
    double a[N][2 * N];
    for (int i = 0; i < n; i++)
        for (int j = 0; j < 2 * n; j++)
            a[i][j] = j < n ? h[i * n + j] : i == j - n;
    for (int k = 0; k < n; k++) {
        double pivot = a[k][k];
        for (int j = 0; j < 2 * n; j++)
            a[k][j] /= pivot;
        for (int i = 0; i < n; i++)
            for (int j = 2 * n - 1; i != k && j >= k; j--)
                a[i][j] -= a[i][k] * a[k][j];
    }
    for (int i = 0; i < n * n; i++)
        inverse[i] = a[i / n][n + i % n];
}

static void gptq_twin(const float *weight, const float *hessian, float *quantized)
{
    double mean = 0;
    for (int i = 0; i < N; i++)
        mean += (double)hessian[i * N + i] / N;
    for (int r = 0; r < R; r++) {
        double w[N], low = 0, high = 0;
        for (int i = 0; i < N; i++) {
            w[i] = (double)weight[r * N + i];
            low = fmin(low, w[i]);
            high = fmax(high, w[i]);
        }
        double scale = (high - low) / 7, zero = rint(-low / scale);
        for (int i = 0; i < N; i++) {
            double left[N * N], inverse[N * N];
            int n = N - i;
            for (int a = 0; a < n * n; a++)
                left[a] = (double)hessian[(i + a / n) * N + i + a % n] +
                          (a / n == a % n ? 0.01 * mean : 0);
            invert(left, n, inverse);
            double q = scale * (fmin(fmax(rint(w[i] / scale) + zero, 0), 7) - zero);
            for (int j = 1; j < n; j++)
                w[i + j] -= (w[i] - q) / inverse[0] * inverse[j];
            quantized[r * N + i] = (float)q;
        }
    }
}

static void gptq_is_its_textbook(void **state)
{
    for (uint64_t seed = 1; seed < 30; seed++) {
        struct rng rng;
        struct hessian hessian;
        float weight[R * N], x[20 * N], got[R * N], want[R * N];
        rng_seed(&rng, seed);
        for (int i = 0; i < R * N; i++)
            weight[i] = (float)rng_normal(&rng);
        for (int i = 0; i < 20 * N; i++)
            x[i] = (float)(rng_normal(&rng) + (i % N > 0 ? 0.8 * (double)x[i - 1] : 0));
        assert_int_equal(hessian_init(&hessian, N), 0);
        assert_int_equal(hessian_add(&hessian, x, 20, 1), 0);
        hessian_finish(&hessian);
        gptq_twin(weight, hessian.matrix, want);
        const char *const settings[] = {"bits=3", "bits=3 block_size=1", "bits=3 block_size=3"};
        for (int k = 0; k < 3; k++) {
            quantize("gptq", settings[k], weight, R, N, &hessian, got, NULL);
            for (int i = 0; i < R * N; i++)
                if (!(fabs((double)got[i] - (double)want[i]) < 1e-5))
                    fail_msg("seed %d, %s: weight %d is %g, not %g", (int)seed, settings[k], i,
                             (double)got[i], (double)want[i]);
        }
        hessian_release(&hessian);
    }
}

/* ---- PB-LLM and BiLLM, without feedback, against plain loops ---- */

static void partial_binarization(void **state)
{
    const float w[8] = {0.1f, -0.2f, 0.3f, -2, 0.2f, 0.1f, 3, -0.1f},
                h[16] = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    struct hessian hessian;
    struct packed details;
    float q[8];
    assert_int_equal(hessian_init(&hessian, 4), 0);
    memcpy(hessian.matrix, h, sizeof h);
    quantize("pb-llm", "low_frac=0.6 salient_metric=magnitude gptq=false", w, 2, 4, &hessian, q,
             &details);
    const uint8_t *mask = packed_find(&details, "mask_low")->data;
    /* rank int(8 x 0.6) = 4 of 0.1 0.1 0.1 0.2 0.2 0.3 2 3 is 0.2, so 0.3 is salient */
    const uint8_t want[8] = {1, 1, 0, 0, 1, 1, 0, 1};
    assert_memory_equal(mask, want, 8);
    /* row 1: (0.1 - 0.2 + 0 + 0) / 4 = -0.025; sizes 0.125 0.175 0.025 0.025: 0.0875 */
    assert_true(fabs((double)q[0] - 0.0625) < 1e-6 && fabs((double)q[1] + 0.1125) < 1e-6);
    assert_true(fabs((double)q[3] + 2) < 0.01 && fabs((double)q[6] - 3) < 0.01);
    packed_release(&details);
    /* paper: the two low weights of row 1 have mean -0.05 and spread 0.15 */
    quantize("pb-llm", "low_frac=0.625 salient_metric=magnitude gptq=false follow=paper", w, 2, 4,
             &hessian, q, NULL);
    assert_true(fabs((double)q[0] - 0.1) < 1e-6 && fabs((double)q[1] + 0.2) < 1e-6);
    hessian_release(&hessian);
}

static double approximation_error(const float *w, const int *group, int count, int wanted,
                                  int order)
{
    double rest[64], error = 0;
    int n = 0;
    for (int i = 0; i < count; i++)
        if (group[i] == wanted)
            rest[n++] = (double)w[i];
    for (int o = 0; o < order; o++) {
        double mean = 0, scale = 0;
        for (int i = 0; i < n; i++)
            mean += rest[i] / n;
        for (int i = 0; i < n; i++)
            scale += fabs(rest[i] - mean) / n;
        for (int i = 0; i < n; i++)
            rest[i] -= mean + ((rest[i] > mean) - (rest[i] < mean)) * scale;
    }
    for (int i = 0; i < n; i++)
        error += rest[i] * rest[i];
    return error;
}

enum { BR = 19, BC = 24 };

static double trial_error(const float *w, const bool *salient, int salient_order, int rest_order)
{
    double error = 0;
    int group[BC];
    for (int i = 0; i < BC; i++)
        group[i] = salient[i];
    for (int r = 0; r < BR; r++)
        error += approximation_error(w + r * BC, group, BC, 1, salient_order) +
                 approximation_error(w + r * BC, group, BC, 0, rest_order);
    return error;
}

static double split_trial_error(const float *w, const bool *salient, float split)
{
    double error = 0;
    for (int r = 0; r < BR; r++) {
        int group[BC];
        for (int i = 0; i < BC; i++)
            group[i] = salient[i] ? 2 : fabsf(w[r * BC + i]) >= split;
        error += approximation_error(w + r * BC, group, BC, 0, 1) +
                 approximation_error(w + r * BC, group, BC, 1, 1);
    }
    return error;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* One block, magnitude metric: the searches by brute force. */
static void structural_search(void **state)
{
    for (uint64_t seed = 1; seed < 12; seed++) {
        struct rng rng;
        struct hessian hessian;
        struct packed details;
        float w[BR * BC], q[BR * BC], sizes[BR * BC], levels[BILLM_LEVELS];
        double sums[BC] = {0}, least = INFINITY;
        bool salient[BC] = {0}, best[BC] = {0};
        int count = 0;
        rng_seed(&rng, seed);
        for (int i = 0; i < BR * BC; i++) {
            w[i] = (float)(rng_normal(&rng) * (i % BC % 7 == 3 ? 4 : 1));
            sums[i % BC] += fabs((double)w[i]);
        }
        for (int k = 1; k < 10; k++) {
            int next = -1;
            for (int i = 0; i < BC; i++)
                if (!salient[i] && (next < 0 || sums[i] > sums[next]))
                    next = i;
            salient[next] = true;
            double error = trial_error(w, salient, 2, 2);
            if (error < least) {
                least = error;
                count = k;
                memcpy(best, salient, sizeof best);
            }
        }
        for (int i = 0; i < BR * BC; i++)
            sizes[i] = best[i % BC] ? 0 : fabsf(w[i]);
        qsort(sizes, BR * BC, sizeof *sizes, ascending);
        billm_quantiles(sizes, BR * BC, levels);
        int level = 0;
        for (int i = 1; i < BILLM_LEVELS; i++)
            if (split_trial_error(w, best, levels[i]) < split_trial_error(w, best, levels[level]))
                level = i;
        assert_int_equal(hessian_init(&hessian, BC), 0);
        for (int i = 0; i < BC; i++)
            hessian.matrix[i * BC + i] = 1;
        quantize("billm", "salient_metric=magnitude max_salient_columns=10 gptq=false", w, BR, BC,
                 &hessian, q, &details);
        assert_int_equal(*(int32_t *)packed_find(&details, "n_salient_cols")->data, count);
        assert_true(*(float *)packed_find(&details, "split")->data == levels[level]);
        const uint8_t *partition = packed_find(&details, "partition")->data;
        double error = split_trial_error(w, best, levels[level]), got = 0;
        for (int r = 0; r < BR; r++) {
            int group[BC];
            for (int i = 0; i < BC; i++) {
                group[i] = best[i];
                assert_int_equal(partition[r * BC + i] == 3, best[i]);
                got += ((double)w[r * BC + i] - (double)q[r * BC + i]) *
                       ((double)w[r * BC + i] - (double)q[r * BC + i]);
            }
            error += approximation_error(w + r * BC, group, BC, 1, 2);
        }
        assert_true(fabs(got - error) < 1e-4 * error);
        packed_release(&details);
        hessian_release(&hessian);
    }
}

/* ---- the references' own small pieces ---- */

static void residual_groups(void **state)
{
    const char *folder = golden_folder();
    char path[1100], name[32];
    struct tensor_table *file;
    if (!folder) {
        puts("skipped: ../shared/golden is not there (BITBENCH_SHARED names another place)");
        skip();
    }
    snprintf(path, sizeof path, "%s/layers/unit_high_order_residual.safetensors", folder);
    assert_int_equal(safetensors_open_file(&file, path), 0);
    for (int i = 0; i < 4; i++)
        for (int order = 1; order <= 3; order++) {
            struct billm_options options = {.block_size = 128, .split_groups = 1};
            struct billm_form form;
            size_t count;
            snprintf(options.orders, sizeof options.orders, "1,1,%d", order);
            snprintf(name, sizeof name, "x%d", i);
            float *x = golden_tensor(file, name, &count);
            int rows = (int)tensor_table_find(file, name)->shape[0],
                columns = (int)tensor_table_find(file, name)->shape[1];
            snprintf(name, sizeof name, "mask%d", i);
            float *mask = golden_tensor(file, name, NULL);
            snprintf(name, sizeof name, "y%d_o%d", i, order);
            float *want = golden_tensor(file, name, NULL);
            assert_int_equal(billm_form_init(&form, &options, rows, columns), 0);
            for (int r = 0; r < rows; r++) {
                uint8_t group[128], codes[128];
                float q[128], scale[8], mean[8];
                for (int k = 0; k < columns; k++)
                    group[k] = mask[r * columns + k] != 0;
                billm_quantize_row(&form, x + r * columns, group, NULL, columns, q, codes, scale,
                                   mean);
                for (int k = 0; k < columns; k++)
                    if (group[k] && !(fabs((double)q[k] - (double)want[r * columns + k]) < 1e-5))
                        fail_msg("x%d order %d, row %d, column %d: %g, not %g", i, order, r, k,
                                 (double)q[k], (double)want[r * columns + k]);
            }
            mem_free(x);
            mem_free(mask);
            mem_free(want);
        }
    tensor_table_free(file);
}

/* ---- documentation ---- */

/* docs/methods/NAME.md holds the option table as the program prints it (tools/method-pages.sh puts
 * it there). */
/* block_size -1 is the whole row, for every method that has blocks. */
static void whole_rows(void **state)
{
    enum { ROWS = 24, COLUMNS = 150 };
    static const char *const names[] = {"gptq", "pb-llm", "billm"};
    float weight[ROWS * COLUMNS], x[2 * COLUMNS * COLUMNS], whole[ROWS * COLUMNS],
        same[ROWS * COLUMNS], blocks[ROWS * COLUMNS];
    struct rng rng;
    rng_seed(&rng, 11);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        weight[i] = (float)rng_normal(&rng);
    for (int i = 0; i < 2 * COLUMNS * COLUMNS; i++)
        x[i] = (float)rng_normal(&rng);
    for (int i = 0; i < 3; i++) {
        struct hessian hessian;
        assert_int_equal(hessian_init(&hessian, COLUMNS), 0);
        assert_int_equal(hessian_add(&hessian, x, 2 * COLUMNS, 1), 0);
        hessian_finish(&hessian);
        quantize(names[i], "block_size=-1", weight, ROWS, COLUMNS, &hessian, whole, NULL);
        quantize(names[i], "block_size=150", weight, ROWS, COLUMNS, &hessian, same, NULL);
        quantize(names[i], "block_size=64", weight, ROWS, COLUMNS, &hessian, blocks, NULL);
        assert_memory_equal(whole, same, sizeof whole);
        if (strcmp(names[i], "billm") == 0) /* whose groups and scales are a block's own */
            assert_memory_not_equal(whole, blocks, sizeof whole);
        hessian_release(&hessian);
    }
}

static void pages_hold_the_tables(void **state)
{
    for (int i = 0; methods[i]; i++) {
        char path[128], *page;
        struct strbuf table = {0};
        snprintf(path, sizeof path, "docs/methods/%s.md", methods[i]->name);
        if (file_read(path, &page, NULL) != 0)
            fail_msg("%s", err_text());
        assert_int_equal(options_markdown(methods[i]->options, &table), 0);
        if (!strstr(page, table.data))
            fail_msg("%s has an old table of options: run tools/method-pages.sh build/bitbench",
                     path);
        strbuf_release(&table);
        mem_free(page);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_to_nearest),      cmocka_unit_test(absmean),
        cmocka_unit_test(sign_and_values),       cmocka_unit_test(gptq_is_its_textbook),
        cmocka_unit_test(partial_binarization),  cmocka_unit_test(structural_search),
        cmocka_unit_test(residual_groups),       cmocka_unit_test(whole_rows),
        cmocka_unit_test(pages_hold_the_tables),
    };
    matmul_init();
    pool_start(2);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
