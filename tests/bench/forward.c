/* Speed of the forward pass: random weights in the shape of a 135M-parameter model, all logits (the
 * log-probability of every position's target), against its matrix products alone as bare sgemm
 * calls of the same shapes. Both run side by side in one process, alternating, as many threads
 * each; the best of several rounds counts. Exit status 1 when the bar is missed.
 *
 *     forward [ROUNDS [THREADS]]
 *
 * With one thread, CPU time is measured, so that a busy machine disturbs little.
 */
#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/cpu.h"
#include "linalg/matmul.h"
#include "linalg/simd.h"
#include "model/llama.h"
#include "model/transformer.h"
#include "model/workspace.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { LAYERS = 30, MOST_TOKENS = 2048, TILE_QUERIES = 64, TILE_KEYS = 512 };
static const double BAR = 1.2;

static const struct model_config shape = {.architecture = "llama",
                                          .layers = LAYERS,
                                          .width = 576,
                                          .hidden = 1536,
                                          .heads = 9,
                                          .kv_heads = 3,
                                          .head_size = 64,
                                          .vocabulary = 49152,
                                          .max_positions = 2048,
                                          .norm_epsilon = 1e-5,
                                          .rope_theta = 10000,
                                          .tied_head = true,
                                          .bos_id = 1,
                                          .eos_id = 2};

struct bench {
    struct model model;
    struct block blocks[LAYERS];
    int32_t tokens[MOST_TOKENS], targets[MOST_TOKENS];
    float *x, *y, *wide, *logits; /* rows x width, x width, x hidden, x vocabulary */
    struct token_score scores[MOST_TOKENS];
    int threads;
};
static struct bench bench;

/* Uniform values of the given spread, by a 32-bit congruential generator. */
static int draw(float **out, size_t count, float spread)
{
    static uint32_t state = 12345;
    int rc = mem_alloc(out, count, sizeof **out);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        state = state * 1664525u + 1013904223u;
        (*out)[i] = ((float)(state >> 8) * 0x1p-24f - 0.5f) * spread;
    }
    return rc;
}

static int make_block(struct block *block)
{
    static const int inputs[LLAMA_LINEARS] = {0, 0, 0, 1, 2, 2, 3};
    static const int shapes[LLAMA_LINEARS][2] = {{576, 576},  {192, 576},  {192, 576}, {576, 576},
                                                 {1536, 576}, {1536, 576}, {576, 1536}};
    size_t total = 2 * 576;
    for (int i = 0; i < LLAMA_LINEARS; i++)
        total += (size_t)shapes[i][0] * (size_t)shapes[i][1];
    int rc = draw(&block->storage, total, 0.1f);
    if (rc)
        return rc;
    float *at = block->storage;
    for (int v = NORM_ATTENTION; v <= NORM_MLP; v++, at += 576)
        block->vectors[v] = at;
    for (int i = 0; i < LLAMA_LINEARS; i++) {
        block->linears[i] = (struct linear){
            .name = "", .weight = at, .out = shapes[i][0], .in = shapes[i][1], .input = inputs[i]};
        at += (size_t)shapes[i][0] * (size_t)shapes[i][1];
    }
    block->linear_count = LLAMA_LINEARS;
    block->input_count = 4;
    return 0;
}

static int make_model(void)
{
    int rc;
    struct model *m = &bench.model;
    m->config = shape;
    m->architecture = architectures[0];
    TRY(mem_calloc(&m->workspace, 1, sizeof *m->workspace));
    TRY(draw(&m->embedding, (size_t)shape.vocabulary * (size_t)shape.width, 1.0f));
    m->head = m->embedding;
    TRY(draw(&m->final_norm, (size_t)shape.width, 1.0f));
    for (int i = 0; i < LAYERS; i++)
        TRY(make_block(&bench.blocks[i]));
    TRY(draw(&bench.x, (size_t)MOST_TOKENS * 576, 1.0f));
    TRY(draw(&bench.y, (size_t)MOST_TOKENS * 576, 1.0f));
    TRY(draw(&bench.wide, (size_t)MOST_TOKENS * 1536, 1.0f));
    TRY(draw(&bench.logits, (size_t)MOST_TOKENS * (size_t)shape.vocabulary, 1.0f));
    for (int i = 0; i < MOST_TOKENS; i++) {
        bench.tokens[i] = (int32_t)(i * 7919L % shape.vocabulary);
        bench.targets[i] = (int32_t)(i * 104729L % shape.vocabulary);
    }
out:
    return rc;
}

