/* What every method in methods.def must do, without a line for any of them: valid defaults,
 * enforced bounds, the same bytes twice and on any number of threads, sane results on the edges,
 * clear errors, packing that loses nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "linalg/matmul.h"
#include "methods/method.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- layers ---- */

struct layer {
    int rows, columns;
    float *weight;
    struct hessian hessian;
};

static void layer_free(struct layer *layer)
{
    mem_free(layer->weight);
    hessian_release(&layer->hessian);
}

/* Normal weights, and the Hessian of correlated inputs. */
static void layer_make(struct layer *layer, int rows, int columns, uint64_t seed)
{
    struct rng rng;
    float *x;
    size_t tokens = 2 * (size_t)columns + 3, count = (size_t)columns;
    rng_seed(&rng, seed);
    *layer = (struct layer){.rows = rows, .columns = columns};
    assert_int_equal(mem_alloc(&layer->weight, (size_t)rows * count, sizeof(float)), 0);
    for (size_t i = 0; i < (size_t)rows * count; i++)
        layer->weight[i] = (float)(0.05 * rng_normal(&rng));
    assert_int_equal(mem_alloc(&x, tokens * count, sizeof *x), 0);
    for (size_t t = 0; t < tokens; t++)
        for (size_t i = 0; i < count; i++)
            x[t * count + i] = (float)rng_normal(&rng) + (i > 0 ? 0.6f * x[t * count + i - 1] : 0);
    assert_int_equal(hessian_init(&layer->hessian, columns), 0);
    assert_int_equal(hessian_add(&layer->hessian, x, (int)tokens, 2), 0);
    hessian_finish(&layer->hessian);
    mem_free(x);
}

static void zero_row(struct layer *l)
{
    memset(l->weight + l->columns, 0, sizeof(float) * (size_t)l->columns);
}

static void constant_row(struct layer *l)
{
    for (int i = 0; i < l->columns; i++)
        l->weight[2 * l->columns + i] = 0.25f;
}

static void all_zero(struct layer *l)
{
    memset(l->weight, 0, sizeof(float) * (size_t)l->rows * (size_t)l->columns);
}

static void dead_column(struct layer *l)
{
    for (int i = 0; i < l->columns; i++)
        l->hessian.matrix[3 * l->columns + i] = l->hessian.matrix[i * l->columns + 3] = 0;
}

static void small_integers(struct layer *l) /* many ties */
{
    for (int i = 0; i < l->rows * l->columns; i++)
        l->weight[i] = (float)(i * 7 % 5 - 2);
}

static void tiny_weights(struct layer *l)
{
    for (int i = 0; i < l->rows * l->columns; i++)
        l->weight[i] *= 1e-38f;
}

static void not_definite(struct layer *l)
{
    for (int i = 0; i < l->columns; i++)
        for (int j = 0; j < l->columns; j++)
            l->hessian.matrix[i * l->columns + j] = i == j ? 1.0f : 1.01f; /* one eigenvalue far up,
                                                                              the others -0.01 */
}

static const struct edge {
    const char *name;
    int rows, columns;
    void (*change)(struct layer *);
} edges[] = {
    {"plain", 24, 40, NULL},
    {"zero row", 24, 40, zero_row},
    {"constant row", 24, 40, constant_row},
    {"all zero", 5, 24, all_zero},
    {"dead column", 24, 40, dead_column},
    {"1 x 1", 1, 1, NULL},
    {"one column", 7, 1, NULL},
    {"one row", 1, 37, NULL},
    {"odd sizes", 35, 131, NULL},
    {"integers", 24, 40, small_integers},
    {"tiny", 12, 24, tiny_weights},
    {"not definite", 9, 24, not_definite},
};
enum {
    EDGES = sizeof edges / sizeof *edges,
    THREADED_EDGE = 8
}; /* options are tried on several threads with odd sizes */

/* ---- one run ---- */

struct run {
    const struct quant_method *method;
    void *options;
    struct layer_result result;
    struct packed packed;
};

