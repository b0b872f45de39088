/* BiLLM in float32 against its twin in double precision (tests/billm_double.h), decision by
 * decision, on matrices made here. */
#include "core/pool.h"
#include "methods/method.h"
#include "tests/billm_double.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Same decisions, W_q of two float32 numbers for each group: what is left. */
static const double loss_bar = 1e-5;

struct made {
    int rows, columns, block;
    bool magnitude;
    uint64_t seed;
};

/* What the method made of one matrix. */
struct ours {
    float *weight, *quantized;
    struct hessian hessian;
    struct layer_result result;
    const uint8_t *groups;
    const float *splits;
};

/* Weights with columns of different size; H of inputs that depend on each other; one dead input. */
static void make_problem(const struct made *m, struct ours *o)
{
    size_t n = (size_t)m->columns, tokens = 2 * n;
    struct rng rng;
    float *x;
    rng_seed(&rng, m->seed);
    FIXTURE_OK(mem_alloc(&o->weight, (size_t)m->rows * n, sizeof *o->weight));
    FIXTURE_OK(mem_alloc(&o->quantized, (size_t)m->rows * n, sizeof *o->quantized));
    FIXTURE_OK(mem_alloc(&x, tokens * n, sizeof *x));
    for (size_t i = 0; i < (size_t)m->rows * n; i++)
        o->weight[i] = (float)(rng_normal(&rng) * (1 + (double)(i % n % 7)) / 50);
    for (size_t t = 0; t < tokens; t++) {
        double shared = rng_normal(&rng);
        for (size_t i = 0; i < n; i++)
            x[t * n + i] = i == 5 ? 0 : (float)(rng_normal(&rng) + shared * (double)(i % 3));
    }
    FIXTURE_OK(hessian_init(&o->hessian, m->columns));
    FIXTURE_OK(hessian_add(&o->hessian, x, (int)tokens, 4));
    hessian_finish(&o->hessian);
    mem_free(x);
}

static void run_ours(const struct made *m, struct ours *o)
{
    const struct quant_method *method = method_find("billm");
    struct arena arena = {0};
    char block[16];
    void *options;
    *o = (struct ours){0};
    make_problem(m, o);
    o->result.quantized = o->quantized;
    FIXTURE_OK(mem_calloc(&options, 1, method->options_size));
    FIXTURE_OK(options_defaults(method->options, options));
    snprintf(block, sizeof block, "%d", m->block);
    FIXTURE_OK(options_set(method->options, options, "block_size", block, "test"));
    FIXTURE_OK(options_set(method->options, options, "salient_metric",
                           m->magnitude ? "magnitude" : "hessian", "test"));
    struct layer_problem problem = {.name = "made",
                                    .weight = o->weight,
                                    .rows = m->rows,
                                    .columns = m->columns,
                                    .hessian = &o->hessian,
                                    .arena = &arena};
    FIXTURE_OK(method->quantize_layer(options, &problem, &o->result));
    o->groups = packed_find(&o->result.details, "partition")->data;
    o->splits = packed_find(&o->result.details, "split")->data;
    arena_release(&arena);
    mem_free(options);
}

static void release_ours(struct ours *o)
{
    layer_result_release(&o->result);
    hessian_release(&o->hessian);
    mem_free(o->weight);
    mem_free(o->quantized);
}

static double *widen(const float *from, size_t count)
{
    double *to = double_array(count);
    for (size_t i = 0; i < count; i++)
        to[i] = (double)from[i];
    return to;
}

/* The twin on the same numbers, following `groups`. */
static void run_twin(const struct made *m, const struct ours *o, const uint8_t *groups,
                     struct billm_double *t)
{
    *t = (struct billm_double){.rows = m->rows,
                               .columns = m->columns,
                               .block = m->block,
                               .magnitude = m->magnitude,
                               .percdamp = 0.01,
                               .follow_groups = groups,
                               .follow_splits = o->splits,
                               .follow_values = o->quantized};
    t->weight = widen(o->weight, (size_t)m->rows * (size_t)m->columns);
    t->hessian = widen(o->hessian.matrix, (size_t)m->columns * (size_t)m->columns);
    billm_double_run(t);
}

