/* Small random models of every family, written as folders, and the forward pass as plain loops in
 * double precision, straight from the formulas: the twin that the engine is compared with. It
 * shares the list of tensors with the engine and nothing else. RMSNorm: Zhang and Sennrich 2019;
 * LayerNorm: Ba et al. 2016; rotary positions: Su et al. 2021, their scalings: Chen et al. 2023 and
 * Peng et al. 2023; SwiGLU: Shazeer 2020; grouped-query attention: Ainslie et al. 2023. */
#ifndef TESTS_PLAIN_MODEL_H
#define TESTS_PLAIN_MODEL_H

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/rng.h"
#include "model/layout.h"
#include "model/llama.h"
#include "model/safetensors.h"
#include "model/tensor_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PLAIN_MOST = 800 }; /* tensors */

struct plain {
    struct model_config config;
    const struct architecture *family;
    int count;
    int layers[PLAIN_MOST]; /* -1: outside the blocks */
    struct model_tensor tensors[PLAIN_MOST];
    float *values[PLAIN_MOST];
};

static inline size_t plain_size(const struct model_tensor *t)
{
    return (size_t)t->rows * (size_t)(t->columns ? t->columns : 1);
}

/* Lists the tensors of a configuration, with room for their values. */
static inline int plain_init(struct plain *plain, const struct model_config *config)
{
    int rc = 0;
    memset(plain, 0, sizeof *plain);
    plain->config = *config;
    for (int i = 0; architectures[i]; i++)
        if (strcmp(architectures[i]->name, config->architecture) == 0)
            plain->family = architectures[i];
    while (plain->count < PLAIN_MOST &&
           layout_tensor_at(config, plain->family, plain->count, &plain->layers[plain->count],
                            &plain->tensors[plain->count])) {
        TRY(mem_alloc(&plain->values[plain->count], plain_size(&plain->tensors[plain->count]),
                      sizeof(float)));
        plain->count++;
    }
out:
    return rc;
}

static inline int plain_random(struct plain *plain, const struct model_config *config,
                               uint64_t seed)
{
    struct rng rng;
    int rc = plain_init(plain, config);
    rng_seed(&rng, seed);
    for (int i = 0; rc == 0 && i < plain->count; i++) {
        const struct model_tensor *t = &plain->tensors[i];
        bool gain = !t->columns && t->place != TENSOR_BIAS && strstr(t->name, ".weight");
        for (size_t j = 0; j < plain_size(t); j++)
            plain->values[i][j] = (float)(t->columns ? rng_normal(&rng) * 1.5 / sqrt(t->columns)
                                                     : gain + 0.2 * rng_normal(&rng));
    }
    return rc;
}

/* The values of an opened model. */
static inline int plain_read(struct plain *plain, const struct model *model)
{
    int rc = plain_init(plain, &model->config);
    for (int i = 0; rc == 0 && i < plain->count; i++)
        rc = tensor_table_read(model->tensors, plain->tensors[i].name,
                               (size_t)plain->tensors[i].rows, (size_t)plain->tensors[i].columns,
                               plain->values[i]);
    return rc;
}

static inline void plain_release(struct plain *plain)
{
    for (int i = 0; i < plain->count; i++)
        mem_free(plain->values[i]);
    memset(plain, 0, sizeof *plain);
}

/* The values as they come back from a file of that type. */
static inline void plain_round(struct plain *plain, enum dtype dtype)
{
    for (int i = 0; i < plain->count; i++)
        for (size_t j = 0; j < plain_size(&plain->tensors[i]); j++) {
            float *value = &plain->values[i][j];
            *value = dtype == DTYPE_F16    ? half_to_float(float_to_half(*value))
                     : dtype == DTYPE_BF16 ? bfloat_to_float(float_to_bfloat(*value))
                                           : *value;
        }
}

/* ---- writing ---- */

static inline int plain_write_json(const char *folder, const json_t *json)
{
    int rc;
    char *path = NULL;
    TRY(file_join(&path, folder, "config.json"));
    if (json_dump_file(json, path, JSON_INDENT(2)) != 0)
        rc = err_set(ERR_IO, "%s: cannot write", path);
out:
    mem_free(path);
    return rc;
}

