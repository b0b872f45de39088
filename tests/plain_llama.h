/* The LLaMA forward pass as plain scalar loops in double precision, straight from the formulas: the
 * twin that the fast one is compared with. RMSNorm: Zhang and Sennrich 2019; rotary positions: Su
 * et al. 2021; SwiGLU: Shazeer 2020; grouped-query attention: Ainslie et al. 2023. */
#ifndef TESTS_PLAIN_LLAMA_H
#define TESTS_PLAIN_LLAMA_H

#include "model/llama.h"
#include "model/safetensors.h"
#include "tests/fixture.h"

#include <math.h>

static inline float *plain_tensor(const struct model *model, int layer, const char *name, int rows,
                                  int columns)
{
    char full[128];
    float *out;
    if (layer >= 0)
        snprintf(full, sizeof full, "model.layers.%d.%s.weight", layer, name);
    else
        snprintf(full, sizeof full, "%s.weight", name);
    FIXTURE_OK(mem_alloc(&out, (size_t)rows * (size_t)(columns ? columns : 1), sizeof *out));
    FIXTURE_OK(tensor_table_read(model->tensors, full, (size_t)rows, (size_t)columns, out));
    return out;
}

/* y (rows x out) = x (rows x in) W^T */
static inline void plain_linear(const double *x, const float *weight, int rows, int out, int in,
                                double *y)
{
    for (int r = 0; r < rows; r++)
        for (int o = 0; o < out; o++) {
            double sum = 0;
            for (int i = 0; i < in; i++)
                sum += x[r * in + i] * (double)weight[o * in + i];
            y[r * out + o] = sum;
        }
}

static inline void plain_norm(const double *x, const float *gain, int rows, int width,
                              double epsilon, double *y)
{
    for (int r = 0; r < rows; r++) {
        double square = 0;
        for (int i = 0; i < width; i++)
            square += x[r * width + i] * x[r * width + i];
        double scale = 1 / sqrt(square / width + epsilon);
        for (int i = 0; i < width; i++)
            y[r * width + i] = x[r * width + i] * scale * (double)gain[i];
    }
}

/* Half-rotation layout: element i pairs with i + size / 2; the angle is position * theta^(-2 i /
 * size). */
static inline void plain_rotate(double *x, int rows, int heads, int size, double theta)
{
    for (int r = 0; r < rows; r++)
        for (int h = 0; h < heads; h++)
            for (int i = 0; i < size / 2; i++) {
                double *a = x + (r * heads + h) * size + i, *b = a + size / 2;
                double angle = r * pow(theta, -2.0 * i / size), first = *a;
                *a = first * cos(angle) - *b * sin(angle);
                *b = *b * cos(angle) + first * sin(angle);
            }
}

static inline void plain_attention(const double *q, const double *k, const double *v, int rows,
                                   int heads, int kv_heads, int size, double *y)
{
    double *weight = malloc((size_t)rows * sizeof *weight);
    for (int r = 0; r < rows; r++)
        for (int h = 0; h < heads; h++) {
            int g = h / (heads / kv_heads);
            double most = -INFINITY, total = 0;
            for (int t = 0; t <= r; t++) {
                weight[t] = 0;
                for (int i = 0; i < size; i++)
                    weight[t] += q[(r * heads + h) * size + i] * k[(t * kv_heads + g) * size + i] /
                                 sqrt(size);
                most = weight[t] > most ? weight[t] : most;
            }
            for (int t = 0; t <= r; t++)
                total += weight[t] = exp(weight[t] - most);
            for (int i = 0; i < size; i++) {
                double sum = 0;
                for (int t = 0; t <= r; t++)
                    sum += weight[t] / total * v[(t * kv_heads + g) * size + i];
                y[(r * heads + h) * size + i] = sum;
            }
        }
    free(weight);
}

