/* The trainer's parameters and buffers: table of tensors, first weights, saved activations. */
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "model/llama.h"
#include "model/train_layers.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const linear_names[TRAIN_LINEARS] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};

static int check_shape(const struct model_config *c, int sequences, int context)
{
    if (c->layers < 1 || c->width < 1 || c->hidden < 1 || c->heads < 1 || c->kv_heads < 1 ||
        c->head_size < 1 || c->vocabulary < 2 || sequences < 1 || context < 2)
        return err_set(ERR_USAGE, "model shape: layers, width, hidden, heads, kv_heads, head_size, "
                                  "vocabulary, sequences and "
                                  "context must be positive");
    if (c->heads % c->kv_heads)
        return err_set(ERR_USAGE, "model shape: %d heads cannot share %d key-value heads evenly",
                       c->heads, c->kv_heads);
    if (c->head_size % 2)
        return err_set(ERR_USAGE,
                       "model shape: head_size %d must be even, since positions rotate pairs",
                       c->head_size);
    if (c->layer_norm || c->relu || c->norm_after || c->learned_positions || c->biases ||
        c->window || c->rope.kind != ROPE_PLAIN)
        return err_set(ERR_USAGE,
                       "model shape: only the plain LLaMA architecture can be trained: no biases, "
                       "no sliding window, no scaling of the rotary positions, not '%s'",
                       c->architecture);
    if ((double)sequences * context > 1 << 24 || (double)c->vocabulary * c->width > 1 << 30 ||
        (double)c->hidden * c->width > 1 << 30 || c->layers > 1024)
        return err_set(ERR_USAGE,
                       "model shape: too large to be trained here (vocabulary %d, width %d, hidden "
                       "%d, %d layers, "
                       "%d x %d tokens)",
                       c->vocabulary, c->width, c->hidden, c->layers, sequences, context);
    return 0;
}

static void linear_shape(const struct model_config *c, int which, int *out, int *in)
{
    int q = c->heads * c->head_size, kv = c->kv_heads * c->head_size;
    const int outs[TRAIN_LINEARS] = {q, kv, kv, c->width, c->hidden, c->hidden, c->width};
    const int ins[TRAIN_LINEARS] = {c->width, c->width, c->width, q, c->width, c->width, c->hidden};
    *out = outs[which];
    *in = ins[which];
}

/* Appends a tensor; returns where it lies. */
static size_t add_tensor(struct train_model *m, int rows, int columns, bool extra)
{
    struct train_tensor *t = &m->tensors[m->tensor_count++];
    t->offset = m->parameters;
    t->rows = rows;
    t->columns = columns;
    t->decays = rows > 0;
    t->extra = extra;
    m->parameters += (size_t)(rows ? rows : 1) * (size_t)columns;
    m->parameters = (m->parameters + 15) / 16 * 16; /* tensors start on cache lines; the gaps stay 0
                                                     */
    return t->offset;
}

static char *last_name(struct train_model *m)
{
    return m->tensors[m->tensor_count - 1].name;
}

static void layout_layer(struct train_model *m, int layer)
{
    const struct model_config *c = &m->config;
    struct train_layer *l = &m->layers[layer];
    l->norm1_at = add_tensor(m, 0, c->width, false);
    snprintf(last_name(m), TRAIN_NAME_SIZE, "model.layers.%d.input_layernorm.weight", layer);
    l->norm2_at = add_tensor(m, 0, c->width, false);
    snprintf(last_name(m), TRAIN_NAME_SIZE, "model.layers.%d.post_attention_layernorm.weight",
             layer);
    for (int w = 0; w < TRAIN_LINEARS; w++) {
        struct train_linear *linear = &l->linears[w];
        linear->layer = layer;
        linear->index = layer * TRAIN_LINEARS + w;
        linear_shape(c, w, &linear->out, &linear->in);
        l->linear_at[w] = add_tensor(m, linear->out, linear->in, false);
        snprintf(last_name(m), TRAIN_NAME_SIZE, "model.layers.%d.%s.weight", layer,
                 linear_names[w]);
        l->extra_count[w] = m->operator.extra_count
                                ? m->operator.extra_count(m->operator.state, linear)
                                : 0;
        if (l->extra_count[w] == 0)
            continue;
        l->extra_at[w] = add_tensor(m, 0, (int)l->extra_count[w], true);
        snprintf(last_name(m), TRAIN_NAME_SIZE, "model.layers.%d.%s.extra", layer, linear_names[w]);
    }
}