/* The config.json of the configuration; the caller's. */
static inline int plain_config(const struct model_config *c, json_t **out)
{
    if (strcmp(c->architecture, "opt") != 0)
        return llama_config_to_json(c, "float32", out);
    *out = json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:b, s:b, s:b, s:s}",
                     "model_type", "opt", "num_hidden_layers", c->layers, "hidden_size", c->width,
                     "ffn_dim", c->hidden, "num_attention_heads", c->heads, "vocab_size",
                     c->vocabulary, "max_position_embeddings", c->max_positions,
                     "word_embed_proj_dim", c->embedding_width ? c->embedding_width : c->width,
                     "do_layer_norm_before", !c->norm_after, "_remove_final_layer_norm",
                     c->no_final_norm && !c->norm_after, "enable_bias", c->biases != 0,
                     "tie_word_embeddings", c->tied_head, "activation_function", "relu");
    return *out ? 0 : err_set(ERR_MEMORY, "out of memory");
}

/* Writes tensors first..end-1 to folder/name, the names from their character `from` on. */
static inline int plain_write_part(const struct plain *plain, const char *folder, const char *name,
                                   enum dtype dtype, int first, int end, size_t from)
{
    int rc;
    char *path = NULL;
    struct tensor_source *sources = NULL;
    TRY(file_make_directories(folder));
    TRY(mem_calloc(&sources, (size_t)(end - first), sizeof *sources));
    for (int i = first; i < end; i++) {
        const struct model_tensor *t = &plain->tensors[i];
        sources[i - first] = (struct tensor_source){
            .name = strncmp(t->name, "lm_head", 7) == 0 ? t->name : t->name + from,
            .dtype = dtype,
            .rank = t->columns ? 2 : 1,
            .shape = {(size_t)t->rows, (size_t)t->columns},
            .data = plain->values[i],
            .from_float = 1};
    }
    TRY(file_join(&path, folder, name));
    TRY(safetensors_write(path, sources, (size_t)(end - first), NULL));
out:
    mem_free(path);
    mem_free(sources);
    return rc;
}

/* The whole folder: config.json and model.safetensors. */
static inline int plain_write(const struct plain *plain, const char *folder, enum dtype dtype)
{
    int rc;
    json_t *json = NULL;
    TRY(plain_write_part(plain, folder, "model.safetensors", dtype, 0, plain->count, 0));
    TRY(plain_config(&plain->config, &json));
    TRY(plain_write_json(folder, json));
out:
    json_decref(json);
    return rc;
}

/* ---- the forward pass ---- */

static inline const float *plain_find(const struct plain *plain, int layer, int place, int index)
{
    for (int i = 0; i < plain->count; i++)
        if (plain->layers[i] == layer && (int)plain->tensors[i].place == place &&
            plain->tensors[i].index == index)
            return plain->values[i];
    return NULL;
}

/* Outside the blocks, by the end of the name. */
static inline const float *plain_outer(const struct plain *plain, const char *ending)
{
    for (int i = 0; i < plain->count; i++) {
        size_t length = strlen(plain->tensors[i].name), tail = strlen(ending);
        if (plain->layers[i] < 0 && length >= tail &&
            strcmp(plain->tensors[i].name + length - tail, ending) == 0)
            return plain->values[i];
    }
    return NULL;
}

/* y (out) = W x + bias, W out x in; bias may be NULL */
static inline void plain_product(const float *weight, const float *bias, const double *x, int out,
                                 int in, double *y)
{
    for (int i = 0; i < out; i++) {
        y[i] = bias ? (double)bias[i] : 0;
        for (int j = 0; j < in; j++)
            y[i] += (double)weight[(size_t)i * (size_t)in + (size_t)j] * x[j];
    }
}

/* y may be x */
static inline void plain_norm(const struct model_config *c, const float *gain, const float *bias,
                              const double *x, double *y)
{
    double mean = 0, squares = 0;
    for (int i = 0; i < c->width && c->layer_norm; i++)
        mean += x[i] / c->width;
    for (int i = 0; i < c->width; i++)
        squares += (x[i] - mean) * (x[i] - mean);
    double scale = 1 / sqrt(squares / c->width + c->norm_epsilon);
    for (int i = 0; i < c->width; i++)
        y[i] = (x[i] - mean) * scale * (double)gain[i] + (c->layer_norm ? (double)bias[i] : 0);
}

