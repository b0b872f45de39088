/* Causal attention with its backward pass. One task is one sequence and one key-value head with the
 * query heads that share it, so that the sums over query heads stay on one thread. Query rows go in
 * tiles; a tile sees only the keys up to its own end, which saves nearly half of the square. */
#include "core/pool.h"
#include "linalg/matmul.h"
#include "linalg/simd.h"
#include "model/train_layers.h"

#include <math.h>
#include <string.h>

struct attention {
    struct train_model *model;
    const struct train_layer *layer;
    const float *dattended;
    float *dq, *dk, *dv;
};

/* Turns one head of all positions by their angles; sine is m->sine, or its negative to turn back.
 */
static void rotate(const struct train_model *m, float *x, int stride, const float *sine)
{
    int size = m->config.head_size;
    for (int t = 0; t < m->context; t++) {
        size_t at = (size_t)t * (size_t)(size / 2);
        simd.rope(x + (size_t)t * (size_t)stride, m->cosine + at, sine + at, size);
    }
}

static int minimum(int a, int b)
{
    return a < b ? a : b;
}

static int forward_task(void *context, int index, int worker)
{
    const struct attention *a = context;
    const struct train_model *m = a->model;
    const struct train_layer *l = a->layer;
    const struct model_config *c = &m->config;
    int T = m->context, size = c->head_size, group = c->heads / c->kv_heads;
    int ldq = c->heads * size, ldk = c->kv_heads * size;
    int s = index / c->kv_heads, kv = index % c->kv_heads;
    float *k = l->k + (size_t)s * T * ldk + kv * size;
    const float *v = l->v + (size_t)s * T * ldk + kv * size;
    float scale = (float)(1.0 / sqrt((double)size));
    rotate(m, k, ldk, m->sine);
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        float *q = l->q + (size_t)s * T * ldq + h * size;
        float *out = l->attended + (size_t)s * T * ldq + h * size;
        float *p = l->probabilities + ((size_t)s * c->heads + h) * T * T;
        rotate(m, q, ldq, m->sine);
        for (int r = 0; r < T; r += TRAIN_TILE) {
            int rows = minimum(TRAIN_TILE, T - r), keys = r + rows;
            float *tile = p + (size_t)r * T;
            gemm(false, true, rows, keys, size, scale, q + (size_t)r * ldq, ldq, k, ldk, 0.0f, tile,
                 T);
            for (int i = 0; i < rows; i++) {
                simd.softmax(tile + (size_t)i * T, tile + (size_t)i * T, r + i + 1);
                memset(tile + (size_t)i * T + r + i + 1, 0, (size_t)(rows - i - 1) * sizeof(float));
            }
            gemm(false, false, rows, size, keys, 1.0f, tile, T, v, ldk, 0.0f, out + (size_t)r * ldq,
                 ldq);
        }
    }
    return 0;
}

/* With A = P V, P = softmax(S), S = Q K^T / sqrt(d): dV = P^T dA, dP = dA V^T, dS by rows, dQ = dS
 * K / sqrt(d), dK = dS^T Q / sqrt(d). */
static int backward_task(void *context, int index, int worker)
{
    const struct attention *a = context;
    const struct train_model *m = a->model;
    const struct train_layer *l = a->layer;
    const struct model_config *c = &m->config;
    int T = m->context, size = c->head_size, group = c->heads / c->kv_heads;
    int ldq = c->heads * size, ldk = c->kv_heads * size;
    int s = index / c->kv_heads, kv = index % c->kv_heads;
    size_t at_k = (size_t)s * T * ldk + kv * size;
    const float *k = l->k + at_k, *v = l->v + at_k;
    float *dk = a->dk + at_k, *dv = a->dv + at_k,
          *ds = m->scratch + (size_t)worker * TRAIN_TILE * T;
    float scale = (float)(1.0 / sqrt((double)size));
    for (int t = 0; t < T; t++) {
        memset(dk + (size_t)t * ldk, 0, (size_t)size * sizeof(float));
        memset(dv + (size_t)t * ldk, 0, (size_t)size * sizeof(float));
    }
    for (int h = kv * group; h < (kv + 1) * group; h++) {
        size_t at_q = (size_t)s * T * ldq + h * size;
        const float *p = l->probabilities + ((size_t)s * c->heads + h) * T * T;
        for (int r = 0; r < T; r += TRAIN_TILE) {
            int rows = minimum(TRAIN_TILE, T - r), keys = r + rows;
            size_t at = at_q + (size_t)r * ldq;
            const float *tile = p + (size_t)r * T;
            gemm(false, true, rows, keys, size, 1.0f, a->dattended + at, ldq, v, ldk, 0.0f, ds, T);
            for (int i = 0; i < rows; i++)
                simd.softmax_back(ds + (size_t)i * T, tile + (size_t)i * T, ds + (size_t)i * T,
                                  keys);
            gemm(false, false, rows, size, keys, scale, ds, T, k, ldk, 0.0f, a->dq + at, ldq);
            gemm(true, false, keys, size, rows, scale, ds, T, l->q + at, ldq, 1.0f, dk, ldk);
            gemm(true, false, keys, size, rows, 1.0f, tile, T, a->dattended + at, ldq, 1.0f, dv,
                 ldk);
        }
        rotate(m, a->dq + at_q, ldq, m->negative_sine);
    }
    rotate(m, dk, ldk, m->negative_sine);
    return 0;
}

int train_attention_forward(struct train_model *model, struct train_layer *layer)
{
    struct attention a = {.model = model, .layer = layer};
    return pool_run(forward_task, &a, model->sequences * model->config.kv_heads);
}

int train_attention_backward(struct train_model *model, const struct train_layer *layer,
                             const float *dattended, float *dq, float *dk, float *dv)
{
    struct attention a = {
        .model = model, .layer = layer, .dattended = dattended, .dq = dq, .dk = dk, .dv = dv};
    return pool_run(backward_task, &a, model->sequences * model->config.kv_heads);
}