static int run_method(struct run *run, const struct quant_method *method, const void *options,
                      struct layer *layer)
{
    struct arena arena = {0};
    struct layer_problem problem = {.name = "block 3, mlp.down_proj",
                                    .weight = layer->weight,
                                    .rows = layer->rows,
                                    .columns = layer->columns,
                                    .seed = 7,
                                    .arena = &arena,
                                    .hessian = method->caps & QM_NEEDS_HESSIAN ? &layer->hessian
                                                                               : NULL};
    int rc = 0;
    *run = (struct run){.method = method};
    TRY(mem_calloc(&run->result.quantized, (size_t)layer->rows * (size_t)layer->columns,
                   sizeof(float)));
    TRY(method->quantize_layer(options, &problem, &run->result));
    TRY(method->pack(options, &problem, &run->result, &run->packed));
out:
    arena_release(&arena);
    return rc;
}

static void run_free(struct run *run)
{
    mem_free(run->result.quantized);
    layer_result_release(&run->result);
    packed_release(&run->packed);
}

/* Factors are cached in the Hessian: a fresh start for each run. */
static void forget_factors(struct layer *layer)
{
    struct hessian kept = {.size = layer->hessian.size,
                           .sequences = layer->hessian.sequences,
                           .matrix = layer->hessian.matrix};
    layer->hessian.matrix = NULL;
    hessian_release(&layer->hessian);
    layer->hessian = kept;
}

static void same_bytes(const struct run *a, const struct run *b, const struct layer *layer,
                       const char *what)
{
    size_t bytes = sizeof(float) * (size_t)layer->rows * (size_t)layer->columns;
    if (memcmp(a->result.quantized, b->result.quantized, bytes) != 0)
        fail_msg("%s: %s: other weights", a->method->name, what);
    assert_int_equal(a->packed.count, b->packed.count);
    for (int i = 0; i < a->packed.count; i++) {
        const struct packed_array *x = &a->packed.arrays[i], *y = &b->packed.arrays[i];
        size_t size = x->shape[0] * x->shape[1] * array_type_size(x->type);
        assert_string_equal(x->name, y->name);
        assert_true(x->shape[0] == y->shape[0] && x->shape[1] == y->shape[1] && x->type == y->type);
        if (memcmp(x->data, y->data, size) != 0)
            fail_msg("%s: %s: other bytes in '%s'", a->method->name, what, x->name);
    }
}

/* unpack gives every bit back, matvec multiplies, and the account adds up. */
static void check_packed(const struct run *run, const void *options, const struct layer *layer,
                         const char *what)
{
    size_t rows = (size_t)layer->rows, columns = (size_t)layer->columns, bytes[BITS_CATEGORIES],
           total = 0;
    float *weight, *x, *y;
    assert_int_equal(mem_alloc(&weight, rows * columns, sizeof *weight), 0);
    assert_int_equal(mem_alloc(&x, columns, sizeof *x), 0);
    assert_int_equal(mem_alloc(&y, rows, sizeof *y), 0);
    if (run->method->unpack(options, &run->packed, layer->rows, layer->columns, weight) != 0)
        fail_msg("%s: %s: unpack: %s", run->method->name, what, err_text());
    for (size_t i = 0; i < rows * columns; i++)
        if (memcmp(weight + i, run->result.quantized + i, sizeof *weight) != 0)
            fail_msg("%s: %s: weight %zu, %zu unpacks to %.9g, not %.9g", run->method->name, what,
                     i / columns, i % columns, (double)weight[i], (double)run->result.quantized[i]);
    packed_category_bytes(&run->packed, bytes);
    for (int i = 0; i < BITS_CATEGORIES; i++)
        total += bytes[i];
    assert_int_equal(total, packed_bytes(&run->packed));
    for (size_t i = 0; i < columns; i++)
        x[i] = (float)sin(1.7 * (double)i + 1);
    if (run->method->matvec(options, &run->packed, layer->rows, layer->columns, x, y) != 0)
        fail_msg("%s: %s: matvec: %s", run->method->name, what, err_text());
    for (size_t r = 0; r < rows; r++) {
        double sum = 0, sizes = 0, largest = 0;
        for (size_t i = 0; i < columns; i++) {
            sum += (double)weight[r * columns + i] * (double)x[i];
            sizes += fabs((double)weight[r * columns + i] * (double)x[i]);
            largest = fmax(largest, fabs((double)weight[r * columns + i]));
        }
        if (!(fabs((double)y[r] - sum) <=
              1e-5 * sizes + 1e-5 * largest * (double)columns + 2e-7 * (double)columns))
            fail_msg("%s: %s: row %zu of the product is %.9g, not %.9g", run->method->name, what, r,
                     (double)y[r], sum);
    }
    mem_free(weight);
    mem_free(x);
    mem_free(y);
}

