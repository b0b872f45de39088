/* Training speed at the embedded model's shape: tokens a second, and its share of what the matrix
 * products alone give as bare sgemm calls of the same shapes. */
#include "model/train.h"
#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/matmul.h"

#include <stdio.h>
#include <stdlib.h>

static const struct model_config shape = {.layers = 4,
                                          .width = 256,
                                          .hidden = 768,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_size = 64,
                                          .vocabulary = 4096,
                                          .norm_epsilon = 1e-5,
                                          .rope_theta = 10000.0,
                                          .tied_head = true};
enum { SEQUENCES = 4, CONTEXT = 256, ROWS = SEQUENCES * CONTEXT, STEPS = 6 };

/* y = x W^T forward, and the two products of its backward pass. */
static int products(int out, int in, float *a, float *b, float *c)
{
    int rc = 0;
    TRY(matmul_nt(a, b, ROWS, out, in, 0.0f, c));
    TRY(matmul_nn(c, b, ROWS, out, in, 0.0f, a));
    TRY(matmul_tn(c, a, ROWS, out, in, 0.0f, b));
out:
    return rc;
}

static int bare(double *seconds)
{
    float *a = NULL, *b = NULL, *c = NULL;
    int rc = 0, q = shape.heads * shape.head_size, kv = shape.kv_heads * shape.head_size;
    TRY(mem_calloc(&a, (size_t)ROWS * shape.hidden, sizeof(float)));
    TRY(mem_calloc(&b, (size_t)shape.vocabulary * shape.width, sizeof(float)));
    TRY(mem_calloc(&c, (size_t)ROWS * shape.vocabulary, sizeof(float)));
    double best = 1e9;
    for (int turn = 0; turn < 3; turn++) {
        double start = clock_wall();
        for (int i = 0; i < shape.layers; i++) {
            TRY(products(q, shape.width, a, b, c));
            TRY(products(kv, shape.width, a, b, c));
            TRY(products(kv, shape.width, a, b, c));
            TRY(products(shape.width, q, a, b, c));
            TRY(products(shape.hidden, shape.width, a, b, c));
            TRY(products(shape.hidden, shape.width, a, b, c));
            TRY(products(shape.width, shape.hidden, a, b, c));
        }
        TRY(products(shape.vocabulary, shape.width, a, b, c));
        double spent = clock_wall() - start;
        best = spent < best ? spent : best;
    }
    *seconds = best;
out:
    mem_free(a);
    mem_free(b);
    mem_free(c);
    return rc;
}

/* Tokens a second with the batch in so many shards. */
static int measure(int shards, double products_alone)
{
    struct train_group group = {0};
    struct train_optimizer optimizer = {0};
    int32_t *tokens = NULL;
    struct rng rng;
    double loss, norm, best = 1e9;
    int rc = 0;
    rng_seed(&rng, 1);
    TRY(train_group_init(&group, &shape, NULL, shards, SEQUENCES, CONTEXT, 1));
    TRY(train_optimizer_init(&optimizer, &group.shards[0]));
    TRY(mem_calloc(&tokens, ROWS, sizeof *tokens));
    for (int i = 0; i < ROWS; i++)
        tokens[i] = (int32_t)rng_below(&rng, (uint64_t)shape.vocabulary);
    for (int step = 0; step < STEPS; step++) {
        double start = clock_wall();
        TRY(train_group_loss(&group, tokens, tokens, true, 0.1, (uint64_t)step, &loss));
        TRY(train_optimizer_step(&optimizer, &group.shards[0], 1e-3, 1.0, &norm));
        double spent = clock_wall() - start;
        best = spent < best ? spent : best;
    }
    printf("train  %d shard(s): %.0f tokens/s, %.0f %% of bare sgemm\n", shards, ROWS / best,
           100.0 * products_alone / best);
out:
    mem_free(tokens);
    train_optimizer_release(&optimizer);
    train_group_release(&group);
    return rc;
}

int main(int argc, char **argv)
{
    matmul_init();
    int rc = pool_start(argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0);
    double products_alone = 0.0;
    rc = rc ? rc : bare(&products_alone);
    if (rc == 0)
        printf("train  width %d, %d layers, batch %d x %d, %d thread(s); bare sgemm of the same "
               "shapes: "
               "%.0f tokens/s\n",
               shape.width, shape.layers, SEQUENCES, CONTEXT, pool_threads(),
               ROWS / products_alone);
    rc = rc ? rc : measure(1, products_alone);
    rc = rc ? rc : measure(2, products_alone);
    if (rc)
        fprintf(stderr, "train: %s\n", err_text());
    pool_stop();
    return rc != 0;
}
