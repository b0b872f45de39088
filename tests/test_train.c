/* Training: loss falls, one and two threads give the same bytes, a resumed run equals an
 * uninterrupted one, operators, sampler, schedule, optimizer. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "model/safetensors.h"
#include "model/train.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    SEQUENCES = 4,
    CONTEXT = 24,
    ROWS = SEQUENCES * CONTEXT,
    VOCABULARY = 32,
    DOCUMENTS = 12,
    LONG = 60
};

static const struct model_config small = {.architecture = "llama",
                                          .layers = 2,
                                          .width = 32,
                                          .hidden = 64,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_size = 8,
                                          .vocabulary = VOCABULARY,
                                          .max_positions = CONTEXT,
                                          .norm_epsilon = 1e-5,
                                          .rope_theta = 10000.0,
                                          .tied_head = true,
                                          .bos_id = 0,
                                          .eos_id = 0};

/* A toy language: the next token is 5 x + 3 modulo 31, one time in eight anything. */
struct toy {
    int32_t tokens[DOCUMENTS * LONG];
    size_t offsets[DOCUMENTS + 1];
    int32_t joiner[1];
    struct train_stream streams[2];
};

static void toy_init(struct toy *toy)
{
    struct rng rng;
    rng_seed(&rng, 5);
    int32_t x = 1;
    for (int i = 0; i < DOCUMENTS * LONG; i++) {
        x = rng_below(&rng, 8) == 0 ? (int32_t)rng_below(&rng, 31) + 1 : (5 * x + 3) % 31 + 1;
        toy->tokens[i] = x;
    }
    for (size_t d = 0; d <= DOCUMENTS; d++)
        toy->offsets[d] = d * LONG;
    toy->joiner[0] = 31;
    toy->streams[0] = (struct train_stream){.name = "first",
                                            .tokens = toy->tokens,
                                            .offsets = toy->offsets,
                                            .count = DOCUMENTS / 2,
                                            .joiner = toy->joiner,
                                            .joiner_count = 1,
                                            .weight = 1.0};
    toy->streams[1] = (struct train_stream){.name = "second",
                                            .tokens = toy->tokens,
                                            .offsets = toy->offsets + DOCUMENTS / 2,
                                            .count = DOCUMENTS / 2,
                                            .joiner = toy->joiner,
                                            .joiner_count = 1,
                                            .weight = 2.0};
}

struct session {
    struct toy toy;
    struct train_model model;
    struct train_optimizer optimizer;
    struct train_sampler sampler;
    struct train_progress progress;
    int32_t tokens[ROWS], targets[ROWS];
};

static void session_init(struct session *s, const struct train_operator *operator)
{
    memset(s, 0, sizeof *s);
    toy_init(&s->toy);
    assert_int_equal(train_model_init(&s->model, &small, operator, SEQUENCES, CONTEXT, 7), 0);
    s->model.dropout = 0.1;
    assert_int_equal(train_optimizer_init(&s->optimizer, &s->model), 0);
    assert_int_equal(train_sampler_init(&s->sampler, s->toy.streams, 2, CONTEXT, 0, 7), 0);
    s->progress.best_validation = HUGE_VAL;
    snprintf(s->progress.spec_hash, sizeof s->progress.spec_hash, "toy");
}

static void session_release(struct session *s)
{
    train_sampler_release(&s->sampler);
    train_optimizer_release(&s->optimizer);
    train_model_release(&s->model);
}

/* Mean loss over the steps. */
static double session_run(struct session *s, int steps)
{
    double total = 0.0, loss, norm;
    for (int i = 0; i < steps; i++) {
        assert_int_equal(train_sampler_draw(&s->sampler, SEQUENCES, s->tokens, s->targets), 0);
        s->model.dropout_key = (uint64_t)s->optimizer.step * 65536u;
        assert_int_equal(train_model_loss(&s->model, s->tokens, s->targets, true, &loss), 0);
        s->progress.tokens += ROWS;
        assert_int_equal(train_optimizer_step(&s->optimizer, &s->model, 4e-3, 1.0, &norm), 0);
        total += loss;
    }
    return total / steps;
}

static char *path_beside(const char *name)
{
    char program[512], *path;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(length > 0);
    program[length] = '\0';
    assert_int_equal(mem_printf(&path, "%s.%s", program, name), 0);
    return path;
}

