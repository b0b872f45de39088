/* A LLaMA model quantized block by block in double precision: the blocks run on calibration
 * sequences, each distinct linear input gives a Hessian H = (2 / sequences) sum x x^T, a caller's
 * function replaces the weights, and the next block sees what came out. Shares nothing with the
 * engine; products are cblas_dgemm, everything else plain loops (tests/plain_model.h). */
#ifndef TESTS_PLAIN_CHAIN_H
#define TESTS_PLAIN_CHAIN_H

#include "core/pool.h"
#include "tests/fixture.h"
#include "tests/plain_model.h"

#include <cblas.h>

enum { CHAIN_LINEARS = 7, CHAIN_INPUTS = 4 };

static const char *const chain_linears[CHAIN_LINEARS] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
static const int chain_inputs[CHAIN_LINEARS] = {0, 0, 0, 1, 2, 2, 3};

struct chain_linear {
    int rows, columns;
    double *weight;
};

struct chain_block {
    struct chain_linear linears[CHAIN_LINEARS];
    const float *gain[2]; /* borrowed */
};

/* The tokens on their way through the blocks. */
struct chain_stream {
    int sequences, length;
    double *x; /* tokens x width */
};

static inline double *chain_array(int rows, int columns)
{
    double *values;
    FIXTURE_OK(mem_calloc(&values, (size_t)rows * (size_t)columns, sizeof *values));
    return values;
}

static inline void chain_stream_init(struct chain_stream *s, const struct plain *plain,
                                     const int32_t *tokens, int sequences, int length)
{
    int width = plain->config.width;
    *s = (struct chain_stream){sequences, length, chain_array(sequences * length, width)};
    for (int i = 0; i < sequences * length; i++)
        plain_embed(plain, tokens[i], i % length, s->x + i * width);
}

static inline void chain_block_load(struct chain_block *block, const struct plain *plain, int layer)
{
    const struct model_config *c = &plain->config;
    int inner = c->heads * c->head_size, kv = c->kv_heads * c->head_size;
    const int shapes[CHAIN_LINEARS][2] = {
        {inner, c->width},     {kv, c->width},        {kv, c->width},       {c->width, inner},
        {c->hidden, c->width}, {c->hidden, c->width}, {c->width, c->hidden}};
    for (int k = 0; k < CHAIN_LINEARS; k++) {
        struct chain_linear *linear = &block->linears[k];
        const float *read = plain_find(plain, layer, TENSOR_LINEAR, k);
        *linear = (struct chain_linear){.rows = shapes[k][0], .columns = shapes[k][1]};
        linear->weight = chain_array(linear->rows, linear->columns);
        for (int i = 0; i < linear->rows * linear->columns; i++)
            linear->weight[i] = (double)read[i];
    }
    for (int which = 0; which < 2; which++)
        block->gain[which] = plain_find(plain, layer, TENSOR_VECTOR, which);
}

static inline void chain_block_release(struct chain_block *block)
{
    for (int k = 0; k < CHAIN_LINEARS; k++)
        mem_free(block->linears[k].weight);
}

static inline double *chain_product(const struct chain_linear *linear, const double *x, int rows)
{
    double *y = chain_array(rows, linear->rows);
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, linear->rows, linear->columns, 1, x,
                linear->columns, linear->weight, linear->columns, 0, y, linear->rows);
    return y;
}

/* The linears' inputs of one pass, tokens x columns each; owned. */
struct chain_taps {
    double *x[CHAIN_INPUTS];
};

struct chain_heads {
    const struct model_config *config;
    int length;
    double *q, *k, *v, *mixed;
};

/* One sequence's attention. */
static inline int chain_attend(void *context, int index, int worker)
{
    const struct chain_heads *h = context;
    const struct model_config *c = h->config;
    int inner = c->heads * c->head_size, kv = c->kv_heads * c->head_size;
    double *q = h->q + index * h->length * inner, *k = h->k + index * h->length * kv;
    for (int p = 0; p < h->length; p++) {
        plain_rotate(c, q + p * inner, c->heads, p);
        plain_rotate(c, k + p * kv, c->kv_heads, p);
    }
    for (int p = 0; p < h->length; p++)
        plain_attend(c, 0, q + p * inner, k, h->v + index * h->length * kv, p,
                     h->mixed + (index * h->length + p) * inner);
    return 0;
}

/* One block, in place; the taps may be NULL. */
static inline void chain_forward(const struct model_config *c, const struct chain_block *block,
                                 struct chain_stream *s, struct chain_taps *taps)
{
    const struct chain_linear *linear = block->linears;
    int rows = s->sequences * s->length, inner = c->heads * c->head_size;
    struct chain_taps in = {
        .x = {chain_array(rows, c->width), chain_array(rows, inner), chain_array(rows, c->width)}};
    for (int r = 0; r < rows; r++)
        plain_norm(c, block->gain[0], NULL, s->x + r * c->width, in.x[0] + r * c->width);
    double *q = chain_product(&linear[0], in.x[0], rows);
    double *k = chain_product(&linear[1], in.x[0], rows);
    double *v = chain_product(&linear[2], in.x[0], rows);
    struct chain_heads heads = {c, s->length, q, k, v, in.x[1]};
    FIXTURE_OK(pool_run(chain_attend, &heads, s->sequences));
    double *o = chain_product(&linear[3], in.x[1], rows);
    for (int i = 0; i < rows * c->width; i++)
        s->x[i] += o[i];
    for (int r = 0; r < rows; r++)
        plain_norm(c, block->gain[1], NULL, s->x + r * c->width, in.x[2] + r * c->width);
    in.x[3] = chain_product(&linear[4], in.x[2], rows);
    double *up = chain_product(&linear[5], in.x[2], rows);
    for (int i = 0; i < rows * c->hidden; i++)
        in.x[3][i] = in.x[3][i] / (1 + exp(-in.x[3][i])) * up[i];
    double *down = chain_product(&linear[6], in.x[3], rows);
    for (int i = 0; i < rows * c->width; i++)
        s->x[i] += down[i];
    for (int i = 0; i < CHAIN_INPUTS && !taps; i++)
        mem_free(in.x[i]);
    if (taps)
        *taps = in;
    mem_free(q), mem_free(k), mem_free(v), mem_free(o), mem_free(up), mem_free(down);
}

/* H = (2 / sequences) sum x x^T; the caller frees it. */
static inline double *chain_hessian(const double *x, int rows, int columns, int sequences)
{
    double *h = chain_array(columns, columns);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, columns, columns, rows, 2.0 / sequences, x,
                columns, x, columns, 0, h, columns);
    return h;
}

/* exp of the mean loss of the tokens that have a next one in their sequence; x is overwritten. */
static inline double chain_perplexity(const struct plain *plain, const struct chain_stream *s,
                                      const int32_t *tokens)
{
    const struct model_config *c = &plain->config;
    double *logits = chain_array(c->vocabulary, 1), total = 0;
    for (int r = 0; r < s->sequences * s->length; r++) {
        double sum = 0;
        if ((r + 1) % s->length == 0)
            continue;
        plain_head(plain, s->x + r * c->width, logits);
        for (int i = 0; i < c->vocabulary; i++)
            sum += exp(logits[i] - logits[tokens[r + 1]]);
        total += log(sum);
    }
    mem_free(logits);
    return exp(total / (s->sequences * (s->length - 1)));
}

#endif
