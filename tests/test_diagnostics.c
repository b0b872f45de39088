/* What is said of a layer beside its error: condition number, salient share, split, exceptions. */
#include "core/pool.h"
#include "methods/method.h"
#include "tests/fixture.h"

#include <lapacke.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- condition numbers ---- */

/* Inputs of very different sizes that hang together: eigenvalues over several powers of ten. */
static void make_hessian(struct hessian *hessian, int n, int samples, double spread)
{
    struct rng rng;
    float *x;
    rng_seed(&rng, (uint64_t)n);
    FIXTURE_OK(mem_alloc(&x, (size_t)samples * (size_t)n, sizeof *x));
    for (int s = 0; s < samples; s++) {
        double common = rng_normal(&rng);
        for (int i = 0; i < n; i++)
            x[s * n + i] = (float)((rng_normal(&rng) + common) * exp(-spread * i / n));
    }
    FIXTURE_OK(hessian_init(hessian, n));
    FIXTURE_OK(hessian_add(hessian, x, samples, 2));
    hessian_finish(hessian);
    mem_free(x);
}

/* By LAPACK's eigenvalues, the damping added here. */
static double plain_condition(const struct hessian *hessian, double damping)
{
    int n = hessian->size;
    double *a, *values, mean = 0;
    FIXTURE_OK(mem_alloc(&a, (size_t)n * (size_t)n, sizeof *a));
    FIXTURE_OK(mem_alloc(&values, (size_t)n, sizeof *values));
    for (int i = 0; i < n * n; i++)
        a[i] = (double)hessian->matrix[i];
    for (int i = 0; i < n; i++) {
        a[i * n + i] = a[i * n + i] == 0 ? 1 : a[i * n + i];
        mean += a[i * n + i] / n;
    }
    for (int i = 0; i < n; i++)
        a[i * n + i] += damping * mean;
    assert_int_equal(LAPACKE_dsyev(LAPACK_ROW_MAJOR, 'N', 'U', n, a, n, values), 0);
    double condition = values[n - 1] / values[0];
    mem_free(a);
    mem_free(values);
    return condition;
}

static void conditions_agree(void **state)
{
    const struct {
        int n, samples;
        double spread, damping, low; /* the least share of the true value that is found */
    } cases[] = {{1, 3, 0, 0.01, 0.9999},   {7, 40, 1, 0.01, 0.9999}, {20, 5, 0, 0.01, 0.9999},
                 {300, 900, 3, 0.01, 0.99}, {300, 900, 0, 0.1, 0.9},  {520, 40, 2, 1e-3, 0.99}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int ordered = 0; ordered < 2; ordered++) {
            struct hessian hessian;
            const struct hessian_factor *factor;
            double found, again, want;
            make_hessian(&hessian, cases[i].n, cases[i].samples, cases[i].spread);
            FIXTURE_OK(hessian_factorize(&hessian, cases[i].damping, ordered, &factor));
            FIXTURE_OK(hessian_condition(&hessian, factor, &found));
            want = plain_condition(&hessian, cases[i].damping);
            if (!(found > cases[i].low * want && found < 1.001 * want))
                fail_msg("%d inputs, damping %g: condition %.6g, by LAPACK %.6g", cases[i].n,
                         cases[i].damping, found, want);
            FIXTURE_OK(hessian_condition(&hessian, factor, &again)); /* kept */
            assert_true(again == found);
            hessian_release(&hessian);
        }
}

static void threads_do_not_matter(void **state)
{
    double found[2];
    for (int threads = 1; threads <= 2; threads++) {
        struct hessian hessian;
        const struct hessian_factor *factor;
        FIXTURE_OK(pool_start(threads));
        make_hessian(&hessian, 700, 100, 2);
        FIXTURE_OK(hessian_factorize(&hessian, 0.01, false, &factor));
        FIXTURE_OK(hessian_condition(&hessian, factor, &found[threads - 1]));
        hessian_release(&hessian);
    }
    assert_true(found[0] == found[1]);
}

static void another_hessians_factor(void **state)
{
    struct hessian a, b;
    const struct hessian_factor *factor;
    double condition = 5;
    make_hessian(&a, 7, 40, 1);
    make_hessian(&b, 7, 41, 1);
    FIXTURE_OK(hessian_factorize(&a, 0.01, false, &factor));
    assert_int_equal(hessian_condition(&b, factor, &condition), ERR_INTERNAL);
    assert_true(condition == 5);
    hessian_release(&a);
    hessian_release(&b);
}

/* ---- methods ---- */

struct layer {
    float weight[24 * 40];
    struct hessian hessian;
    struct layer_result result;
    struct arena arena;
};

enum { ROWS = 24, COLUMNS = 40 };

/* set: "bits=3 group_size=16", or "". */
static void quantize(struct layer *layer, const char *name, const char *set)
{
    const struct quant_method *method = method_find(name);
    struct rng rng;
    void *options;
    float *quantized;
    *layer = (struct layer){.result = {LAYER_RESULT_NONE}};
    rng_seed(&rng, 3);
    for (int i = 0; i < ROWS * COLUMNS; i++)
        layer->weight[i] = (float)rng_normal(&rng);
    make_hessian(&layer->hessian, COLUMNS, 200, 1);
    FIXTURE_OK(mem_calloc(&options, 1, method->options_size));
    FIXTURE_OK(options_defaults(method->options, options));
    for (const char *at = set; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
        char key[32], value[32];
        assert_int_equal(sscanf(at, "%31[^=]=%31[^ ]", key, value), 2);
        FIXTURE_OK(options_set(method->options, options, key, value, "test"));
    }
    FIXTURE_OK(mem_calloc(&quantized, (size_t)ROWS * COLUMNS, sizeof *quantized));
    layer->result.quantized = quantized;
    struct layer_problem problem = {.name = "the layer",
                                    .weight = layer->weight,
                                    .rows = ROWS,
                                    .columns = COLUMNS,
                                    .hessian = &layer->hessian,
                                    .arena = &layer->arena};
    FIXTURE_OK(method->quantize_layer(options, &problem, &layer->result));
    mem_free(options);
}

