/* Forward and backward passes of the trainer. Between the linear operators, elementwise work goes
 * to the pool in tiles of rows; each such stage is one function below that sees rows first .. first
 * + count - 1. */
#include "core/err.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "linalg/simd.h"
#include "model/train_layers.h"

#include <math.h>
#include <string.h>

struct stage;
typedef void stage_rows(const struct stage *stage, int first, int count);

/* One elementwise stage: which function, and what it works on. */
struct stage {
    stage_rows *run;
    struct train_model *model;
    struct train_layer *layer;
    const int32_t *tokens, *targets;
    const float *base, *in, *weight;
    float *out, *normed;
    float loss_scale;
    int logit_row; /* the row that model->logits begins with */
    int place; /* of dropout: 0 for the embedding, 1 + 2 layer and 2 + 2 layer for the branches */
    int rows;
    bool dropout;
};

static int stage_task(void *context, long first, long end, int worker)
{
    const struct stage *s = context;
    s->run(s, (int)first, (int)(end - first));
    return 0;
}

static int run_stage(struct stage s)
{
    return pool_run_rows(stage_task, &s, s.rows ? s.rows : s.model->rows, TRAIN_TILE);
}

/* The key of a row block's mask: the step's key, stirred with the place. */
static uint32_t mask_key(const struct stage *s)
{
    uint64_t h = (s->model->dropout_key + (uint64_t)s->place) * 0x9e3779b97f4a7c15u;
    return (uint32_t)((h ^ (h >> 29)) * 0xbf58476d1ce4e5b9u >> 32);
}

/* out = base + what dropout leaves of in; base NULL: 0. out may be in only without dropout. */
static void add_dropped(const struct stage *s, int row, const float *base, const float *in,
                        float *out)
{
    int width = s->model->config.width;
    if (!base) {
        memset(out, 0, (size_t)width * sizeof(float));
        base = out;
    }
    if (s->dropout) {
        uint32_t keep = (uint32_t)((1.0 - s->model->dropout) * 65536.0),
                 place = (uint32_t)row * (uint32_t)width;
        simd.dropout_add(out, base, in, mask_key(s), place, keep, width);
        return;
    }
    if (base != out)
        memcpy(out, base, (size_t)width * sizeof(float));
    simd.axpy(out, 1.0f, in, width);
}

static void embed_rows(const struct stage *s, int first, int count)
{
    const struct train_model *m = s->model;
    int width = m->config.width;
    for (int r = first; r < first + count; r++)
        add_dropped(s, r, NULL, m->weights + m->embedding_at + (size_t)s->tokens[r] * width,
                    s->out + (size_t)r * width);
}

/* out = base + in, and its norm beside it; base NULL: out is there already. */
static void add_norm_rows(const struct stage *s, int first, int count)
{
    int width = s->model->config.width;
    for (int r = first; r < first + count; r++) {
        size_t at = (size_t)r * width;
        if (s->base)
            add_dropped(s, r, s->base + at, s->in + at, s->out + at);
        simd.rmsnorm(s->normed + at, s->out + at, s->weight, (float)s->model->config.norm_epsilon,
                     width);
    }
}

static void drop_rows(const struct stage *s, int first, int count)
{
    int width = s->model->config.width;
    for (int r = first; r < first + count; r++)
        add_dropped(s, r, NULL, s->in + (size_t)r * width, s->out + (size_t)r * width);
}

static void swiglu_rows(const struct stage *s, int first, int count)
{
    int hidden = s->model->config.hidden;
    size_t at = (size_t)first * hidden;
    simd.silu_mul(s->layer->active + at, s->layer->gate + at, s->layer->up + at, count * hidden);
}

static void swiglu_backward_rows(const struct stage *s, int first, int count)
{
    struct train_model *m = s->model;
    int hidden = m->config.hidden;
    size_t at = (size_t)first * hidden;
    simd.silu_mul_back(m->dwide[0] + at, m->dwide[1] + at, s->layer->gate + at, s->layer->up + at,
                       m->dwide[2] + at, count * hidden);
}

/* dx += backward of the norm; the weight's gradient of this tile goes to its own part. */
static void norm_backward_rows(const struct stage *s, int first, int count)
{
    int width = s->model->config.width;
    float *part = s->model->norm_parts + (size_t)(first / TRAIN_TILE) * width;
    memset(part, 0, (size_t)width * sizeof(float));
    for (int r = first; r < first + count; r++) {
        size_t at = (size_t)r * width;
        simd.rmsnorm_back(s->out + at, part, s->base + at, s->weight, s->in + at,
                          (float)s->model->config.norm_epsilon, width);
    }
}

/* Returns -log softmax(logits)[target]; logits become (softmax - onehot) * scale. */
static float cross_entropy(float *logits, int n, int target, float scale)
{
    float top = simd.max(logits, n), aim = logits[target] - top;
    float total = simd.exp_sum(logits, logits, top, n);
    simd.scale(logits, scale / total, logits, n);
    logits[target] -= scale;
    return logf(total) - aim;
}