static double now(void)
{
    return bench.threads == 1 ? clock_cpu() : clock_wall();
}

/* Stage times of the last engine run, seconds. */
static double blocks_seconds, head_seconds;

static int engine(int tokens)
{
    int rc;
    const int offsets[] = {0, tokens};
    struct batch batch = {.tokens = bench.tokens, .offsets = offsets, .count = 1};
    double start = now();
    TRY(bench.model.architecture->embed(&bench.model, &batch, bench.x));
    for (int i = 0; i < LAYERS; i++)
        TRY(bench.model.architecture->block_forward(&bench.model, &bench.blocks[i], &batch, bench.x,
                                                    NULL, NULL));
    blocks_seconds = now() - start;
    TRY(model_score(&bench.model, bench.x, bench.targets, tokens, bench.scores));
    head_seconds = now() - start - blocks_seconds;
out:
    return rc;
}

static void bare(int m, int n, int k, const float *a, int lda, const float *b, int ldb,
                 bool transpose_b, float *c, int ldc)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, transpose_b ? CblasTrans : CblasNoTrans, m, n, k, 1.0f,
                a, lda, b, ldb, 0.0f, c, ldc);
}

static void bare_linears(int tokens)
{
    for (int i = 0; i < LAYERS; i++) {
        for (int j = 0; j < LLAMA_LINEARS; j++) {
            const struct linear *linear = &bench.blocks[i].linears[j];
            const float *input = j == LLAMA_DOWN ? bench.wide : bench.x;
            float *output = j == LLAMA_GATE || j == LLAMA_UP ? bench.wide : bench.y;
            bare(tokens, linear->out, linear->in, input, linear->in, linear->weight, linear->in,
                 true, output, linear->out);
        }
    }
}

static void bare_head(int tokens)
{
    bare(tokens, shape.vocabulary, shape.width, bench.x, shape.width, bench.model.head, shape.width,
         true, bench.logits, shape.vocabulary);
}

/* Scores and weighted sums of the tiles that causality leaves, each key-value head's three query
 * heads together. */
static void bare_attention(int tokens)
{
    int group = shape.heads / shape.kv_heads, size = shape.head_size,
        stride = shape.kv_heads * size;
    for (int i = 0; i < LAYERS * shape.kv_heads; i++) {
        const float *kv = bench.wide + i % shape.kv_heads * size;
        for (int query = 0; query < tokens; query += TILE_QUERIES) {
            for (int key = 0, end = query + TILE_QUERIES; key < end; key += TILE_KEYS) {
                int keys = end - key < TILE_KEYS ? end - key : TILE_KEYS,
                    rows = group * TILE_QUERIES;
                bare(rows, keys, size, bench.x, size, kv + key * stride, stride, true, bench.logits,
                     keys);
                bare(rows, size, keys, bench.logits, keys, kv + key * stride, stride, false,
                     bench.y, size);
            }
        }
    }
}

/* The same products as a program without tiles does them: one head's whole square at a time. */
static void bare_squares(int tokens)
{
    int size = shape.head_size, wide = shape.heads * size, narrow = shape.kv_heads * size;
    for (int i = 0; i < LAYERS * shape.heads; i++) {
        bare(tokens, tokens, size, bench.x, wide, bench.wide, narrow, true, bench.logits, tokens);
        bare(tokens, size, tokens, bench.logits, tokens, bench.wide, narrow, false, bench.y, wide);
    }
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

/* OpenBLAS's threads go on spinning for a while after a call; ours should not compete with them. */
static void settle(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 60000000}, NULL);
}