static void assert_same_state(const struct session *a, const struct session *b)
{
    size_t bytes = a->model.parameters * sizeof(float);
    assert_memory_equal(a->model.weights, b->model.weights, bytes);
    assert_memory_equal(a->optimizer.first, b->optimizer.first, bytes);
    assert_memory_equal(a->optimizer.second, b->optimizer.second, bytes);
    assert_memory_equal(&a->sampler.rng, &b->sampler.rng, sizeof a->sampler.rng);
    assert_int_equal(a->optimizer.step, b->optimizer.step);
    assert_int_equal(a->progress.tokens, b->progress.tokens);
}

static void test_loss_falls(void **state)
{
    struct session s;
    session_init(&s, NULL);
    double first = session_run(&s, 1);
    assert_true(fabs(first - log(VOCABULARY)) < 0.2); /* nothing learned: near the uniform
                                                         distribution's loss */
    session_run(&s, 250);
    double last = session_run(&s, 20);
    /* one time in eight the next token is any of 31, which costs log(31) / 8 + H(1 / 8) = 0.80 nats
     */
    assert_true(last < 1.6);
    assert_true(last > 0.5);
    session_release(&s);
}

static void test_threads_agree(void **state)
{
    struct session one, two;
    assert_int_equal(pool_start(1), 0);
    session_init(&one, NULL);
    session_run(&one, 20);
    assert_int_equal(pool_start(2), 0);
    session_init(&two, NULL);
    session_run(&two, 20);
    assert_same_state(&one, &two);
    session_release(&one);
    session_release(&two);
}

/* One batch whole and in two shards: the same loss and gradient up to rounding; in shards, the same
 * bytes on one thread and on two. */
static void test_shards(void **state)
{
    struct train_group groups[3];
    struct session s;
    double losses[3];
    session_init(&s, NULL);
    assert_int_equal(train_sampler_draw(&s.sampler, SEQUENCES, s.tokens, s.targets), 0);
    for (int i = 0; i < ROWS / 2; i += 3)
        s.targets[i] = -1; /* shards of different weight */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pool_start(i == 2 ? 1 : 2), 0);
        assert_int_equal(
            train_group_init(&groups[i], &small, NULL, i == 0 ? 1 : 2, SEQUENCES, CONTEXT, 7), 0);
        assert_int_equal(
            train_group_loss(&groups[i], s.tokens, s.targets, true, 0.0, 0, &losses[i]), 0);
    }
    assert_int_equal(pool_start(2), 0);
    size_t count = groups[0].shards[0].parameters;
    double difference = 0.0, square = 0.0;
    for (size_t i = 0; i < count; i++) {
        double a = (double)groups[0].shards[0].gradients[i],
               b = (double)groups[1].shards[0].gradients[i];
        difference += (a - b) * (a - b);
        square += a * a;
        assert_true(groups[1].shards[1].gradients[i] == 0.0f);
    }
    assert_true(fabs(losses[0] - losses[1]) < 1e-6);
    assert_true(sqrt(difference) < 1e-5 * sqrt(square));
    assert_true(losses[1] == losses[2]);
    assert_memory_equal(groups[1].shards[0].gradients, groups[2].shards[0].gradients,
                        count * sizeof(float));
    for (int i = 0; i < 3; i++)
        train_group_release(&groups[i]);
    assert_int_equal(train_group_init(&groups[0], &small, NULL, 3, SEQUENCES, CONTEXT, 7),
                     ERR_USAGE);
    session_release(&s);
}

/* The masks of the backward pass are those of the forward pass: with a fixed key the loss is an
 * ordinary function, whose slope along the gradient is the gradient's length. */