static void loss_rows(const struct stage *s, int first, int count)
{
    struct train_model *m = s->model;
    int vocabulary = m->config.vocabulary;
    for (int i = first; i < first + count; i++) {
        int row = s->logit_row + i;
        float *logits = m->logits + (size_t)i * vocabulary;
        m->row_loss[row] = 0.0f;
        if (s->targets[row] >= 0)
            m->row_loss[row] = cross_entropy(logits, vocabulary, s->targets[row], s->loss_scale);
        else
            memset(logits, 0, (size_t)vocabulary * sizeof(float));
    }
}

static int apply(struct train_model *m, struct train_layer *l, int which, const float *x, float *y)
{
    return m->operator.forward(m->operator.state, &l->linears[which], x, m->rows, y);
}

static int undo(struct train_model *m, struct train_layer *l, int which, const float *x,
                const float *dy, float beta, float *dx)
{
    return m->operator.backward(m->operator.state, &l->linears[which], x, dy, m->rows, beta, dx);
}

/* Layer i from layers[i].x (its norm already taken) to the next x and its norm. */
static int layer_forward(struct train_model *m, int i, bool dropout)
{
    struct train_layer *l = &m->layers[i];
    bool last = i + 1 == m->config.layers;
    struct train_layer *next = last ? NULL : &m->layers[i + 1];
    float *branch = m->dbranch;
    int rc = 0;
    TRY(apply(m, l, TRAIN_Q, l->normed1, l->q));
    TRY(apply(m, l, TRAIN_K, l->normed1, l->k));
    TRY(apply(m, l, TRAIN_V, l->normed1, l->v));
    TRY(train_attention_forward(m, l));
    TRY(apply(m, l, TRAIN_O, l->attended, branch));
    TRY(run_stage((struct stage){.run = add_norm_rows,
                                 .model = m,
                                 .base = l->x,
                                 .in = branch,
                                 .out = l->middle,
                                 .weight = m->weights + l->norm2_at,
                                 .normed = l->normed2,
                                 .dropout = dropout,
                                 .place = 1 + 2 * i}));
    TRY(apply(m, l, TRAIN_GATE, l->normed2, l->gate));
    TRY(apply(m, l, TRAIN_UP, l->normed2, l->up));
    TRY(run_stage((struct stage){.run = swiglu_rows, .model = m, .layer = l}));
    TRY(apply(m, l, TRAIN_DOWN, l->active, branch));
    TRY(run_stage((struct stage){.run = add_norm_rows,
                                 .model = m,
                                 .base = l->middle,
                                 .in = branch,
                                 .out = last ? m->x : next->x,
                                 .weight = m->weights + (last ? m->final_norm_at : next->norm1_at),
                                 .normed = last ? m->normed : next->normed1,
                                 .dropout = dropout,
                                 .place = 2 + 2 * i}));
out:
    return rc;
}

/* m->dx += backward of y = w x / rms at x given m->dnormed; the weight's gradient is added up tile
 * by tile. */
static int norm_backward(struct train_model *m, const float *x, size_t weight_at)
{
    int width = m->config.width, tiles = (m->rows + TRAIN_TILE - 1) / TRAIN_TILE;
    int rc = run_stage((struct stage){.run = norm_backward_rows,
                                      .model = m,
                                      .base = x,
                                      .in = m->dnormed,
                                      .weight = m->weights + weight_at,
                                      .out = m->dx});
    for (int t = 0; rc == 0 && t < tiles; t++)
        simd.axpy(m->gradients + weight_at, 1.0f, m->norm_parts + (size_t)t * width, width);
    return rc;
}

/* From the gradient of the layer's output in m->dx to that of its input, in place. */
static int layer_backward(struct train_model *m, int i, bool dropout)
{
    struct train_layer *l = &m->layers[i];
    const struct model_config *c = &m->config;
    float *dbranch = dropout ? m->dbranch : m->dx;
    float *dq = m->dwide[0], *dk = m->dwide[1],
          *dv = m->dwide[1] + (size_t)m->rows * c->kv_heads * c->head_size;
    int rc = 0;
    if (dropout)
        TRY(run_stage((struct stage){.run = drop_rows,
                                     .model = m,
                                     .in = m->dx,
                                     .out = dbranch,
                                     .dropout = true,
                                     .place = 2 + 2 * i}));
    TRY(undo(m, l, TRAIN_DOWN, l->active, dbranch, 0.0f, m->dwide[2]));
    TRY(run_stage((struct stage){.run = swiglu_backward_rows, .model = m, .layer = l}));
    TRY(undo(m, l, TRAIN_UP, l->normed2, m->dwide[1], 0.0f, m->dnormed));
    TRY(undo(m, l, TRAIN_GATE, l->normed2, m->dwide[0], 1.0f, m->dnormed));
    TRY(norm_backward(m, l->middle, l->norm2_at));
    if (dropout)
        TRY(run_stage((struct stage){.run = drop_rows,
                                     .model = m,
                                     .in = m->dx,
                                     .out = dbranch,
                                     .dropout = true,
                                     .place = 1 + 2 * i}));
    TRY(undo(m, l, TRAIN_O, l->attended, dbranch, 0.0f, m->dwide[2]));
    TRY(train_attention_backward(m, l, m->dwide[2], dq, dk, dv));
    TRY(undo(m, l, TRAIN_V, l->normed1, dv, 0.0f, m->dnormed));
    TRY(undo(m, l, TRAIN_K, l->normed1, dk, 1.0f, m->dnormed));
    TRY(undo(m, l, TRAIN_Q, l->normed1, dq, 1.0f, m->dnormed));
    TRY(norm_backward(m, l->x, l->norm1_at));
out:
    return rc;
}