static void release_twin(struct billm_double *t)
{
    double *weight = (double *)t->weight, *hessian = (double *)t->hessian;
    mem_free(weight);
    mem_free(hessian);
    billm_double_release(t);
}

static double loss_of(const struct billm_double *t, const float *quantized)
{
    struct billm_double other = *t;
    other.quantized = widen(quantized, (size_t)t->rows * (size_t)t->columns);
    double loss = double_loss(&other);
    mem_free(other.quantized);
    return loss;
}

/* The last has blocks of fewer columns than the search tries. */
static const struct made made[] = {{64, 300, 128, false, 1},
                                   {48, 256, 64, false, 2},
                                   {96, 200, 128, true, 3},
                                   {200, 140, 60, true, 4},
                                   {33, 100, 40, false, 5}};
enum { MADE = sizeof made / sizeof *made };

static void test_made_matrices(void **state)
{
    for (int i = 0; i < MADE; i++) {
        const struct made *m = &made[i];
        struct ours ours;
        struct billm_double twin;
        char where[64];
        long off = 0;
        run_ours(m, &ours);
        run_twin(m, &ours, ours.groups, &twin);
        double loss = double_loss(&twin), apart = loss_of(&twin, ours.quantized) / loss - 1;
        for (int r = 0; r < m->rows; r++)
            off += double_first_difference(&twin, twin.quantized + (long)r * m->columns,
                                           ours.quantized, r, 0, m->columns) >= 0;
        snprintf(where, sizeof where, "%d x %d, blocks of %d, %s", m->rows, m->columns, m->block,
                 m->magnitude ? "magnitude" : "hessian");
        print_message("%-36s loss %.9g, float32's %+.1e, %ld rows with another value\n", where,
                      loss, apart, off);
        assert_true(double_ties(where, &twin));
        assert_true(fabs(apart) < loss_bar);
        assert_int_equal(off, 0);
        release_twin(&twin);
        release_ours(&ours);
    }
}

/* The comparison sees what is wrong: each of these decisions, in the last block, is worse by more
 * than a rounding. */
static void test_wrong_decisions_show(void **state)
{
    const struct made *m = &made[0];
    struct ours ours;
    struct billm_double twin;
    size_t n = (size_t)m->columns, count = (size_t)m->rows * n, changed = count - 1;
    uint8_t *groups;
    run_ours(m, &ours);
    FIXTURE_OK(mem_alloc(&groups, count, 1));
    memcpy(groups, ours.groups, count);
    while (groups[changed] == DOUBLE_SALIENT)
        changed--;
    groups[changed] = DOUBLE_INNER + DOUBLE_OUTER - groups[changed];
    run_twin(m, &ours, groups, &twin);
    assert_int_equal(twin.taken[DECIDED_GROUP], 1);
    assert_true(twin.margin[DECIDED_GROUP] > double_tie);
    release_twin(&twin);
    memcpy(groups, ours.groups, count);
    const size_t small = 280; /* a column with small weights: see make_problem */
    assert_true(groups[small] != DOUBLE_SALIENT);
    for (size_t r = 0; r < (size_t)m->rows; r++)
        groups[r * n + small] = DOUBLE_SALIENT;
    run_twin(m, &ours, groups, &twin);
    assert_int_equal(twin.taken[DECIDED_COLUMNS], 1);
    assert_true(twin.margin[DECIDED_COLUMNS] > double_tie);
    assert_int_equal(twin.taken[DECIDED_RANK], 1);
    assert_true(twin.margin[DECIDED_RANK] > double_tie);
    release_twin(&twin);
    mem_free(groups);
    release_ours(&ours);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_made_matrices),
                                       cmocka_unit_test(test_wrong_decisions_show)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