static void test_dropout_gradient(void **state)
{
    struct session s;
    double base, losses[2], square = 0.0;
    const double step = 0.02;
    session_init(&s, NULL);
    session_run(&s, 30);
    struct train_model *m = &s.model;
    m->dropout = 0.3;
    m->dropout_key = 99;
    assert_int_equal(train_sampler_draw(&s.sampler, SEQUENCES, s.tokens, s.targets), 0);
    assert_int_equal(train_model_loss(m, s.tokens, s.targets, false, &base), 0);
    assert_int_equal(train_model_loss(m, s.tokens, s.targets, true, &losses[0]), 0);
    assert_true(fabs(base - losses[0]) > 1e-3); /* dropout does take part, and only in training */
    float *gradient, *weights;
    assert_int_equal(mem_alloc(&gradient, m->parameters, sizeof(float)), 0);
    assert_int_equal(mem_alloc(&weights, m->parameters, sizeof(float)), 0);
    memcpy(gradient, m->gradients, m->parameters * sizeof(float));
    memcpy(weights, m->weights, m->parameters * sizeof(float));
    for (size_t i = 0; i < m->parameters; i++)
        square += (double)gradient[i] * (double)gradient[i];
    for (int side = 0; side < 2; side++) {
        double along = (side ? 1.0 : -1.0) * step / sqrt(square);
        for (size_t i = 0; i < m->parameters; i++)
            m->weights[i] = (float)((double)weights[i] + along * (double)gradient[i]);
        assert_int_equal(train_model_loss(m, s.tokens, s.targets, true, &losses[side]), 0);
    }
    double slope = (losses[1] - losses[0]) / (2.0 * step);
    if (fabs(slope - sqrt(square)) > 3e-3 * slope)
        fail_msg("slope %.6g, gradient's length %.6g", slope, sqrt(square));
    mem_free(gradient);
    mem_free(weights);
    session_release(&s);
}

static void test_resume_equals_uninterrupted(void **state)
{
    struct session whole, first, second;
    char *path = path_beside("checkpoint");
    session_init(&whole, NULL);
    session_run(&whole, 37);
    session_init(&first, NULL);
    session_run(&first, 21);
    first.progress.best_validation = 1.0 / 3.0;
    assert_int_equal(train_checkpoint_save(path, &first.model, &first.optimizer, &first.sampler,
                                           &first.progress),
                     0);
    session_init(&second, NULL);
    assert_int_equal(train_checkpoint_load(path, &second.model, &second.optimizer, &second.sampler,
                                           &second.progress),
                     0);
    assert_same_state(&first, &second);
    assert_true(second.progress.best_validation == 1.0 / 3.0);
    session_run(&second, 16);
    assert_same_state(&whole, &second);
    session_release(&whole);
    session_release(&first);
    session_release(&second);
    unlink(path);
    mem_free(path);
}

static void test_checkpoint_of_another_spec(void **state)
{
    struct session s;
    char *path = path_beside("other");
    session_init(&s, NULL);
    assert_int_equal(train_checkpoint_save(path, &s.model, &s.optimizer, &s.sampler, &s.progress),
                     0);
    snprintf(s.progress.spec_hash, sizeof s.progress.spec_hash, "another");
    assert_int_equal(train_checkpoint_load(path, &s.model, &s.optimizer, &s.sampler, &s.progress),
                     ERR_USAGE);
    assert_non_null(strstr(err_text(), "another spec"));
    assert_int_equal(truncate(path, 1000), 0);
    assert_int_equal(train_checkpoint_load(path, &s.model, &s.optimizer, &s.sampler, &s.progress),
                     ERR_FORMAT);
    unlink(path);
    assert_int_equal(train_checkpoint_load(path, &s.model, &s.optimizer, &s.sampler, &s.progress),
                     ERR_MISSING);
    session_release(&s);
    mem_free(path);
}

/* ---- a custom operator: weights rounded to eighths in both passes, the gradient straight through,
 * and one trained scale for the layer's output */

struct rounding {
    float rounded[64 * 32];
    float product[ROWS * 64];
    int forwards, backwards;
};

static void round_weights(struct rounding *r, const struct train_linear *l)
{
    for (int i = 0; i < l->out * l->in; i++)
        r->rounded[i] = roundf(l->weight[i] * 8.0f) / 8.0f;
}

static int rounding_forward(void *state, const struct train_linear *l, const float *x, int rows,
                            float *y)
{
    struct rounding *r = state;
    r->forwards++;
    round_weights(r, l);
    int rc = matmul_nt(x, r->rounded, rows, l->out, l->in, 0.0f, y);
    for (int i = 0; rc == 0 && i < rows * l->out; i++)
        y[i] *= l->extra[0];
    return rc;
}

static int rounding_backward(void *state, const struct train_linear *l, const float *x,
                             const float *dy, int rows, float beta, float *dx)
{
    struct rounding *r = state;
    int rc = 0;
    r->backwards++;
    round_weights(r, l);
    TRY(matmul_nt(x, r->rounded, rows, l->out, l->in, 0.0f, r->product));
    for (int i = 0; i < rows * l->out; i++) {
        l->extra_gradient[0] += dy[i] * r->product[i];
        r->product[i] = dy[i] * l->extra[0];
    }
    TRY(matmul_nn(r->product, r->rounded, rows, l->out, l->in, beta, dx));
    TRY(matmul_tn(r->product, x, rows, l->out, l->in, 1.0f, l->gradient));
out:
    return rc;
}