/* Losses of all rows, a chunk of logits at a time; with backward also m->dnormed and the head's
 * gradient. */
static int head_pass(struct train_model *m, const int32_t *targets, float scale, bool backward)
{
    int width = m->config.width, vocabulary = m->config.vocabulary, rc = 0;
    const float *head = m->weights + m->head_at;
    for (int row = 0; row < m->rows; row += TRAIN_LOGIT_ROWS) {
        int rows = m->rows - row < TRAIN_LOGIT_ROWS ? m->rows - row : TRAIN_LOGIT_ROWS;
        const float *x = m->normed + (size_t)row * width;
        TRY(matmul_nt(x, head, rows, vocabulary, width, 0.0f, m->logits));
        TRY(run_stage((struct stage){.run = loss_rows,
                                     .model = m,
                                     .targets = targets,
                                     .loss_scale = scale,
                                     .logit_row = row,
                                     .rows = rows}));
        if (!backward)
            continue;
        TRY(matmul_nn(m->logits, head, rows, vocabulary, width, 0.0f,
                      m->dnormed + (size_t)row * width));
        TRY(matmul_tn(m->logits, x, rows, vocabulary, width, 1.0f, m->gradients + m->head_at));
    }
out:
    return rc;
}

static int backward_pass(struct train_model *m, const int32_t *tokens, bool dropout)
{
    int width = m->config.width, rc = 0;
    float *dembedded = m->dx;
    memset(m->dx, 0, (size_t)m->rows * width * sizeof(float));
    TRY(norm_backward(m, m->x, m->final_norm_at));
    for (int i = m->config.layers - 1; i >= 0; i--)
        TRY(layer_backward(m, i, dropout));
    if (dropout) {
        dembedded = m->dbranch;
        TRY(run_stage((struct stage){
            .run = drop_rows, .model = m, .in = m->dx, .out = dembedded, .dropout = true}));
    }
    /* one thread: rows of different tiles may hold the same token */
    for (int r = 0; r < m->rows; r++)
        simd.axpy(m->gradients + m->embedding_at + (size_t)tokens[r] * width, 1.0f,
                  dembedded + (size_t)r * width, width);
out:
    return rc;
}

int train_check_batch(const struct train_model *m, const int32_t *tokens, const int32_t *targets,
                      int *counted)
{
    *counted = 0;
    for (int r = 0; r < m->rows; r++) {
        if (tokens[r] < 0 || tokens[r] >= m->config.vocabulary || targets[r] < -1 ||
            targets[r] >= m->config.vocabulary)
            return err_set(
                ERR_FORMAT,
                "training batch: row %d has token %d and target %d, but the vocabulary has %d", r,
                (int)tokens[r], (int)targets[r], m->config.vocabulary);
        *counted += targets[r] >= 0;
    }
    return 0;
}

int train_model_pass(struct train_model *m, const int32_t *tokens, const int32_t *targets,
                     bool backward, double divisor, double *sum)
{
    bool dropout = backward && m->dropout > 0.0;
    struct train_layer *l = &m->layers[0];
    int rc = 0;
    TRY(run_stage((struct stage){
        .run = embed_rows, .model = m, .tokens = tokens, .out = l->x, .dropout = dropout}));
    TRY(run_stage((struct stage){.run = add_norm_rows,
                                 .model = m,
                                 .out = l->x,
                                 .weight = m->weights + l->norm1_at,
                                 .normed = l->normed1}));
    for (int i = 0; i < m->config.layers; i++)
        TRY(layer_forward(m, i, dropout));
    TRY(head_pass(m, targets, (float)(1.0 / divisor), backward));
    *sum = 0.0;
    for (int r = 0; r < m->rows; r++)
        *sum += (double)m->row_loss[r];
    if (backward)
        TRY(backward_pass(m, tokens, dropout));
out:
    return rc;
}

int train_model_loss(struct train_model *m, const int32_t *tokens, const int32_t *targets,
                     bool backward, double *loss)
{
    int counted, rc = train_check_batch(m, tokens, targets, &counted);
    double sum;
    if (rc)
        return rc;
    if (counted == 0)
        return err_set(ERR_USAGE, "training batch: no row has a target");
    rc = train_model_pass(m, tokens, targets, backward, counted, &sum);
    if (rc == 0)
        *loss = sum / counted;
    return rc;
}