/* Fills model->tensors and the places of the weights. */
static int train_layout(struct train_model *m)
{
    const struct model_config *c = &m->config;
    int rc = 0;
    TRY(mem_calloc(&m->tensors, 3 + (size_t)c->layers * (2 + 2 * TRAIN_LINEARS),
                   sizeof *m->tensors));
    TRY(mem_calloc(&m->layers, (size_t)c->layers, sizeof *m->layers));
    m->embedding_at = add_tensor(m, c->vocabulary, c->width, false);
    snprintf(last_name(m), TRAIN_NAME_SIZE, "model.embed_tokens.weight");
    for (int layer = 0; layer < c->layers; layer++)
        layout_layer(m, layer);
    m->final_norm_at = add_tensor(m, 0, c->width, false);
    snprintf(last_name(m), TRAIN_NAME_SIZE, "model.norm.weight");
    m->head_at = m->embedding_at;
    if (!c->tied_head) {
        m->head_at = add_tensor(m, c->vocabulary, c->width, false);
        snprintf(last_name(m), TRAIN_NAME_SIZE, "lm_head.weight");
    }
out:
    return rc;
}

static void fill_normal(struct rng *rng, float *w, size_t n, double deviation)
{
    for (size_t i = 0; i < n; i++)
        w[i] = (float)(rng_normal(rng) * deviation);
}

static void first_weights(struct train_model *m, uint64_t seed)
{
    const struct model_config *c = &m->config;
    struct rng rng;
    rng_seed(&rng, seed);
    fill_normal(&rng, m->weights + m->embedding_at, (size_t)c->vocabulary * c->width, 0.02);
    if (!c->tied_head)
        fill_normal(&rng, m->weights + m->head_at, (size_t)c->vocabulary * c->width, 0.02);
    for (int i = 0; i < c->width; i++)
        m->weights[m->final_norm_at + i] = 1.0f;
    for (int layer = 0; layer < c->layers; layer++) {
        struct train_layer *l = &m->layers[layer];
        for (int i = 0; i < c->width; i++)
            m->weights[l->norm1_at + i] = m->weights[l->norm2_at + i] = 1.0f;
        for (int w = 0; w < TRAIN_LINEARS; w++) {
            struct train_linear *linear = &l->linears[w];
            double deviation = 1.0 / sqrt(3.0 * linear->in);
            if (w == TRAIN_O || w == TRAIN_DOWN)
                deviation /= sqrt(2.0 * c->layers);
            fill_normal(&rng, m->weights + l->linear_at[w], (size_t)linear->out * linear->in,
                        deviation);
            if (l->extra_count[w] && m->operator.extra_init)
                m->operator.extra_init(m->operator.state, linear, m->weights + l->extra_at[w]);
        }
    }
}

static void bind_linears(struct train_model *m)
{
    for (int i = 0; i < m->config.layers * TRAIN_LINEARS; i++) {
        struct train_layer *l = &m->layers[i / TRAIN_LINEARS];
        int w = i % TRAIN_LINEARS;
        struct train_linear *linear = &l->linears[w];
        linear->weight = m->weights + l->linear_at[w];
        linear->gradient = m->gradients + l->linear_at[w];
        linear->extra = l->extra_count[w] ? m->weights + l->extra_at[w] : NULL;
        linear->extra_gradient = l->extra_count[w] ? m->gradients + l->extra_at[w] : NULL;
    }
}

static int layer_buffers(const struct train_model *m, struct train_layer *l)
{
    const struct model_config *c = &m->config;
    size_t rows = (size_t)m->rows, q = (size_t)c->heads * c->head_size,
           kv = (size_t)c->kv_heads * c->head_size;
    size_t width = (size_t)c->width, hidden = (size_t)c->hidden, real = sizeof(float);
    int rc = 0;
    TRY(mem_calloc(&l->x, rows * width, real));
    TRY(mem_calloc(&l->normed1, rows * width, real));
    TRY(mem_calloc(&l->q, rows * q, real));
    TRY(mem_calloc(&l->k, rows * kv, real));
    TRY(mem_calloc(&l->v, rows * kv, real));
    TRY(mem_calloc(&l->attended, rows * q, real));
    TRY(mem_calloc(&l->middle, rows * width, real));
    TRY(mem_calloc(&l->normed2, rows * width, real));
    TRY(mem_calloc(&l->gate, rows * hidden, real));
    TRY(mem_calloc(&l->up, rows * hidden, real));
    TRY(mem_calloc(&l->active, rows * hidden, real));
    TRY(mem_calloc(&l->probabilities, rows * (size_t)c->heads * m->context, real));
out:
    return rc;
}

