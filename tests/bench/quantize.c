/* Seconds to quantize one layer, factorisation included, beside the bare sgemm rate of the same
 * run.
 *
 *     build/bench/quantize [ROWS COLUMNS [THREADS [METHOD ...]]]
 *
 * The references need, on two threads of a machine whose sgemm gives about 300 GFLOP/s, 3.06 s
 * (GPTQ, 2 bit), 6.18 s (PB-LLM, 0.9) and 52.4 s (BiLLM) for 4096 x 4096. */
#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "linalg/matmul.h"
#include "methods/method.h"

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

/* GFLOP/s of the pool's matrix product at 2048: the best of five. */
static double sgemm_rate(void)
{
    enum { N = 2048 };
    float *a = noise((size_t)N * N, 1), *b = noise((size_t)N * N, 2), *c = noise((size_t)N * N, 3);
    double best = 0;
    for (int i = 0; i < 5; i++) {
        double start = clock_wall();
        OK(matmul_nt(a, b, N, N, N, 0, c));
        double rate = 2.0 * N * N * N / (clock_wall() - start) / 1e9;
        best = rate > best ? rate : best;
    }
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

struct measured {
    const char *method, *settings; /* "name=value name=value" */
    double reference, bar;         /* seconds at 4096 x 4096; bar for 300 GFLOP/s */
};

static const struct measured measured[] = {
    {"rtn", "bits=2", 0, 0},
    {"gptq", "bits=2", 3.06, 0.77},
    {"pb-llm", "low_frac=0.9 salient_metric=hessian", 6.18, 0.77},
    {"billm", "salient_metric=hessian", 52.4, 1.75},
    {"onebit", "", 0, 0},
    {"bitnet", "", 0, 0},
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

static void measure(const struct measured *m, struct layer *layer, double rate)
{
    const struct quant_method *method = method_find(m->method);
    struct layer_result result = {0};
    struct arena arena = {0};
    void *options;
    size_t count = (size_t)layer->rows * (size_t)layer->columns;
    if (!method)
        return;
    OK(mem_calloc(&options, 1, method->options_size));
    OK(mem_calloc(&result.quantized, count, sizeof(float)));
    set_options(method, options, m->settings);
    struct layer_problem problem = {.name = "layer",
                                    .weight = layer->weight,
                                    .rows = layer->rows,
                                    .columns = layer->columns,
                                    .hessian = &layer->hessian,
                                    .seed = 1,
                                    .arena = &arena};
    double start = clock_wall();
    const struct hessian_factor *factor;
    if (method->caps & QM_NEEDS_HESSIAN)
        OK(hessian_factorize(&layer->hessian, 0.01, false, &factor));
    double factored = clock_wall() - start;
    OK(method->quantize_layer(options, &problem, &result));
    double seconds = clock_wall() - start;
    printf("%-7s %-38s %7.3f s (factor %.3f s)", m->method, m->settings, seconds, factored);
    if (m->bar > 0 && layer->rows == 4096 && layer->columns == 4096)
        printf(", bar %.3f s, %.1f times less than the reference's %.2f s at 300 GFLOP/s",
               m->bar * 300 / rate, m->reference / (seconds * rate / 300), m->reference);
    if (method->caps & QM_NEEDS_HESSIAN) {
        double n = layer->columns, flops = n * n * layer->rows + 2.0 / 3 * n * n * n;
        printf(", %.0f %% of sgemm on %.0f GFLOP", 100 * flops / seconds / 1e9 / rate, flops / 1e9);
    }
    putchar('\n');
    drop_factors(&layer->hessian);
    layer_result_release(&result);
    mem_free(result.quantized);
    mem_free(options);
    arena_release(&arena);
}

int main(int argc, char **argv)
{
    struct layer layer = {.rows = argc > 2 ? (int)strtol(argv[1], NULL, 10) : 4096,
                          .columns = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 4096};
    matmul_init();
    OK(pool_start(argc > 3 ? (int)strtol(argv[3], NULL, 10) : 2));
    double rate = sgemm_rate();
    printf("%d x %d, %d threads, sgemm %.0f GFLOP/s\n", layer.rows, layer.columns, pool_threads(),
           rate);
    make_layer(&layer, rate);
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++) {
        bool wanted = argc <= 4;
        for (int k = 4; k < argc; k++)
            wanted = wanted || strcmp(argv[k], measured[i].method) == 0;
        if (wanted)
            measure(&measured[i], &layer, rate);
    }
    mem_free(layer.weight);
    hessian_release(&layer.hessian);
    pool_stop();
    return 0;
}
