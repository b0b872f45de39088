/* The trainer's loss and gradients against a plain forward pass in double precision, written loop
 * by loop after the architecture's equations, and its central differences. */
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "model/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SEQUENCES = 2, CONTEXT = 70, ROWS = SEQUENCES * CONTEXT, WIDE = 64 };

static const struct model_config small = {.layers = 2,
                                          .width = 24,
                                          .hidden = 40,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_size = 6,
                                          .vocabulary = 50,
                                          .norm_epsilon = 1e-5,
                                          .rope_theta = 100.0,
                                          .tied_head = true};

/* ---- the twin: all in double, one row after another */

struct twin {
    const struct model_config *config;
    const struct train_model *model; /* for the table of tensors */
    double *weights;                 /* as many as model->parameters */
    double (*x)[WIDE], (*n)[WIDE], (*q)[WIDE], (*k)[WIDE], (*v)[WIDE], (*a)[WIDE]; /* CONTEXT rows
                                                                                      each */
};

static const double *tensor(const struct twin *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static const double *tensor(const struct twin *t, const char *format, ...)
{
    char name[TRAIN_NAME_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    for (int i = 0; i < t->model->tensor_count; i++)
        if (strcmp(t->model->tensors[i].name, name) == 0)
            return t->weights + t->model->tensors[i].offset;
    fail_msg("no tensor %s", name);
    return NULL;
}

static void product(const double *w, int out, int in, const double *x, double *y)
{
    for (int o = 0; o < out; o++) {
        y[o] = 0.0;
        for (int i = 0; i < in; i++)
            y[o] += w[o * in + i] * x[i];
    }
}

static void norm(const double *w, int n, double epsilon, const double *x, double *y)
{
    double square = 0.0;
    for (int i = 0; i < n; i++)
        square += x[i] * x[i];
    for (int i = 0; i < n; i++)
        y[i] = w[i] * x[i] / sqrt(square / n + epsilon);
}

static void turn(const struct model_config *c, int position, double *head)
{
    int half = c->head_size / 2;
    for (int i = 0; i < half; i++) {
        double angle = position / pow(c->rope_theta, 2.0 * i / c->head_size), x = head[i],
               y = head[i + half];
        head[i] = x * cos(angle) - y * sin(angle);
        head[i + half] = y * cos(angle) + x * sin(angle);
    }
}

static void twin_attention(struct twin *t)
{
    const struct model_config *c = t->config;
    int size = c->head_size, group = c->heads / c->kv_heads;
    for (int r = 0; r < CONTEXT; r++) {
        for (int h = 0; h < c->heads; h++) {
            double p[CONTEXT], total = 0.0;
            const double *q = t->q[r] + h * size;
            for (int s = 0; s <= r; s++) {
                p[s] = 0.0;
                for (int i = 0; i < size; i++)
                    p[s] += q[i] * t->k[s][h / group * size + i];
                p[s] = exp(p[s] / sqrt(size));
                total += p[s];
            }
            for (int i = 0; i < size; i++) {
                t->a[r][h * size + i] = 0.0;
                for (int s = 0; s <= r; s++)
                    t->a[r][h * size + i] += p[s] / total * t->v[s][h / group * size + i];
            }
        }
    }
}

static void twin_layer(struct twin *t, int layer)
{
    const struct model_config *c = t->config;
    double y[WIDE], gate[WIDE], up[WIDE];
    char base[40];
    snprintf(base, sizeof base, "model.layers.%d", layer);
    for (int r = 0; r < CONTEXT; r++) {
        norm(tensor(t, "%s.input_layernorm.weight", base), c->width, c->norm_epsilon, t->x[r],
             t->n[r]);
        product(tensor(t, "%s.self_attn.q_proj.weight", base), c->heads * c->head_size, c->width,
                t->n[r], t->q[r]);
        product(tensor(t, "%s.self_attn.k_proj.weight", base), c->kv_heads * c->head_size, c->width,
                t->n[r], t->k[r]);
        product(tensor(t, "%s.self_attn.v_proj.weight", base), c->kv_heads * c->head_size, c->width,
                t->n[r], t->v[r]);
        for (int h = 0; h < c->heads; h++)
            turn(c, r, t->q[r] + h * c->head_size);
        for (int h = 0; h < c->kv_heads; h++)
            turn(c, r, t->k[r] + h * c->head_size);
    }
    twin_attention(t);
    for (int r = 0; r < CONTEXT; r++) {
        product(tensor(t, "%s.self_attn.o_proj.weight", base), c->width, c->heads * c->head_size,
                t->a[r], y);
        for (int i = 0; i < c->width; i++)
            t->x[r][i] += y[i];
        norm(tensor(t, "%s.post_attention_layernorm.weight", base), c->width, c->norm_epsilon,
             t->x[r], t->n[r]);
        product(tensor(t, "%s.mlp.gate_proj.weight", base), c->hidden, c->width, t->n[r], gate);
        product(tensor(t, "%s.mlp.up_proj.weight", base), c->hidden, c->width, t->n[r], up);
        for (int i = 0; i < c->hidden; i++)
            gate[i] = gate[i] / (1.0 + exp(-gate[i])) * up[i];
        product(tensor(t, "%s.mlp.down_proj.weight", base), c->width, c->hidden, gate, y);
        for (int i = 0; i < c->width; i++)
            t->x[r][i] += y[i];
    }
}

static double twin_loss(struct twin *t, const int32_t *tokens, const int32_t *targets)
{
    const struct model_config *c = t->config;
    const double *embedding = tensor(t, "model.embed_tokens.weight");
    const double *head = c->tied_head ? embedding : tensor(t, "lm_head.weight");
    double total = 0.0, logits[WIDE];
    int counted = 0;
    for (int s = 0; s < SEQUENCES; s++) {
        for (int r = 0; r < CONTEXT; r++)
            for (int i = 0; i < c->width; i++)
                t->x[r][i] = embedding[tokens[s * CONTEXT + r] * c->width + i];
        for (int layer = 0; layer < c->layers; layer++)
            twin_layer(t, layer);
        for (int r = 0; r < CONTEXT; r++) {
            int target = targets[s * CONTEXT + r];
            if (target < 0)
                continue;
            double sum = 0.0;
            norm(tensor(t, "model.norm.weight"), c->width, c->norm_epsilon, t->x[r], t->n[r]);
            product(head, c->vocabulary, c->width, t->n[r], logits);
            for (int i = 0; i < c->vocabulary; i++)
                sum += exp(logits[i]);
            total += log(sum) - logits[target];
            counted++;
        }
    }
    return total / counted;
}

/* ---- the comparison */

static void twin_init(struct twin *t, const struct train_model *model)
{
    memset(t, 0, sizeof *t);
    t->config = &model->config;
    t->model = model;
    assert_int_equal(mem_calloc(&t->weights, model->parameters, sizeof(double)), 0);
    for (size_t i = 0; i < model->parameters; i++)
        t->weights[i] = (double)model->weights[i];
    assert_int_equal(mem_calloc(&t->x, CONTEXT, sizeof *t->x), 0);
    assert_int_equal(mem_calloc(&t->n, CONTEXT, sizeof *t->n), 0);
    assert_int_equal(mem_calloc(&t->q, CONTEXT, sizeof *t->q), 0);
    assert_int_equal(mem_calloc(&t->k, CONTEXT, sizeof *t->k), 0);
    assert_int_equal(mem_calloc(&t->v, CONTEXT, sizeof *t->v), 0);
    assert_int_equal(mem_calloc(&t->a, CONTEXT, sizeof *t->a), 0);
}

static void twin_release(struct twin *t)
{
    mem_free(t->weights);
    mem_free(t->x);
    mem_free(t->n);
    mem_free(t->q);
    mem_free(t->k);
    mem_free(t->v);
    mem_free(t->a);
}

/* Weights that are far from special: norms that differ, larger matrices, so that every path carries
 * gradient. */
static void stir(struct train_model *model, struct rng *rng)
{
    for (int i = 0; i < model->tensor_count; i++) {
        const struct train_tensor *tensor_ = &model->tensors[i];
        size_t count = (size_t)(tensor_->rows ? tensor_->rows : 1) * (size_t)tensor_->columns;
        for (size_t j = 0; j < count; j++) {
            float *w = &model->weights[tensor_->offset + j];
            *w = (tensor_->rows ? 0.0f : *w) + (float)rng_normal(rng) * 0.25f;
        }
    }
}

/* The derivative of the twin's loss along `direction` (laid over count weights at offset), by
 * central differences. */
static double slope(struct twin *t, const int32_t *tokens, const int32_t *targets, size_t offset,
                    const double *direction, size_t count)
{
    const double h = 1e-5;
    for (size_t j = 0; j < count; j++)
        t->weights[offset + j] += h * direction[j];
    double above = twin_loss(t, tokens, targets);
    for (size_t j = 0; j < count; j++)
        t->weights[offset + j] -= 2.0 * h * direction[j];
    double below = twin_loss(t, tokens, targets);
    for (size_t j = 0; j < count; j++)
        t->weights[offset + j] += h * direction[j];
    return (above - below) / (2.0 * h);
}

/* Each tensor: along a random direction, along the gradient itself, and for two single elements. */
static void check_tensor(struct twin *t, const struct train_tensor *tensor_, const int32_t *tokens,
                         const int32_t *targets, struct rng *rng)
{
    size_t count = (size_t)(tensor_->rows ? tensor_->rows : 1) * (size_t)tensor_->columns;
    const float *gradient = t->model->gradients + tensor_->offset;
    double *direction, length = 0.0;
    assert_int_equal(mem_calloc(&direction, count, sizeof *direction), 0);
    for (size_t j = 0; j < count; j++)
        length += (double)gradient[j] * (double)gradient[j];
    length = sqrt(length);
    assert_true(length > 1e-4);
    for (int way = 0; way < 4; way++) {
        double expected = 0.0, found;
        memset(direction, 0, count * sizeof *direction);
        if (way >= 2)
            direction[rng_below(rng, count)] = 1.0;
        for (size_t j = 0; j < count && way < 2; j++)
            direction[j] = way == 0 ? (double)gradient[j] / length : rng_normal(rng);
        for (size_t j = 0; j < count; j++)
            expected += (double)gradient[j] * direction[j];
        found = slope(t, tokens, targets, tensor_->offset, direction, count);
        if (fabs(found - expected) > 2e-5 * length + 1e-4 * fabs(found))
            fail_msg("%s, way %d: gradient gives %.8g, differences %.8g", tensor_->name, way,
                     expected, found);
    }
    mem_free(direction);
}

static void check_config(const struct model_config *config, uint64_t seed)
{
    struct train_model model;
    struct twin twin;
    struct rng rng;
    int32_t tokens[ROWS], targets[ROWS];
    double loss;
    rng_seed(&rng, seed);
    assert_int_equal(train_model_init(&model, config, NULL, SEQUENCES, CONTEXT, seed), 0);
    stir(&model, &rng);
    for (int r = 0; r < ROWS; r++) {
        tokens[r] = (int32_t)rng_below(&rng, (uint64_t)config->vocabulary);
        targets[r] = r % 11 == 5 ? -1 : (int32_t)rng_below(&rng, (uint64_t)config->vocabulary);
    }
    twin_init(&twin, &model);
    assert_int_equal(train_model_loss(&model, tokens, targets, true, &loss), 0);
    assert_true(fabs(loss - twin_loss(&twin, tokens, targets)) < 1e-5 * loss);
    for (int i = 0; i < model.tensor_count; i++)
        check_tensor(&twin, &model.tensors[i], tokens, targets, &rng);
    twin_release(&twin);
    train_model_release(&model);
}

static void test_gradient_tied(void **state)
{
    check_config(&small, 1);
}

static void test_gradient_untied(void **state)
{
    struct model_config config = small;
    config.tied_head = false;
    config.kv_heads = 4;
    config.hidden = 33;
    check_config(&config, 2);
}

static void test_gradient_one_kv_head(void **state)
{
    struct model_config config = small;
    config.kv_heads = 1;
    config.head_size = 10;
    config.layers = 1;
    check_config(&config, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gradient_tied),
        cmocka_unit_test(test_gradient_untied),
        cmocka_unit_test(test_gradient_one_kv_head),
    };
    matmul_init();
    if (pool_start(2))
        return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failures;
}