static void release(struct layer *layer)
{
    mem_free(layer->result.quantized);
    layer_result_release(&layer->result);
    hessian_release(&layer->hessian);
    arena_release(&layer->arena);
}

static void groups_that_do_not_fit(void **state)
{
    const struct {
        const char *method, *set, *want; /* NULL: no exception */
    } cases[] = {
        {"rtn", "group_size=16",
         "group_size 16 asked, the layer has 40 columns: the last of a row has 8"},
        {"rtn", "group_size=20", NULL},
        {"rtn", "", NULL},
        {"gptq", "group_size=64",
         "group_size 64 asked, the layer has 40 columns: the whole row is one"},
        {"gptq", "group_size=40", NULL},
        {"gptq", "block_size=16", NULL}, /* how often the rest is updated, and no more */
        {"pb-llm", "group_size=16", "group_size 16 asked"},
        {"pb-llm", "", NULL},
        {"billm", "", "block_size 128 asked, the layer has 40 columns: the whole row is one"},
        {"billm", "block_size=32", "block_size 32 asked"},
        {"billm", "block_size=-1", NULL},
        {"bitnet", "", NULL},
        {"bitnet", "granularity=group group_size=24", "group_size 24 asked"},
        {"bitnet", "granularity=group group_size=8", NULL},
        {"onebit", "", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct layer layer;
        quantize(&layer, cases[i].method, cases[i].set);
        const char *got = layer.result.exceptions[EXCEPTION_GROUP];
        if (cases[i].want ? !strstr(got, cases[i].want) : *got)
            fail_msg("%s %s: '%s'", cases[i].method, cases[i].set, got);
        assert_string_equal(layer.result.exceptions[EXCEPTION_DAMPING], "");
        release(&layer);
    }
}

/* The share of salient weights is that of the marks, and the split lies among the weights. */
static void salient_and_split(void **state)
{
    struct layer layer;
    const uint8_t *mask;
    quantize(&layer, "pb-llm", "salient_frac=0.2");
    double low = 0;
    FIXTURE_OK(packed_get(&layer.result.details, "mask_low", ARRAY_U8, ROWS, COLUMNS, &mask));
    for (int i = 0; i < ROWS * COLUMNS; i++)
        low += mask[i];
    assert_true(fabs(layer.result.salient - (1 - low / (ROWS * COLUMNS))) < 1e-12);
    assert_true(fabs(layer.result.salient - 0.2) < 0.01 && isnan(layer.result.split));
    assert_non_null(layer.result.factor);
    release(&layer);

    for (int paper = 0; paper < 2; paper++) {
        const int32_t *salient;
        const float *splits;
        quantize(&layer, "billm",
                 paper ? "follow=paper salient_metric=magnitude block_size=20 max_salient_columns=4"
                       : "block_size=20 max_salient_columns=4 gptq=false");
        FIXTURE_OK(packed_get(&layer.result.details, "n_salient_cols", ARRAY_I32, 2, 1, &salient));
        FIXTURE_OK(packed_get(&layer.result.details, "split", ARRAY_F32, 2, 1, &splits));
        assert_true(fabs(layer.result.salient - (salient[0] + salient[1]) / 40.0) < 1e-12);
        if (!(layer.result.split > 0.02 && layer.result.split < 1))
            fail_msg("split %g", layer.result.split);
        if (!paper) { /* on saliences: w over the diagonal of the factor, the largest not salient */
            const uint8_t *group;
            double sum = 0;
            FIXTURE_OK(
                packed_get(&layer.result.details, "partition", ARRAY_U8, ROWS, COLUMNS, &group));
            for (int block = 0; block < 2; block++) {
                double largest = 0;
                for (int r = 0; r < ROWS; r++)
                    for (int c = 20 * block; c < 20 * block + 20; c++) {
                        double d = (double)layer.result.factor->upper[c * COLUMNS + c],
                               w = fabs((double)layer.weight[r * COLUMNS + c]) / d;
                        if (group[r * COLUMNS + c] < 3)
                            largest = fmax(largest, w);
                    }
                sum += sqrt((double)splits[block]) / largest / 2;
            }
            assert_true(fabs(layer.result.split - sum) < 1e-5);
        }
        release(&layer);
    }
    static const char *const without[] = {"low_method=prune", "low_method=4bit", "split_groups=1"};
    for (int i = 0; i < 3; i++) {
        quantize(&layer, "billm", without[i]);
        assert_true(isnan(layer.result.split) && (i < 2) == isnan(layer.result.salient));
        release(&layer);
    }
    quantize(&layer, "rtn", "");
    assert_true(isnan(layer.result.salient) && isnan(layer.result.split) && !layer.result.factor);
    release(&layer);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_agree),        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(another_hessians_factor), cmocka_unit_test(groups_that_do_not_fit),
        cmocka_unit_test(salient_and_split),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