/* One run on one thread: finite, packs. */
static void check_once(const struct quant_method *method, const void *options, struct layer *layer,
                       const char *what, struct run *run)
{
    pool_start(1);
    forget_factors(layer);
    if (run_method(run, method, options, layer) != 0)
        fail_msg("%s: %s: %s", method->name, what, err_text());
    for (long i = 0; i < (long)layer->rows * layer->columns; i++)
        if (!isfinite(run->result.quantized[i]))
            fail_msg("%s: %s: weight %ld is not finite", method->name, what, i);
    assert_true(isfinite(run->result.paper_bits) && run->result.paper_bits >= 0);
    check_packed(run, options, layer, what);
}

/* The same, and the same bytes a second time and on three threads. */
static void check_run(const struct quant_method *method, const void *options, struct layer *layer,
                      const char *what)
{
    struct run first, second, threaded;
    check_once(method, options, layer, what, &first);
    forget_factors(layer);
    assert_int_equal(run_method(&second, method, options, layer), 0);
    same_bytes(&first, &second, layer, what);
    pool_start(3);
    forget_factors(layer);
    assert_int_equal(run_method(&threaded, method, options, layer), 0);
    same_bytes(&first, &threaded, layer, what);
    run_free(&first);
    run_free(&second);
    run_free(&threaded);
}

/* ---- options ---- */

enum { MOST_VALUES = 16 };

/* Values to try for one option, as text. */
static int option_values(const struct option *row, char values[MOST_VALUES][32])
{
    static const int whole[] = {1, 2, 3, 5, 8, 16};
    int count = 0;
    switch (row->type) {
    case OPTION_BOOL:
        snprintf(values[count++], 32, "true");
        snprintf(values[count++], 32, "false");
        break;
    case OPTION_CHOICE:
        for (const char *at = row->choices; *at; at += strcspn(at, "|"), at += *at == '|')
            snprintf(values[count++], 32, "%.*s", (int)strcspn(at, "|"), at);
        break;
    case OPTION_INT:
        for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
            if (whole[i] >= row->low && whole[i] <= row->high)
                snprintf(values[count++], 32, "%d", whole[i]);
        snprintf(values[count++], 32, "%.0f", row->high);
        if (row->special)
            snprintf(values[count++], 32, "%.*s", (int)strcspn(row->special, "="), row->special);
        break;
    case OPTION_REAL:
        snprintf(values[count++], 32, "%g", row->low);
        snprintf(values[count++], 32, "%g", row->high);
        snprintf(values[count++], 32, "%g",
                 row->low + 0.3 * (row->high < 2 ? row->high - row->low : 1));
        break;
    case OPTION_TEXT: break;
    }
    return count;
}

static void *defaults(const struct quant_method *method)
{
    void *options;
    assert_int_equal(mem_calloc(&options, 1, method->options_size), 0);
    if (options_defaults(method->options, options) != 0)
        fail_msg("%s: %s", method->name, err_text());
    return options;
}

static void set(const struct quant_method *method, void *options, const char *name,
                const char *value)
{
    if (options_set(method->options, options, name, value, "test") != 0)
        fail_msg("%s: %s = %s: %s", method->name, name, value, err_text());
}

static bool consistent(const struct quant_method *method, const void *options)
{
    return !method->check || method->check(options) == 0;
}

static void defaults_are_valid(void **state)
{
    for (int i = 0; methods[i]; i++) {
        void *options = defaults(methods[i]);
        assert_true(consistent(methods[i], options));
        assert_ptr_equal(method_find(methods[i]->name), methods[i]);
        mem_free(options);
    }
    assert_null(method_find("gtpq"));
    assert_non_null(strstr(err_text(), "gptq"));
}