/* Radians a position that dimension pair i turns by. */
static inline double plain_frequency(const struct model_config *c, int i)
{
    const struct rope_scaling *rope = &c->rope;
    const double pi = acos(-1), plain = pow(c->rope_theta, -2.0 * i / c->head_size);
    const double turns = rope->original * plain / (2 * pi); /* over the training length */
    double kept; /* share of the plain frequency, against the one divided by factor */
    if (rope->kind == ROPE_LINEAR) {
        kept = 0;
    } else if (rope->kind == ROPE_LLAMA3) {
        kept = (turns - rope->low) / (rope->high - rope->low);
    } else if (rope->kind == ROPE_YARN) {
        double ends[2] = {rope->high, rope->low};
        for (int e = 0; e < 2; e++)
            ends[e] = c->head_size * log(rope->original / (ends[e] * 2 * pi)) /
                      (2 * log(c->rope_theta));
        double first = fmax(rope->keep_fractions ? ends[0] : floor(ends[0]), 0);
        double last = fmin(rope->keep_fractions ? ends[1] : ceil(ends[1]), c->head_size - 1);
        kept = 1 - (i - first) / (last - first);
    } else {
        kept = 1;
    }
    kept = fmin(fmax(kept, 0), 1);
    return kept * plain + (1 - kept) * plain / (rope->factor > 0 ? rope->factor : 1);
}

/* Half-rotation layout: element i pairs with i + size / 2. */
static inline void plain_rotate(const struct model_config *c, double *x, int heads, int position)
{
    const int half = c->head_size / 2;
    const double factor = c->rope.kind == ROPE_YARN ? c->rope.attention : 1;
    for (int h = 0; h < heads && !c->learned_positions; h++)
        for (int i = 0; i < half; i++) {
            double *a = x + h * c->head_size + i, *b = a + half, first = *a;
            double angle = position * plain_frequency(c, i);
            *a = factor * (first * cos(angle) - *b * sin(angle));
            *b = factor * (*b * cos(angle) + first * sin(angle));
        }
}

/* out (heads x head_size) = one row's attention over itself and the rows before it. */
static inline void plain_attend(const struct model_config *c, int window, const double *q,
                                const double *k, const double *v, int position, double *out)
{
    const int size = c->head_size, narrow = c->kv_heads * size;
    double *weight = calloc((size_t)position + 1, sizeof *weight);
    for (int h = 0; h < c->heads; h++) {
        int from = window > 0 && position >= window ? position - window + 1 : 0;
        int at = h / (c->heads / c->kv_heads) * size;
        double most = -INFINITY, sum = 0;
        for (int s = from; s <= position; s++) {
            weight[s] = 0;
            for (int i = 0; i < size; i++)
                weight[s] += q[h * size + i] * k[s * narrow + at + i] / sqrt(size);
            most = fmax(most, weight[s]);
        }
        for (int s = from; s <= position; s++)
            sum += weight[s] = exp(weight[s] - most);
        for (int i = 0; i < size; i++) {
            out[h * size + i] = 0;
            for (int s = from; s <= position; s++)
                out[h * size + i] += weight[s] / sum * v[s * narrow + at + i];
        }
    }
    free(weight);
}

static inline void plain_linear(const struct plain *plain, int layer, int index, const double *x,
                                int out, int in, double *y)
{
    plain_product(plain_find(plain, layer, TENSOR_LINEAR, index),
                  plain_find(plain, layer, TENSOR_BIAS, index), x, out, in, y);
}

/* The block's norm number `which`: 0 of attention, 1 of the MLP. */
static inline void plain_block_norm(const struct plain *plain, int layer, int which,
                                    const double *x, double *y)
{
    plain_norm(&plain->config, plain_find(plain, layer, TENSOR_VECTOR, which),
               plain_find(plain, layer, TENSOR_VECTOR, 2 + which), x, y);
}

/* x += branch, then the norm where it comes behind; all of one row. */
static inline void plain_join(const struct plain *plain, int layer, int which, const double *branch,
                              double *x)
{
    for (int i = 0; i < plain->config.width; i++)
        x[i] += branch[i];
    if (plain->config.norm_after)
        plain_block_norm(plain, layer, which, x, x);
}

static inline void plain_mlp(const struct plain *plain, int layer, double *x)
{
    const struct model_config *c = &plain->config;
    double *in = calloc((size_t)(2 * c->width + 2 * c->hidden), sizeof *in);
    double *out = in + c->width, *a = out + c->width, *b = a + c->hidden;
    if (c->norm_after)
        memcpy(in, x, (size_t)c->width * sizeof *in);
    else
        plain_block_norm(plain, layer, 1, x, in);
    plain_linear(plain, layer, 4, in, c->hidden, c->width, a);
    if (!c->relu)
        plain_linear(plain, layer, 5, in, c->hidden, c->width, b);
    for (int i = 0; i < c->hidden; i++)
        a[i] = c->relu ? fmax(a[i], 0) : a[i] / (1 + exp(-a[i])) * b[i];
    plain_linear(plain, layer, c->relu ? 5 : 6, a, c->width, c->hidden, out);
    plain_join(plain, layer, 1, out, x);
    free(in);
}