static size_t one_scale(void *state, const struct train_linear *l)
{
    return 1;
}

static void scale_of_one(void *state, const struct train_linear *l, float *extra)
{
    extra[0] = 1.0f;
}

static void test_custom_operator(void **state)
{
    struct rounding rounding = {.forwards = 0};
    struct train_operator operator= {.state = &rounding,
                                     .forward = rounding_forward,
                                     .backward = rounding_backward,
                                     .extra_count = one_scale,
                                     .extra_init = scale_of_one};
    struct session s, again;
    char *path = path_beside("operator");
    session_init(&s, &operator);
    double first = session_run(&s, 5), last;
    assert_int_equal(rounding.forwards, 5 * 2 * TRAIN_LINEARS);
    assert_int_equal(rounding.backwards, 5 * 2 * TRAIN_LINEARS);
    session_run(&s, 150);
    last = session_run(&s, 10);
    assert_true(last < first - 1.0);
    assert_true(s.model.weights[s.model.tensors[s.model.tensor_count - 2].offset] != 1.0f); /* the
                                                                                               last
                                                                                               scale
                                                                                               has
                                                                                               moved
                                                                                             */
    assert_int_equal(train_checkpoint_save(path, &s.model, &s.optimizer, &s.sampler, &s.progress),
                     0);
    session_init(&again, &operator);
    assert_int_equal(train_checkpoint_load(path, &again.model, &again.optimizer, &again.sampler,
                                           &again.progress),
                     0);
    assert_same_state(&s, &again);
    session_release(&s);
    session_release(&again);
    unlink(path);
    mem_free(path);
}

/* ---- pieces */

/* Every window of an epoch is drawn once, targets are tokens moved by one, and the corpora come in
 * their shares. */
static void test_sampler(void **state)
{
    struct toy toy;
    struct train_sampler sampler;
    int32_t tokens[CONTEXT], targets[CONTEXT];
    long counts[2] = {0}, ends = 0;
    toy_init(&toy);
    assert_int_equal(train_sampler_init(&sampler, toy.streams, 2, CONTEXT, 0, 1), 0);
    for (int i = 0; i < 3000; i++) {
        int64_t before = sampler.corpora[0].epoch * 1000 + sampler.corpora[0].next;
        assert_int_equal(train_sampler_draw(&sampler, 1, tokens, targets), 0);
        assert_memory_equal(tokens + 1, targets, (CONTEXT - 1) * sizeof *tokens);
        counts[sampler.corpora[0].epoch * 1000 + sampler.corpora[0].next == before]++;
        for (int j = 0; j < CONTEXT; j++)
            ends += tokens[j] == 0;
    }
    assert_in_range(counts[0], 900, 1100);
    assert_true(ends > 0);
    struct train_sampler_corpus *c = &sampler.corpora[1];
    char seen[1000] = {0};
    assert_true(c->windows >= DOCUMENTS / 2 * LONG / CONTEXT - 1 && c->windows < 1000);
    for (int64_t i = 0; i < c->windows; i++) {
        assert_in_range(c->order[i], 0, c->windows - 1);
        assert_int_equal(seen[c->order[i]]++, 0);
    }
    train_sampler_release(&sampler);
    toy.streams[0].count = 0;
    assert_int_equal(train_sampler_init(&sampler, toy.streams, 2, CONTEXT, 0, 1), ERR_USAGE);
    assert_non_null(strstr(err_text(), "first"));
}

static void test_schedule(void **state)
{
    struct train_schedule s = {TRAIN_COSINE, 1e-3, 0.1, 0.2, 100, 1100},
                          line = {TRAIN_TRAPEZOID, 1e-3, 0.1, 0.2, 100, 1000};
    assert_true(fabs(train_rate(&s, 50) - 5e-4) < 1e-12);
    assert_true(fabs(train_rate(&s, 100) - 1e-3) < 1e-12);
    assert_true(fabs(train_rate(&s, 600) - 0.55e-3) < 1e-12);
    assert_true(fabs(train_rate(&s, 1100) - 1e-4) < 1e-12);
    assert_true(fabs(train_rate(&line, 50) - 5e-4) < 1e-12);
    assert_true(fabs(train_rate(&line, 800) - 1e-3) < 1e-12);
    assert_true(fabs(train_rate(&line, 900) - 0.55e-3) < 1e-12);
    assert_true(fabs(train_rate(&line, 2000) - 1e-4) < 1e-12);
    s.warmup = 0;
    assert_true(fabs(train_rate(&s, 0) - 1e-3) < 1e-12);
}