static void refused(const struct quant_method *method, const char *name, const char *value)
{
    void *options = defaults(method), *before = defaults(method);
    assert_int_equal(options_set(method->options, options, name, value, "test"), ERR_USAGE);
    assert_non_null(strstr(err_text(), name));
    assert_memory_equal(options, before, method->options_size);
    mem_free(options);
    mem_free(before);
}

static void bounds_are_enforced(void **state)
{
    char text[64];
    for (int i = 0; methods[i]; i++) {
        refused(methods[i], "no_such_option", "1");
        for (const struct option *row = methods[i]->options; row->name; row++) {
            if (row->type == OPTION_TEXT)
                continue;
            refused(methods[i], row->name, "nonsense");
            if (row->type == OPTION_INT || row->type == OPTION_REAL) {
                snprintf(text, sizeof text, "%.0f", row->high + 1);
                refused(methods[i], row->name, text);
                snprintf(text, sizeof text, "%.0f", row->low - (row->special ? 3 : 1));
                refused(methods[i], row->name, text);
            }
        }
    }
}

/* Each option's values one at a time, on every edge. */
static void every_option_on_every_edge(void **state)
{
    char values[MOST_VALUES][32], what[1200];
    for (int e = 0; e < EDGES; e++) {
        struct layer layer;
        layer_make(&layer, edges[e].rows, edges[e].columns, 11);
        if (edges[e].change)
            edges[e].change(&layer);
        for (int i = 0; methods[i]; i++) {
            void *options = defaults(methods[i]);
            check_run(methods[i], options, &layer, edges[e].name);
            mem_free(options);
            for (const struct option *row = methods[i]->options; row->name; row++)
                for (int v = option_values(row, values); v-- > 0;) {
                    options = defaults(methods[i]);
                    set(methods[i], options, row->name, values[v]);
                    snprintf(what, sizeof what, "%s, %s = %s", edges[e].name, row->name, values[v]);
                    struct run run;
                    if (consistent(methods[i], options) && e == THREADED_EDGE) {
                        check_run(methods[i], options, &layer, what);
                    } else if (consistent(methods[i], options)) {
                        check_once(methods[i], options, &layer, what, &run);
                        run_free(&run);
                    }
                    mem_free(options);
                }
        }
        layer_free(&layer);
    }
}

static void pair_of_options(const struct quant_method *method, const struct option *a,
                            const struct option *b, struct layer *layer)
{
    char first[MOST_VALUES][32], second[MOST_VALUES][32], what[1200];
    int firsts = option_values(a, first), seconds = option_values(b, second);
    for (int v = 0; v < firsts; v++)
        for (int w = 0; w < seconds; w++) {
            void *options = defaults(method);
            set(method, options, a->name, first[v]);
            set(method, options, b->name, second[w]);
            snprintf(what, sizeof what, "%s = %s, %s = %s", a->name, first[v], b->name, second[w]);
            struct run run;
            if (consistent(method, options)) {
                check_once(method, options, layer, what, &run);
                run_free(&run);
            }
            mem_free(options);
        }
}

static void every_pair_of_options(void **state)
{
    struct layer layer;
    layer_make(&layer, 9, 40, 12);
    dead_column(&layer);
    for (int i = 0; methods[i]; i++)
        for (const struct option *a = methods[i]->options; a->name; a++)
            for (const struct option *b = a + 1; b->name; b++)
                pair_of_options(methods[i], a, b, &layer);
    layer_free(&layer);
}

/* ---- errors ---- */

static void expect_failure(const struct quant_method *method, struct layer *layer, const char *word)
{
    struct run run;
    void *options = defaults(method);
    forget_factors(layer);
    assert_int_equal(run_method(&run, method, options, layer), ERR_NUMERIC);
    if (!strstr(err_text(), "block 3, mlp.down_proj") || !strstr(err_text(), word))
        fail_msg("%s: the text does not name the layer and its %s: %s", method->name, word,
                 err_text());
    assert_int_equal(run.result.details.count, 0);
    run_free(&run);
    mem_free(options);
}

