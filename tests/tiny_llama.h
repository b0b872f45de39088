/* A tiny random LLaMA model for the tests: written as a folder, and computed by a plain
 * double-precision forward pass that shares nothing with the engine. */
#ifndef TESTS_TINY_LLAMA_H
#define TESTS_TINY_LLAMA_H

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/rng.h"
#include "model/llama.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct tiny {
    struct model_config config;
    float **values; /* one array a tensor, in llama_tensor_at's order */
};

static inline size_t tiny_size(const struct llama_tensor *t)
{
    return (size_t)t->rows * (size_t)(t->columns ? t->columns : 1);
}

static inline int tiny_init(struct tiny *tiny, const struct model_config *config, uint64_t seed)
{
    int rc;
    struct rng rng;
    struct llama_tensor t;
    rng_seed(&rng, seed);
    tiny->config = *config;
    TRY(mem_calloc(&tiny->values, (size_t)llama_tensor_count(config), sizeof *tiny->values));
    for (int i = 0; i < llama_tensor_count(config); i++) {
        llama_tensor_at(config, i, &t);
        TRY(mem_alloc(&tiny->values[i], tiny_size(&t), sizeof(float)));
        for (size_t j = 0; j < tiny_size(&t); j++)
            tiny->values[i][j] = (float)(t.columns ? rng_normal(&rng) * 1.5 / sqrt(t.columns)
                                                   : 1 + 0.2 * rng_normal(&rng));
    }
out:
    return rc;
}

/* The values as they come back from a file of that type. */
static inline void tiny_round(struct tiny *tiny, enum dtype dtype)
{
    struct llama_tensor t;
    for (int i = 0; i < llama_tensor_count(&tiny->config); i++) {
        llama_tensor_at(&tiny->config, i, &t);
        for (size_t j = 0; j < tiny_size(&t); j++) {
            float *value = &tiny->values[i][j];
            *value = dtype == DTYPE_F16    ? half_to_float(float_to_half(*value))
                     : dtype == DTYPE_BF16 ? bfloat_to_float(float_to_bfloat(*value))
                                           : *value;
        }
    }
}

static inline void tiny_release(struct tiny *tiny)
{
    for (int i = 0; tiny->values && i < llama_tensor_count(&tiny->config); i++)
        mem_free(tiny->values[i]);
    mem_free(tiny->values);
    memset(tiny, 0, sizeof *tiny);
}

static inline int tiny_write_json(const char *folder, const json_t *json)
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

/* Writes tensors first..end-1 to folder/name. */
static inline int tiny_write_part(const struct tiny *tiny, const char *folder, const char *name,
                                  enum dtype dtype, int first, int end)
{
    int rc;
    char *path = NULL;
    struct tensor_source *sources = NULL;
    struct llama_tensor *tensors = NULL;
    TRY(file_make_directories(folder));
    TRY(mem_calloc(&sources, (size_t)(end - first), sizeof *sources));
    TRY(mem_calloc(&tensors, (size_t)(end - first), sizeof *tensors));
    for (int i = first; i < end; i++) {
        struct llama_tensor *t = &tensors[i - first];
        llama_tensor_at(&tiny->config, i, t);
        sources[i - first] = (struct tensor_source){.name = t->name,
                                                    .dtype = dtype,
                                                    .rank = t->columns ? 2 : 1,
                                                    .shape = {(size_t)t->rows, (size_t)t->columns},
                                                    .data = tiny->values[i],
                                                    .from_float = 1};
    }
    TRY(file_join(&path, folder, name));
    TRY(safetensors_write(path, sources, (size_t)(end - first), NULL));
out:
    mem_free(path);
    mem_free(sources);
    mem_free(tensors);
    return rc;
}

/* The whole folder: config.json and model.safetensors. */
static inline int tiny_write(const struct tiny *tiny, const char *folder, enum dtype dtype)
{
    int rc;
    json_t *json = NULL;
    TRY(tiny_write_part(tiny, folder, "model.safetensors", dtype, 0,
                        llama_tensor_count(&tiny->config)));
    TRY(llama_config_to_json(&tiny->config, "float32", &json));
    TRY(tiny_write_json(folder, json));
out:
    json_decref(json);
    return rc;
}

/* y = W x, W rows x columns */
static inline void tiny_multiply(const float *weight, const double *x, int rows, int columns,
                                 double *y)
{
    for (int i = 0; i < rows; i++) {
        y[i] = 0;
        for (int j = 0; j < columns; j++)
            y[i] += (double)weight[(size_t)i * (size_t)columns + (size_t)j] * x[j];
    }
}