static double timed_bare(void (*products)(int), int tokens)
{
    openblas_set_num_threads(bench.threads);
    double start = now();
    products(tokens);
    double seconds = now() - start;
    openblas_set_num_threads(1);
    settle();
    return seconds;
}

static int measure(int tokens, int rounds, double *ratio)
{
    double ours = 1e9, blocks = 1e9, head = 1e9, parts[4] = {1e9, 1e9, 1e9, 1e9};
    static void (*const products[4])(int) = {bare_linears, bare_head, bare_attention, bare_squares};
    for (int round = 0; round <= rounds; round++) { /* the first warms up */
        double start = now();
        int rc = engine(tokens);
        if (rc)
            return rc;
        double seconds = now() - start;
        for (int i = 0; round > 0 && i < 4; i++)
            parts[i] = least(parts[i], timed_bare(products[i], tokens));
        if (round > 0) {
            ours = least(ours, seconds);
            blocks = least(blocks, blocks_seconds);
            head = least(head, head_seconds);
        }
    }
    double n = tokens,
           flop_linears = 2 * n * LAYERS * (2 * 576.0 * 576 + 2 * 192.0 * 576 + 3 * 1536.0 * 576);
    double flop_head = 2 * n * 576 * shape.vocabulary,
           flop_attention = 2.0 * LAYERS * 9 * 64 * n * (n + TILE_QUERIES);
    double all = parts[0] + parts[1] + parts[2];
    printf("%d tokens: %.3f s, %.0f tokens/s, %.0f GFLOP/s (blocks %.3f s, head %.3f s)\n", tokens,
           ours, n / ours, (flop_linears + flop_head + flop_attention) / ours * 1e-9, blocks, head);
    printf("  bare products: linears %.3f s (%.0f GFLOP/s), head %.3f s (%.0f), attention's tiles "
           "%.3f s (%.0f), "
           "squares %.3f s\n",
           parts[0], flop_linears / parts[0] * 1e-9, parts[1], flop_head / parts[1] * 1e-9,
           parts[2], flop_attention / parts[2] * 1e-9, parts[3]);
    printf("  ratio: %.3f to linears, head and attention's tiles; %.3f with whole squares; %.3f "
           "without attention\n",
           ours / all, ours / (parts[0] + parts[1] + parts[3]), ours / (parts[0] + parts[1]));
    /* What transformers reached with two threads where bare sgemm gave 300 GFLOP/s. */
    double reference_rate = flop_linears / parts[0] * 1e-9 / 300 * 489;
    if (tokens == 2048)
        printf("  %.2f times the tokens/s of transformers at the same rate of sgemm (489 at 300 "
               "GFLOP/s)\n",
               n / ours / reference_rate);
    *ratio = ours / all;
    return 0;
}

int main(int argc, char **argv)
{
    int rc, rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 5;
    double short_ratio = 0, long_ratio = 0;
    cpu_prepare(argv);
    matmul_init();
    TRY(pool_start(argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0));
    bench.threads = pool_threads();
    TRY(make_model());
    printf("forward pass, 135M shape, %d threads, OpenBLAS kernels %s, vector kernels %s\n",
           bench.threads, openblas_get_corename(), simd.name);
    TRY(measure(512, rounds, &short_ratio));
    TRY(measure(2048, rounds, &long_ratio));
    printf("%s: at most %.1f times the bare products\n",
           short_ratio <= BAR && long_ratio <= BAR ? "PASS" : "MISSED", BAR);
    rc = short_ratio <= BAR && long_ratio <= BAR ? 0 : 1;
out:
    if (rc > 1)
        fprintf(stderr, "forward: %s\n", err_text());
    pool_stop();
    return rc;
}