/* One block on one sequence, in place; x is length x width. */
static inline void plain_block(const struct plain *plain, int layer, int length, double *x)
{
    const struct model_config *c = &plain->config;
    const int wide = c->heads * c->head_size, narrow = c->kv_heads * c->head_size;
    const int window = layer >= c->window_from ? c->window : 0;
    double *q = calloc((size_t)length * (size_t)(wide + 2 * narrow), sizeof *q);
    double *k = q + length * wide, *v = k + length * narrow;
    double *row = calloc((size_t)(c->width + wide), sizeof *row), *mixed = row + c->width;
    for (int p = 0; p < length; p++) {
        double *rows[] = {q + p * wide, k + p * narrow, v + p * narrow};
        if (c->norm_after)
            memcpy(row, x + p * c->width, (size_t)c->width * sizeof *row);
        else
            plain_block_norm(plain, layer, 0, x + p * c->width, row);
        for (int i = 0; i < 3; i++)
            plain_linear(plain, layer, i, row, i == 0 ? wide : narrow, c->width, rows[i]);
        plain_rotate(c, rows[0], c->heads, p);
        plain_rotate(c, rows[1], c->kv_heads, p);
    }
    for (int p = 0; p < length; p++) {
        plain_attend(c, window, q + p * wide, k, v, p, mixed);
        plain_linear(plain, layer, 3, mixed, c->width, wide, row);
        plain_join(plain, layer, 0, row, x + p * c->width);
        plain_mlp(plain, layer, x + p * c->width);
    }
    free(q);
    free(row);
}

/* x (width) = the row that a token at a position starts from. */
static inline void plain_embed(const struct plain *plain, int32_t token, int position, double *x)
{
    const struct model_config *c = &plain->config;
    const int narrow = c->embedding_width ? c->embedding_width : c->width;
    const float *positions = plain_outer(plain, "embed_positions.weight");
    double *stored = calloc((size_t)narrow, sizeof *stored);
    for (int i = 0; i < narrow; i++)
        stored[i] = (double)plain_outer(plain, "embed_tokens.weight")[token * narrow + i];
    if (c->embedding_width)
        plain_product(plain_outer(plain, "project_in.weight"), NULL, stored, c->width, narrow, x);
    else
        memcpy(x, stored, (size_t)c->width * sizeof *x);
    for (int i = 0; positions && i < c->width; i++)
        x[i] += (double)positions[(position + 2) * c->width + i];
    free(stored);
}

/* logits (vocabulary) of one row; x is overwritten. */
static inline void plain_head(const struct plain *plain, double *x, double *logits)
{
    const struct model_config *c = &plain->config;
    const int narrow = c->embedding_width ? c->embedding_width : c->width;
    const float *head = plain_outer(plain, c->tied_head ? "embed_tokens.weight" : "lm_head.weight");
    const float *gain = plain_outer(plain, c->layer_norm ? "final_layer_norm.weight"
                                                         : "model.norm.weight");
    double *last = calloc((size_t)narrow, sizeof *last);
    if (!c->no_final_norm)
        plain_norm(c, gain, plain_outer(plain, "final_layer_norm.bias"), x, x);
    if (c->embedding_width)
        plain_product(plain_outer(plain, "project_out.weight"), NULL, x, narrow, c->width, last);
    else
        memcpy(last, x, (size_t)narrow * sizeof *x);
    plain_product(head, NULL, last, c->vocabulary, narrow, logits);
    free(last);
}

/* logits (length x vocabulary) of one sequence. */
static inline void plain_logits(const struct plain *plain, const int32_t *tokens, int length,
                                double *logits)
{
    const struct model_config *c = &plain->config;
    double *x = calloc((size_t)length * (size_t)c->width, sizeof *x);
    for (int p = 0; p < length; p++)
        plain_embed(plain, tokens[p], p, x + p * c->width);
    for (int layer = 0; layer < c->layers; layer++)
        plain_block(plain, layer, length, x);
    for (int p = 0; p < length; p++)
        plain_head(plain, x + p * c->width, logits + (size_t)p * (size_t)c->vocabulary);
    free(x);
}

#endif
