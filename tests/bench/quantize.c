/* Seconds to quantize one layer, factorisation included, beside the bare sgemm rate of the same
 * run.
 *
 *     build/bench/quantize [ROWS COLUMNS [THREADS [METHOD ...]]]
 *
 * The references' seconds are those of two threads of a machine whose sgemm gives about
 * 300 GFLOP/s; without arguments both shapes are measured for which they are known. Seconds are
 * the best of three. */
#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "linalg/matmul.h"
#include "methods/method.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK(expr)                                                                                   \
    do {                                                                                           \
        if ((expr) != 0) {                                                                         \
            fprintf(stderr, "%s: %s\n", #expr, err_text());                                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static float *noise(size_t count, uint64_t seed)
{
    struct rng rng;
    float *values;
    OK(mem_alloc(&values, count, sizeof *values));
    rng_seed(&rng, seed);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(rng_uniform(&rng) + rng_uniform(&rng) + rng_uniform(&rng) - 1.5);
    return values;
}

/* GFLOP/s of OpenBLAS's own sgemm on that many threads: the best of five. */
static double sgemm_rate(int threads)
{
    enum { N = 4096 };
    float *a = noise((size_t)N * N, 1), *b = noise((size_t)N * N, 2), *c = noise((size_t)N * N, 3);
    double best = 0;
    openblas_set_num_threads(threads);
    for (int i = 0; i < 5; i++) {
        double start = clock_wall();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, N, 1, a, N, b, N, 0, c, N);
        double rate = 2.0 * N * N * N / (clock_wall() - start) / 1e9;
        best = rate > best ? rate : best;
    }
    matmul_init();
    mem_free(a);
    mem_free(b);
    mem_free(c);
    return best;
}

struct layer {
    int rows, columns;
    float *weight;
    struct hessian hessian;
};

/* Correlated inputs: each is noise plus a share of a common one. */
static void make_layer(struct layer *layer, double rate)
{
    int tokens = layer->columns > 4096 ? layer->columns + 1024
                                       : layer->columns + layer->columns / 4;
    size_t columns = (size_t)layer->columns;
    float *x = noise((size_t)tokens * columns, 4);
    for (size_t t = 0; t < (size_t)tokens; t++)
        for (size_t i = 0; i < columns; i++)
            x[t * columns + i] += 0.5f * x[t * columns];
    OK(hessian_init(&layer->hessian, layer->columns));
    OK(hessian_add(&layer->hessian, x, tokens, 1)); /* brings the pages in */
    double start = clock_wall();
    OK(hessian_add(&layer->hessian, x, tokens, 1));
    double seconds = clock_wall() - start, flops = (double)tokens * layer->columns * layer->columns;
    hessian_finish(&layer->hessian);
    printf("Hessian of %d tokens: %.3f s, %.0f GFLOP/s by n^2 T, %.0f %% of sgemm\n", tokens,
           seconds, flops / seconds / 1e9, 100 * flops / seconds / 1e9 / rate);
    layer->weight = noise((size_t)layer->rows * columns, 5);
    mem_free(x);
}

static void drop_factors(struct hessian *hessian)
{
    struct hessian fresh = {
        .size = hessian->size, .sequences = hessian->sequences, .matrix = hessian->matrix};
    hessian->matrix = NULL;
    hessian_release(hessian);
    *hessian = fresh;
}

enum { REPEATS = 3 };

struct measured {
    const char *method, *settings; /* "name=value name=value" */
    double bar;                    /* seconds at 4096 x 4096 for 300 GFLOP/s */
    double square, tall;           /* the reference's seconds at 4096 x 4096, at 11008 x 4096 */
};

static const struct measured measured[] = {
    {"rtn", "bits=2", 0, 0, 0},
    {"gptq", "bits=2", 0.77, 3.06, 6.52},
    {"pb-llm", "low_frac=0.9 salient_metric=hessian", 0.77, 6.18, 16.7},
    {"billm", "salient_metric=hessian", 1.75, 52.4, 177.5},
    {"onebit", "", 0, 0, 0},
    {"bitnet", "", 0, 0, 0},
};

static void set_options(const struct quant_method *method, void *options, const char *settings)
{
    char copy[256], *rest = copy;
    OK(options_defaults(method->options, options));
    snprintf(copy, sizeof copy, "%s", settings);
    for (char *word; (word = strsep(&rest, " ")) != NULL;) {
        char *value = strchr(word, '=');
        if (!value)
            continue;
        *value++ = '\0';
        OK(options_set(method->options, options, word, value, "bench"));
    }
}

/* Seconds of one quantization, and of the factorisation within. */
static double quantize_once(const struct quant_method *method, const void *options,
                            struct layer *layer, double *factored)
{
    struct layer_result result = {0};
    struct arena arena = {0};
    const struct hessian_factor *factor;
    OK(mem_calloc(&result.quantized, (size_t)layer->rows * (size_t)layer->columns, sizeof(float)));
    struct layer_problem problem = {.name = "layer",
                                    .weight = layer->weight,
                                    .rows = layer->rows,
                                    .columns = layer->columns,
                                    .hessian = &layer->hessian,
                                    .seed = 1,
                                    .arena = &arena};
    double start = clock_wall();
    if (method->caps & QM_NEEDS_HESSIAN)
        OK(hessian_factorize(&layer->hessian, 0.01, false, &factor));
    *factored = clock_wall() - start;
    OK(method->quantize_layer(options, &problem, &result));
    double seconds = clock_wall() - start;
    drop_factors(&layer->hessian);
    layer_result_release(&result);
    mem_free(result.quantized);
    arena_release(&arena);
    return seconds;
}

static void measure(const struct measured *m, struct layer *layer, double rate)
{
    const struct quant_method *method = method_find(m->method);
    void *options;
    double best = INFINITY, best_factor = 0;
    bool square = layer->rows == 4096,
         known = layer->columns == 4096 && (square || layer->rows == 11008);
    double reference = !known ? 0 : square ? m->square : m->tall;
    OK(mem_calloc(&options, 1, method->options_size));
    set_options(method, options, m->settings);
    for (int i = 0; i < REPEATS; i++) {
        double factored, seconds = quantize_once(method, options, layer, &factored);
        if (seconds < best) {
            best = seconds;
            best_factor = factored;
        }
    }
    printf("%-7s %-38s %7.3f s (factor %.3f s)", m->method, m->settings, best, best_factor);
    if (reference > 0)
        printf(", %.1f times less than the reference's %.2f s", reference / (best * rate / 300),
               reference);
    if (m->bar > 0 && known && square)
        printf(", %.2f of the bar, %.3f s", best * rate / (m->bar * 300), m->bar * 300 / rate);
    if (method->caps & QM_NEEDS_HESSIAN) {
        double n = layer->columns, flops = n * n * layer->rows + 2.0 / 3 * n * n * n;
        printf(", %.0f %% of sgemm on %.0f GFLOP", 100 * flops / best / 1e9 / rate, flops / 1e9);
    }
    putchar('\n');
    mem_free(options);
}

static void measure_shape(int rows, int columns, int names, char **name)
{
    struct layer layer = {.rows = rows, .columns = columns};
    double rate = sgemm_rate(pool_threads());
    printf("%d x %d, %d threads, sgemm %.0f GFLOP/s\n", rows, columns, pool_threads(), rate);
    make_layer(&layer, rate);
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
        bool wanted = names == 0;
        for (int k = 0; k < names; k++)
            wanted = wanted || strcmp(name[k], measured[i].method) == 0;
        if (wanted)
            measure(&measured[i], &layer, rate);
    }
    mem_free(layer.weight);
    hessian_release(&layer.hessian);
}

int main(int argc, char **argv)
{
    matmul_init();
    OK(pool_start(argc > 3 ? (int)strtol(argv[3], NULL, 10) : 2));
    if (argc > 2) {
        measure_shape((int)strtol(argv[1], NULL, 10), (int)strtol(argv[2], NULL, 10),
                      argc > 4 ? argc - 4 : 0, argv + 4);
    } else {
        measure_shape(4096, 4096, 0, NULL);
        measure_shape(11008, 4096, 0, NULL);
    }
    pool_stop();
    return 0;
}