static void values_that_are_not_finite(void **state)
{
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (int i = 0; methods[i]; i++)
        for (int k = 0; k < 3; k++) {
            struct layer layer;
            layer_make(&layer, 6, 20, 13);
            float kept = layer.weight[47];
            layer.weight[47] = bad[k];
            expect_failure(methods[i], &layer, "weight");
            layer.weight[47] = kept;
            layer.hessian.matrix[3 * 20 + 5] = layer.hessian.matrix[5 * 20 + 3] = bad[k];
            if (methods[i]->caps & QM_NEEDS_HESSIAN)
                expect_failure(methods[i], &layer, "Hessian");
            layer_free(&layer);
        }
}

static void damping_is_raised(void **state)
{
    for (int i = 0; methods[i]; i++) {
        struct layer layer;
        struct run run;
        void *options = defaults(methods[i]);
        layer_make(&layer, 6, 20, 14);
        not_definite(&layer);
        assert_int_equal(run_method(&run, methods[i], options, &layer), 0);
        if (options_find(methods[i]->options, "percdamp")) {
            assert_int_equal(run.result.damping_raised, 1); /* from 0.01 to 0.1 */
            assert_true(fabs(run.result.damping - 0.1) < 1e-9);
        } else {
            assert_int_equal(run.result.damping_raised, 0);
        }
        run_free(&run);
        mem_free(options);
        layer_free(&layer);
    }
}

/* Every allocation fails once; each time an error comes back and nothing is left behind. */
static void allocation_fails(void **state)
{
    float x[24] = {1, 2, 3}, y[6], weight[6 * 24];
    pool_start(1);
    for (int i = 0; methods[i]; i++) {
        void *options = defaults(methods[i]);
        struct layer layer;
        layer_make(&layer, 6, 24, 15);
        bool failed = true;
        for (long k = 1; failed; k++) {
            struct run run;
            forget_factors(&layer);
            mem_fail_at(k);
            int rc = run_method(&run, methods[i], options, &layer);
            if (rc == 0)
                rc = methods[i]->unpack(options, &run.packed, 6, 24, weight);
            if (rc == 0)
                rc = methods[i]->matvec(options, &run.packed, 6, 24, x, y);
            failed = !mem_fail_pending();
            mem_fail_at(0);
            if (rc != (failed ? ERR_MEMORY : 0))
                fail_msg("%s: allocation %ld fails, and the result is %s: %s", methods[i]->name, k,
                         err_name(rc), err_text());
            run_free(&run);
            assert_true(k < 1000);
        }
        layer_free(&layer);
        mem_free(options);
    }
}

/* What unpack reads may come from a damaged file: arrays missing or of another shape. */
static void damaged_arrays(void **state)
{
    for (int i = 0; methods[i]; i++) {
        void *options = defaults(methods[i]);
        struct layer layer;
        struct run run;
        float weight[6 * 24];
        layer_make(&layer, 6, 24, 16);
        assert_int_equal(run_method(&run, methods[i], options, &layer), 0);
        for (int k = 0; k < run.packed.count; k++) {
            struct packed_array *array = &run.packed.arrays[k];
            char kept = array->name[0];
            size_t rows = array->shape[0];
            array->name[0] = '?';
            assert_int_equal(methods[i]->unpack(options, &run.packed, 6, 24, weight), ERR_FORMAT);
            array->name[0] = kept;
            array->shape[0] = rows - 1;
            assert_int_equal(methods[i]->unpack(options, &run.packed, 6, 24, weight), ERR_FORMAT);
            array->shape[0] = rows;
        }
        run_free(&run);
        layer_free(&layer);
        mem_free(options);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_valid),         cmocka_unit_test(bounds_are_enforced),
        cmocka_unit_test(every_option_on_every_edge), cmocka_unit_test(every_pair_of_options),
        cmocka_unit_test(values_that_are_not_finite), cmocka_unit_test(damping_is_raised),
        cmocka_unit_test(allocation_fails),           cmocka_unit_test(damaged_arrays),
    };
    matmul_init();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