static inline void tiny_norm(const float *weight, const double *x, int n, double epsilon, double *y)
{
    double squares = 0;
    for (int i = 0; i < n; i++)
        squares += x[i] * x[i];
    for (int i = 0; i < n; i++)
        y[i] = x[i] / sqrt(squares / n + epsilon) * weight[i];
}

static inline void tiny_rotate(double *x, int size, int position, double theta)
{
    for (int i = 0, half = size / 2; i < half; i++) {
        double angle = position * pow(theta, -2.0 * i / size), a = x[i], b = x[i + half];
        x[i] = a * cos(angle) - b * sin(angle);
        x[i + half] = a * sin(angle) + b * cos(angle);
    }
}

enum { TINY_MOST = 4096 };

/* One block, in place, on one sequence. x: length x width. Scratch q, k, v: length x TINY_MOST. */
static inline void tiny_block(const struct tiny *tiny, int layer, int length, double *x, double *q,
                              double *k, double *v)
{
    static double row[TINY_MOST], other[TINY_MOST], third[TINY_MOST];
    const struct model_config *c = &tiny->config;
    float **t = tiny->values + 1 + layer * LLAMA_BLOCK_TENSORS; /* norm q k v o norm gate up down */
    int size = c->head_size, wide = c->heads * size, narrow = c->kv_heads * size,
        share = c->heads / c->kv_heads;
    for (int p = 0; p < length; p++) {
        tiny_norm(t[0], x + p * c->width, c->width, c->norm_epsilon, row);
        tiny_multiply(t[1], row, wide, c->width, q + p * wide);
        tiny_multiply(t[2], row, narrow, c->width, k + p * narrow);
        tiny_multiply(t[3], row, narrow, c->width, v + p * narrow);
        for (int h = 0; h < c->heads; h++)
            tiny_rotate(q + p * wide + h * size, size, p, c->rope_theta);
        for (int h = 0; h < c->kv_heads; h++)
            tiny_rotate(k + p * narrow + h * size, size, p, c->rope_theta);
    }
    for (int p = 0; p < length; p++) {
        for (int h = 0; h < c->heads; h++) {
            double sum = 0;
            for (int s = 0; s <= p; s++) {
                double score = 0;
                for (int i = 0; i < size; i++)
                    score += q[p * wide + h * size + i] * k[s * narrow + h / share * size + i];
                row[s] = exp(score / sqrt(size));
                sum += row[s];
            }
            for (int i = 0; i < size; i++) {
                other[h * size + i] = 0;
                for (int s = 0; s <= p; s++)
                    other[h * size + i] += row[s] / sum * v[s * narrow + h / share * size + i];
            }
        }
        tiny_multiply(t[4], other, c->width, wide, row);
        for (int i = 0; i < c->width; i++)
            x[p * c->width + i] += row[i];
        tiny_norm(t[5], x + p * c->width, c->width, c->norm_epsilon, row);
        tiny_multiply(t[6], row, c->hidden, c->width, other);
        tiny_multiply(t[7], row, c->hidden, c->width, third);
        for (int i = 0; i < c->hidden; i++)
            third[i] *= other[i] / (1 + exp(-other[i]));
        tiny_multiply(t[8], third, c->width, c->hidden, row);
        for (int i = 0; i < c->width; i++)
            x[p * c->width + i] += row[i];
    }
}

/* logits (length x vocabulary) of one sequence, in double throughout. */
static inline int tiny_logits(const struct tiny *tiny, const int32_t *tokens, int length,
                              double *logits)
{
    const struct model_config *c = &tiny->config;
    double *x = NULL, *qkv = NULL, row[TINY_MOST];
    size_t most = (size_t)length * (size_t)(c->heads * c->head_size);
    int rc, last = llama_tensor_count(c) - 1, norm = c->tied_head ? last : last - 1;
    const float *head = tiny->values[c->tied_head ? 0 : last];
    TRY(mem_alloc(&x, (size_t)(length * c->width), sizeof *x));
    TRY(mem_alloc(&qkv, 3 * most, sizeof *qkv));
    for (int i = 0; i < length * c->width; i++)
        x[i] = tiny->values[0][tokens[i / c->width] * c->width + i % c->width];
    for (int layer = 0; layer < c->layers; layer++)
        tiny_block(tiny, layer, length, x, qkv, qkv + most, qkv + 2 * most);
    for (int p = 0; p < length; p++) {
        tiny_norm(tiny->values[norm], x + p * c->width, c->width, c->norm_epsilon, row);
        tiny_multiply(head, row, c->vocabulary, c->width,
                      logits + (size_t)p * (size_t)c->vocabulary);
    }
out:
    mem_free(x);
    mem_free(qkv);
    return rc;
}

#endif
