/* The weights are packed into panels first. Then a block is two chains of steps with attention
 * between them: a tile of rows goes through a whole chain on one thread, while its data is in the
 * cache; where a linear layer has its own `apply`, which wants all rows, the chain is cut. */
#include "model/transformer.h"

#include "core/pool.h"
#include "linalg/panel.h"
#include "linalg/simd.h"
#include "model/attention.h"
#include "model/workspace.h"

#include <string.h>

enum { TILE_ROWS = 128 };

enum { Q, K, V, O, MLP }; /* of block.linears; the last one is DOWN, whatever its number */

enum step { BEGIN_NORM, QKV, ROPE, OUT, MLP_NORM, MLP_IN, ACTIVATE, DOWN, END_NORM, STEPS };
/* first and last steps */
static const enum step FIRST_CHAIN[] = {BEGIN_NORM, ROPE}, SECOND_CHAIN[] = {OUT, END_NORM},
                       TAPPED_CHAIN[] = {OUT, ACTIVATE}; /* up to the last input of a layer */

/* linears[first_linear(step)] up to linears[first_linear(step + 1) - 1] belong to a step. */
static int first_linear(const struct block *block, enum step step)
{
    const int last = block->linear_count - 1;
    const int first[STEPS + 1] = {Q, Q, O, O, MLP, MLP, last, last, last + 1, last + 1};
    return first[step];
}

struct pass {
    const struct model *model;
    const struct block *block;
    const struct batch *batch;
    struct attention_shape shape;
    int rows;
    bool whole; /* the next four hold all rows; else one tile for each thread */
    float *attention_input, *mlp_input; /* width each */
    float *gate, *up;                   /* hidden each; gate becomes what feeds the last layer */
    float *x;                           /* rows x width */
    float *q, *k, *v; /* rows x heads (kv_heads) head_size; attention's result takes q's place */
    float *applied;   /* rows x width: what an o or down layer of its own gave; or NULL */
    float *packed[MODEL_MAX_LINEARS]; /* the weights as panels; NULL with an apply */
    float *attention;                 /* its working memory */
    unsigned steps;                   /* what the present pool_run does, as bits */
};

/* A tile of the pass: where its rows lie in each matrix. */
struct tile {
    int first, rows;
    float *x, *q, *k, *v, *attention_input, *mlp_input, *gate, *up;
};

static struct tile tile_at(const struct pass *p, int index, int worker)
{
    const struct model_config *c = &p->model->config;
    struct tile t = {.first = index * TILE_ROWS};
    size_t first = (size_t)t.first, own = p->whole ? first : (size_t)worker * TILE_ROWS;
    size_t width = (size_t)c->width, hidden = (size_t)c->hidden;
    t.rows = p->rows - t.first < TILE_ROWS ? p->rows - t.first : TILE_ROWS;
    t.x = p->x + first * width;
    t.q = p->q + first * (size_t)p->shape.q_stride;
    t.k = p->k + first * (size_t)p->shape.k_stride;
    t.v = p->v + first * (size_t)p->shape.v_stride;
    t.attention_input = p->attention_input + own * width;
    t.mlp_input = p->mlp_input + own * width;
    t.gate = p->gate + own * hidden;
    t.up = p->up + own * hidden;
    return t;
}

static void block_norm(const struct pass *p, int which, const float *x, int rows, float *y)
{
    const float *const *vectors = p->block->vectors;
    transformer_norm(&p->model->config, vectors[which],
                     vectors[which == NORM_MLP ? NORM_MLP_BIAS : NORM_ATTENTION_BIAS], x, rows, y);
}

/* y (rows x out) = x W^T + b, or y + x W^T + b with `add`, unless the layer has an apply of its
 * own. */
static void multiply(const struct pass *p, int index, const float *x, int rows, bool add, float *y)
{
    const struct linear *linear = &p->block->linears[index];
    if (linear->apply)
        return;
    panel_product(x, linear->in, rows, p->packed[index], linear->out, linear->in, add, y,
                  linear->out);
    for (int r = 0; linear->bias && r < rows; r++)
        simd.axpy(y + (size_t)r * (size_t)linear->out, 1.0f, linear->bias, linear->out);
}