static int model_buffers(struct train_model *m)
{
    const struct model_config *c = &m->config;
    size_t rows = (size_t)m->rows, q = (size_t)c->heads * c->head_size,
           kv2 = 2 * (size_t)c->kv_heads * c->head_size;
    size_t width = (size_t)c->width, wide = (size_t)c->hidden, real = sizeof(float);
    size_t tiles = (rows + TRAIN_TILE - 1) / TRAIN_TILE,
           chunk = rows < TRAIN_LOGIT_ROWS ? rows : TRAIN_LOGIT_ROWS;
    wide = wide > q ? wide : q;
    wide = wide > kv2 ? wide : kv2;
    int rc = 0;
    for (int i = 0; i < c->layers; i++)
        TRY(layer_buffers(m, &m->layers[i]));
    TRY(mem_calloc(&m->x, rows * width, real));
    TRY(mem_calloc(&m->normed, rows * width, real));
    TRY(mem_calloc(&m->logits, chunk * (size_t)c->vocabulary, real));
    TRY(mem_calloc(&m->row_loss, rows, real));
    TRY(mem_calloc(&m->dx, rows * width, real));
    TRY(mem_calloc(&m->dnormed, rows * width, real));
    TRY(mem_calloc(&m->dbranch, rows * width, real));
    for (int i = 0; i < 3; i++)
        TRY(mem_calloc(&m->dwide[i], rows * wide, real));
    TRY(mem_calloc(&m->scratch, (size_t)pool_threads() * TRAIN_TILE * m->context, real));
    TRY(mem_calloc(&m->norm_parts, tiles * width, real));
    size_t angles = (size_t)m->context * (size_t)(c->head_size / 2);
    TRY(mem_calloc(&m->cosine, angles, real));
    TRY(mem_calloc(&m->sine, angles, real));
    TRY(mem_calloc(&m->negative_sine, angles, real));
    rope_table(c, m->context, m->cosine, m->sine);
    for (size_t i = 0; i < angles; i++)
        m->negative_sine[i] = -m->sine[i];
out:
    return rc;
}

/* Everything but the first weights; weights NULL: its own. */
static int set_up(struct train_model *model, const struct model_config *config,
                  const struct train_operator *operator, int sequences, int context, float *weights)
{
    int rc = 0;
    memset(model, 0, sizeof *model);
    TRY(check_shape(config, sequences, context));
    model->config = *config;
    model->operator= operator? *operator: train_operator_plain;
    model->sequences = sequences;
    model->context = context;
    model->rows = sequences * context;
    TRY(train_layout(model));
    model->weights = weights;
    model->borrowed = weights != NULL;
    if (!weights)
        TRY(mem_calloc(&model->weights, model->parameters, sizeof(float)));
    TRY(mem_calloc(&model->gradients, model->parameters, sizeof(float)));
    TRY(model_buffers(model));
    bind_linears(model);
out:
    if (rc)
        train_model_release(model);
    return rc;
}

int train_model_init(struct train_model *model, const struct model_config *config,
                     const struct train_operator *operator, int sequences, int context,
                     uint64_t seed)
{
    int rc = set_up(model, config, operator, sequences, context, NULL);
    if (rc == 0)
        first_weights(model, seed);
    return rc;
}

int train_model_twin(struct train_model *model, const struct train_model *original)
{
    return set_up(model, &original->config, &original->operator, original->sequences,
                  original->context, original->weights);
}

static void layer_release(struct train_layer *l)
{
    float *const buffers[] = {l->x,      l->normed1, l->q,    l->k,  l->v,      l->attended,
                              l->middle, l->normed2, l->gate, l->up, l->active, l->probabilities};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        mem_free(buffers[i]);
}

void train_model_release(struct train_model *m)
{
    for (int i = 0; m->layers && i < m->config.layers; i++)
        layer_release(&m->layers[i]);
    float *const buffers[] = {m->borrowed ? NULL : m->weights,
                              m->gradients,
                              m->x,
                              m->normed,
                              m->logits,
                              m->row_loss,
                              m->dx,
                              m->dnormed,
                              m->dbranch,
                              m->dwide[0],
                              m->dwide[1],
                              m->dwide[2],
                              m->scratch,
                              m->norm_parts,
                              m->cosine,
                              m->sine,
                              m->negative_sine};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
        mem_free(buffers[i]);
    mem_free(m->layers);
    mem_free(m->tensors);
    memset(m, 0, sizeof *m);
}

static int plain_forward(void *state, const struct train_linear *linear, const float *x, int rows,
                         float *y)
{
    return matmul_nt(x, linear->weight, rows, linear->out, linear->in, 0.0f, y);
}

static int plain_backward(void *state, const struct train_linear *linear, const float *x,
                          const float *dy, int rows, float beta, float *dx)
{
    int rc = matmul_nn(dy, linear->weight, rows, linear->out, linear->in, beta, dx);
    return rc ? rc : matmul_tn(dy, x, rows, linear->out, linear->in, 1.0f, linear->gradient);
}

const struct train_operator train_operator_plain = {.forward = plain_forward,
                                                    .backward = plain_backward};