/* The first AdamW step moves each weight by rate * sign(gradient), after shrinking matrices by rate
 * * decay. */
static void test_first_step(void **state)
{
    struct session s;
    double loss, norm, square = 0.0;
    session_init(&s, NULL);
    assert_int_equal(train_sampler_draw(&s.sampler, SEQUENCES, s.tokens, s.targets), 0);
    assert_int_equal(train_model_loss(&s.model, s.tokens, s.targets, true, &loss), 0);
    struct train_model *m = &s.model;
    float *weights, *gradients;
    assert_int_equal(mem_alloc(&weights, m->parameters, sizeof(float)), 0);
    assert_int_equal(mem_alloc(&gradients, m->parameters, sizeof(float)), 0);
    memcpy(weights, m->weights, m->parameters * sizeof(float));
    memcpy(gradients, m->gradients, m->parameters * sizeof(float));
    for (size_t i = 0; i < m->parameters; i++)
        square += (double)gradients[i] * (double)gradients[i];
    assert_int_equal(train_optimizer_step(&s.optimizer, m, 1e-2, 0.5 * sqrt(square), &norm), 0);
    assert_true(fabs(norm - sqrt(square)) < 1e-5 * norm);
    for (int t = 0; t < m->tensor_count; t++) {
        size_t at = m->tensors[t].offset;
        double shrink = m->tensors[t].rows ? 1.0 - 1e-2 * 0.1 : 1.0;
        if (fabs((double)gradients[at]) < 1e-5)
            continue;
        double expected = shrink * (double)weights[at] - 1e-2 * (gradients[at] > 0.0f ? 1.0 : -1.0);
        assert_true(fabs((double)m->weights[at] - expected) < 1e-4);
        assert_true(m->gradients[at] == 0.0f);
    }
    m->gradients[3] = NAN;
    assert_int_equal(train_optimizer_step(&s.optimizer, m, 1e-2, 1.0, &norm), ERR_NUMERIC);
    mem_free(weights);
    mem_free(gradients);
    session_release(&s);
}

static void test_bad_shapes(void **state)
{
    struct train_model model;
    struct model_config config = small;
    int32_t tokens[ROWS] = {0}, targets[ROWS] = {0};
    double loss;
    config.kv_heads = 3;
    assert_int_equal(train_model_init(&model, &config, NULL, 1, 8, 1), ERR_USAGE);
    config = small;
    config.head_size = 7;
    assert_int_equal(train_model_init(&model, &config, NULL, 1, 8, 1), ERR_USAGE);
    config = small;
    config.width = 1 << 30;
    assert_int_equal(train_model_init(&model, &config, NULL, 1, 8, 1), ERR_USAGE);
    assert_int_equal(train_model_init(&model, &small, NULL, SEQUENCES, CONTEXT, 1), 0);
    tokens[5] = VOCABULARY;
    assert_int_equal(train_model_loss(&model, tokens, targets, false, &loss), ERR_FORMAT);
    tokens[5] = 0;
    for (int i = 0; i < ROWS; i++)
        targets[i] = -1;
    assert_int_equal(train_model_loss(&model, tokens, targets, false, &loss), ERR_USAGE);
    train_model_release(&model);
}

/* Every allocation of set-up may fail: an error, no crash, nothing kept. */
static void test_out_of_memory(void **state)
{
    struct train_model model;
    int rc;
    long nth = 0;
    do {
        mem_fail_at(++nth);
        rc = train_model_init(&model, &small, NULL, 1, 8, 1);
        int planned = mem_fail_pending();
        mem_fail_at(0);
        assert_true(rc == ERR_MEMORY || (rc == 0 && planned));
    } while (rc != 0);
    assert_true(nth > 10);
    train_model_release(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_falls),
        cmocka_unit_test(test_threads_agree),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_dropout_gradient),
        cmocka_unit_test(test_resume_equals_uninterrupted),
        cmocka_unit_test(test_checkpoint_of_another_spec),
        cmocka_unit_test(test_custom_operator),
        cmocka_unit_test(test_sampler),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_first_step),
        cmocka_unit_test(test_bad_shapes),
        cmocka_unit_test(test_out_of_memory),
    };
    matmul_init();
    if (pool_start(2))
        return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failures;
}