static int panels_of(const struct linear *linear)
{
    return linear->apply ? 0 : (linear->out + PANEL - 1) / PANEL;
}

static int sequence_of(const struct batch *batch, int row)
{
    int low = 0, high = batch->count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (batch->offsets[middle] <= row)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static void rotate_tile(const struct pass *p, const struct tile *t)
{
    const struct workspace *tables = p->model->workspace;
    int size = p->shape.head_size, sequence = sequence_of(p->batch, t->first);
    int trunk = batch_trunk(p->batch, sequence);
    for (int r = 0; r < t->rows; r++) {
        while (t->first + r >= p->batch->offsets[sequence + 1])
            trunk = batch_trunk(p->batch, ++sequence);
        size_t position = (size_t)batch_position(p->batch, sequence, trunk, t->first + r);
        const float *cosine = tables->cosine + position * (size_t)(size / 2);
        const float *sine = tables->sine + position * (size_t)(size / 2);
        for (int h = 0; h < p->shape.heads; h++)
            simd.rope(t->q + (size_t)r * (size_t)p->shape.q_stride + (size_t)(h * size), cosine,
                      sine, size);
        for (int h = 0; h < p->shape.kv_heads; h++)
            simd.rope(t->k + (size_t)r * (size_t)p->shape.k_stride + (size_t)(h * size), cosine,
                      sine, size);
    }
}

static void activate(const struct model_config *c, const struct tile *t)
{
    for (int r = 0; r < t->rows; r++) {
        size_t at = (size_t)r * (size_t)c->hidden;
        if (c->relu)
            simd.relu(t->gate + at, t->gate + at, c->hidden);
        else
            simd.silu_mul(t->gate + at, t->gate + at, t->up + at, c->hidden);
    }
}

/* With norms behind the branches, x itself feeds a branch, and is normed when the branch has been
 * added. */
static void do_step(const struct pass *p, const struct tile *t, enum step step)
{
    const struct model_config *c = &p->model->config;
    const size_t bytes = (size_t)t->rows * (size_t)c->width * sizeof *t->x;
    switch (step) {
    case BEGIN_NORM:
        if (c->norm_after)
            memcpy(t->attention_input, t->x, bytes);
        else
            block_norm(p, NORM_ATTENTION, t->x, t->rows, t->attention_input);
        break;
    case QKV:
        multiply(p, Q, t->attention_input, t->rows, false, t->q);
        multiply(p, K, t->attention_input, t->rows, false, t->k);
        multiply(p, V, t->attention_input, t->rows, false, t->v);
        break;
    case ROPE:
        if (!c->learned_positions)
            rotate_tile(p, t);
        break;
    case OUT: multiply(p, O, t->q, t->rows, true, t->x); break;
    case MLP_NORM:
        block_norm(p, c->norm_after ? NORM_ATTENTION : NORM_MLP, t->x, t->rows, t->mlp_input);
        if (c->norm_after)
            memcpy(t->x, t->mlp_input, bytes);
        break;
    case MLP_IN:
        multiply(p, MLP, t->mlp_input, t->rows, false, t->gate);
        if (!c->relu)
            multiply(p, MLP + 1, t->mlp_input, t->rows, false, t->up);
        break;
    case ACTIVATE: activate(c, t); break;
    case DOWN: multiply(p, p->block->linear_count - 1, t->gate, t->rows, true, t->x); break;
    case END_NORM:
        if (c->norm_after)
            block_norm(p, NORM_MLP, t->x, t->rows, t->x);
        break;
    case STEPS: break;
    }
}

/* Packs one panel of one weight; index counts the panels of all. */
static int pack_weight(void *context, int index, int worker)
{
    const struct pass *p = context;
    const struct linear *linear = p->block->linears;
    float *const *packed = p->packed;
    for (; index >= panels_of(linear); linear++, packed++)
        index -= panels_of(linear);
    int first = index * PANEL, columns = linear->out - first < PANEL ? linear->out - first : PANEL;
    panel_pack_transposed(linear->weight + (size_t)first * (size_t)linear->in, linear->in, columns,
                          linear->in, *packed + (size_t)first * (size_t)linear->in);
    return 0;
}

static int pack_weights(struct pass *p)
{
    int panels = 0;
    for (int i = 0; i < p->block->linear_count; i++)
        panels += panels_of(&p->block->linears[i]);
    return pool_run(pack_weight, p, panels);
}

static int run_tile(void *context, int index, int worker)
{
    const struct pass *p = context;
    struct tile tile = tile_at(p, index, worker);
    for (enum step step = BEGIN_NORM; step < STEPS; step++) {
        if (p->steps >> step & 1)
            do_step(p, &tile, step);
    }
    return 0;
}

/* The linear layers of a step that have their own apply, on all rows. */
static int apply_own(const struct pass *p, enum step step)
{
    const float *const inputs[] = {p->attention_input, p->q, p->mlp_input, p->gate};
    float *const outputs[] = {p->q, p->k, p->v, NULL, p->gate, p->up};
    const bool residual = step == OUT || step == DOWN;
    for (int i = first_linear(p->block, step); i < first_linear(p->block, step + 1); i++) {
        const struct linear *linear = &p->block->linears[i];
        float *y = residual ? p->applied : outputs[i];
        if (!linear->apply)
            continue;
        int rc = linear->apply(linear, inputs[linear->input], p->rows, y);
        if (rc)
            return rc;
        for (int r = 0; linear->bias && r < p->rows; r++)
            simd.axpy(y + (size_t)r * (size_t)linear->out, 1.0f, linear->bias, linear->out);
        for (int r = 0; residual && r < p->rows; r++)
            simd.axpy(p->x + (size_t)r * (size_t)linear->out, 1.0f,
                      p->applied + (size_t)r * (size_t)linear->out, linear->out);
    }
    return 0;
}

static bool has_apply(const struct block *block, int first, int end)
{
    for (int i = first; i < end; i++) {
        if (block->linears[i].apply)
            return true;
    }
    return false;
}

static int run_chain(struct pass *p, const enum step chain[2])
{
    p->steps = 0;
    for (enum step step = chain[0]; step <= chain[1]; step++) {
        bool own = has_apply(p->block, first_linear(p->block, step),
                             first_linear(p->block, step + 1));
        p->steps |= 1u << step;
        if (!own && step < chain[1])
            continue;
        int rc = pool_run(run_tile, p, (p->rows + TILE_ROWS - 1) / TILE_ROWS);
        if (rc == 0 && own)
            rc = apply_own(p, step);
        if (rc)
            return rc;
        p->steps = 0;
    }
    return 0;
}

/* Hands out part of the memory; with no memory yet, only counts. */
struct layout {
    float *start;
    size_t used;
};

static float *take(struct layout *layout, size_t rows, int columns)
{
    float *place = layout->start ? layout->start + layout->used : NULL;
    layout->used += workspace_round(rows * (size_t)columns);
    return place;
}

/* Lays the matrices out from `start`, which may be NULL; returns how many floats they take. */
static size_t lay_out(struct pass *p, float *start, bool applied)
{
    const struct model_config *c = &p->model->config;
    struct layout at = {start, 0};
    size_t rows = (size_t)p->rows, threads = (size_t)pool_threads(),
           tile_rows = p->whole ? rows : threads * TILE_ROWS;
    p->q = take(&at, rows, p->shape.q_stride);
    p->k = take(&at, rows, p->shape.k_stride);
    p->v = take(&at, rows, p->shape.v_stride);
    p->attention_input = take(&at, tile_rows, c->width);
    p->mlp_input = take(&at, tile_rows, c->width);
    p->gate = take(&at, tile_rows, c->hidden);
    p->up = c->relu ? NULL : take(&at, tile_rows, c->hidden);
    p->attention = take(&at, attention_floats(&p->shape, p->batch), 1);
    for (int i = 0; i < p->block->linear_count; i++)
        p->packed[i] =
            p->block->linears[i].apply
                ? NULL
                : take(&at, panel_floats(p->block->linears[i].out, p->block->linears[i].in), 1);
    p->applied = applied ? take(&at, rows, c->width) : NULL;
    return at.used;
}

static int longest_sequence(const struct batch *batch)
{
    int longest = 0;
    for (int s = 0; s < batch->count; s++) {
        int length = batch->offsets[s + 1] - batch->offsets[s];
        longest = length > longest ? length : longest;
    }
    return longest;
}

static int prepare(struct pass *p, bool tapped)
{
    const struct model_config *c = &p->model->config;
    bool applied = has_apply(p->block, 0, p->block->linear_count);
    p->rows = p->batch->offsets[p->batch->count];
    p->whole = tapped || applied;
    p->shape = (struct attention_shape){c->heads,
                                        c->kv_heads,
                                        c->head_size,
                                        c->heads * c->head_size,
                                        c->kv_heads * c->head_size,
                                        c->kv_heads * c->head_size,
                                        p->block->window};
    float *start = NULL;
    int rc = c->learned_positions
                 ? 0
                 : workspace_rope(p->model->workspace, c, longest_sequence(p->batch));
    if (rc == 0)
        rc = workspace_floats(p->model->workspace, lay_out(p, NULL, applied), &start);
    if (rc == 0)
        lay_out(p, start, applied);
    return rc;
}

static int call_tap(const struct pass *p, block_tap *tap, void *context, int first, int last)
{
    const float *const inputs[] = {p->attention_input, p->q, p->mlp_input, p->gate};
    const int widths[] = {p->model->config.width, p->shape.q_stride, p->model->config.width,
                          p->model->config.hidden};
    int rc = 0;
    for (int i = first; tap && rc == 0 && i <= last; i++)
        rc = tap(context, i, inputs[i], p->rows, widths[i]);
    return rc;
}

/* From here on only the rows that come out: they move together, in x and in attention's result. */
static void keep_wanted(struct pass *p)
{
    const size_t width = (size_t)p->model->config.width, inner = (size_t)p->shape.q_stride;
    size_t kept = 0;
    for (size_t r = 0; r < (size_t)p->rows; r++) {
        if (p->batch->targets[r] < 0)
            continue;
        memmove(p->x + kept * width, p->x + r * width, width * sizeof *p->x);
        memmove(p->q + kept * inner, p->q + r * inner, inner * sizeof *p->q);
        kept++;
    }
    p->rows = (int)kept;
}

/* Each to its own place again. */
static void spread_wanted(const struct pass *p)
{
    const size_t width = (size_t)p->model->config.width;
    size_t kept = (size_t)p->rows;
    for (size_t r = (size_t)p->batch->offsets[p->batch->count]; r-- > 0 && kept > 0;)
        if (p->batch->targets[r] >= 0)
            memmove(p->x + r * width, p->x + --kept * width, width * sizeof *p->x);
}

int transformer_block_forward(const struct model *model, const struct block *block,
                              const struct batch *batch, float *x, block_tap *tap,
                              void *tap_context)
{
    struct pass p = {.model = model, .block = block, .batch = batch, .x = x};
    int rc = prepare(&p, tap != NULL);
    if (rc == 0)
        rc = pack_weights(&p);
    if (rc == 0)
        rc = run_chain(&p, FIRST_CHAIN);
    if (rc == 0)
        rc = call_tap(&p, tap, tap_context, 0, 0);
    if (rc == 0)
        rc = attention_causal(&p.shape, batch, p.q, p.k, p.v, p.attention);
    if (rc == 0)
        rc = call_tap(&p, tap, tap_context, 1, 1);
    if (rc == 0 && batch->targets)
        keep_wanted(&p);
    if (rc == 0)
        rc = run_chain(&p, tap ? TAPPED_CHAIN : SECOND_CHAIN);
    if (rc == 0 && batch->targets)
        spread_wanted(&p);
    return rc ? rc : call_tap(&p, tap, tap_context, 2, 3);
}