/* One linear layer with its weight read from the file. */
static inline double *plain_layer(const struct model *model, int layer, const char *name,
                                  const double *x, int rows, int out, int in)
{
    float *weight = plain_tensor(model, layer, name, out, in);
    double *y = calloc((size_t)rows * (size_t)out, sizeof *y);
    plain_linear(x, weight, rows, out, in, y);
    mem_free(weight);
    return y;
}

static inline void plain_attention_half(const struct model *model, int layer, double *x,
                                        double *normed, int rows)
{
    const struct model_config *c = &model->config;
    int inner = c->heads * c->head_size, kv = c->kv_heads * c->head_size;
    float *gain = plain_tensor(model, layer, "input_layernorm", c->width, 0);
    plain_norm(x, gain, rows, c->width, c->norm_epsilon, normed);
    double *q = plain_layer(model, layer, "self_attn.q_proj", normed, rows, inner, c->width);
    double *k = plain_layer(model, layer, "self_attn.k_proj", normed, rows, kv, c->width);
    double *v = plain_layer(model, layer, "self_attn.v_proj", normed, rows, kv, c->width);
    double *mixed = calloc((size_t)rows * (size_t)inner, sizeof *mixed);
    plain_rotate(q, rows, c->heads, c->head_size, c->rope_theta);
    plain_rotate(k, rows, c->kv_heads, c->head_size, c->rope_theta);
    plain_attention(q, k, v, rows, c->heads, c->kv_heads, c->head_size, mixed);
    double *o = plain_layer(model, layer, "self_attn.o_proj", mixed, rows, c->width, inner);
    for (int i = 0; i < rows * c->width; i++)
        x[i] += o[i];
    free(q), free(k), free(v), free(mixed), free(o);
    mem_free(gain);
}

static inline void plain_mlp_half(const struct model *model, int layer, double *x, double *normed,
                                  int rows)
{
    const struct model_config *c = &model->config;
    float *gain = plain_tensor(model, layer, "post_attention_layernorm", c->width, 0);
    plain_norm(x, gain, rows, c->width, c->norm_epsilon, normed);
    double *gate = plain_layer(model, layer, "mlp.gate_proj", normed, rows, c->hidden, c->width);
    double *up = plain_layer(model, layer, "mlp.up_proj", normed, rows, c->hidden, c->width);
    for (int i = 0; i < rows * c->hidden; i++)
        gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i];
    double *down = plain_layer(model, layer, "mlp.down_proj", gate, rows, c->width, c->hidden);
    for (int i = 0; i < rows * c->width; i++)
        x[i] += down[i];
    free(gate), free(up), free(down);
    mem_free(gain);
}

/* logits (rows x vocabulary) of one sequence. */
static inline void plain_logits(const struct model *model, const int32_t *tokens, int rows,
                                double *logits)
{
    const struct model_config *c = &model->config;
    float *embedding = plain_tensor(model, -1, "model.embed_tokens", c->vocabulary, c->width);
    float *head = c->tied_head ? embedding
                               : plain_tensor(model, -1, "lm_head", c->vocabulary, c->width);
    float *gain = plain_tensor(model, -1, "model.norm", c->width, 0);
    double *x = calloc((size_t)rows * (size_t)c->width, sizeof *x);
    double *normed = calloc((size_t)rows * (size_t)c->width, sizeof *normed);
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < c->width; i++)
            x[r * c->width + i] =
                (double)embedding[(size_t)tokens[r] * (size_t)c->width + (size_t)i];
    for (int layer = 0; layer < c->layers; layer++) {
        plain_attention_half(model, layer, x, normed, rows);
        plain_mlp_half(model, layer, x, normed, rows);
    }
    plain_norm(x, gain, rows, c->width, c->norm_epsilon, normed);
    plain_linear(normed, head, rows, c->vocabulary, c->width, logits);
    free(x), free(normed);
    if (head != embedding)
        mem_free(head);
    mem_free(embedding);
    mem_free(gain);
}

#endif
