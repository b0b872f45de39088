/* Every family and variant against the plain forward pass in double precision, with the promises
 * that all of them make: a batch is its sequences, branches equal whole sequences, threads change
 * no bit, own products take part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pool.h"
#include "linalg/matmul.h"
#include "tests/fixture.h"
#include "tests/variants.h"

enum { LENGTH = 90 };

static void close_to(const char *name, const float *a, const float *b, size_t count, double most)
{
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        worst = fmax(worst, fabs((double)a[i] - (double)b[i]));
    if (!(worst < most))
        fail_msg("%s: values differ by %g", name, worst);
}

static void logits_agree_with_the_plain_pass(void **state)
{
    static const int offsets[] = {0, LENGTH};
    for (int v = 0; v < VARIANTS; v++) {
        struct plain plain;
        struct model model = {0};
        int32_t tokens[LENGTH];
        const size_t count = LENGTH * (size_t)variants[v].config.vocabulary;
        float *ours;
        double *right, worst = 0;
        open_variant(&variants[v].config, &plain, &model);
        FIXTURE_OK(mem_alloc(&ours, count, sizeof *ours));
        FIXTURE_OK(mem_alloc(&right, count, sizeof *right));
        draw_tokens(tokens, LENGTH, model.config.vocabulary, 3);
        float *x = forward(&model, tokens, offsets, 1, NULL);
        FIXTURE_OK(model_logits(&model, x, LENGTH, ours));
        plain_logits(&plain, tokens, LENGTH, right);
        for (size_t i = 0; i < count; i++)
            worst = fmax(worst, fabs((double)ours[i] - right[i]));
        print_message("%s: %.1e\n", variants[v].name, worst);
        assert_true(worst < 1e-4);
        mem_free(x);
        mem_free(ours);
        mem_free(right);
        plain_release(&plain);
        model_close(&model);
    }
}

/* To the last bit, and on one thread and on three. */
static void a_batch_is_its_sequences(void **state)
{
    static const int offsets[] = {0, 1, 40, LENGTH};
    for (int v = 0; v < VARIANTS; v++) {
        struct plain plain;
        struct model model = {0};
        int32_t tokens[LENGTH];
        open_variant(&variants[v].config, &plain, &model);
        const size_t width = (size_t)model.config.width;
        draw_tokens(tokens, LENGTH, model.config.vocabulary, 4);
        float *together = forward(&model, tokens, offsets, 3, NULL);
        for (int s = 0; s < 3; s++) {
            const int own[] = {0, offsets[s + 1] - offsets[s]};
            FIXTURE_OK(pool_start(s + 1));
            float *alone = forward(&model, tokens + offsets[s], own, 1, NULL);
            assert_memory_equal(alone, together + (size_t)offsets[s] * width,
                                (size_t)own[1] * width * sizeof *alone);
            mem_free(alone);
        }
        FIXTURE_OK(pool_start(2));
        mem_free(together);
        plain_release(&plain);
        model_close(&model);
    }
}

static void branches_equal_whole_sequences(void **state)
{
    enum { TRUNK = 30, BRANCHES = 3, MOST = 60 };
    static const int lengths[BRANCHES] = {20, 1, 25};
    for (int v = 0; v < VARIANTS; v++) {
        struct plain plain;
        struct model model = {0};
        int32_t tokens[TRUNK + MOST], whole[MOST];
        int branch[TRUNK + MOST] = {0}, rows = TRUNK;
        open_variant(&variants[v].config, &plain, &model);
        const size_t width = (size_t)model.config.width;
        draw_tokens(tokens, TRUNK + MOST, model.config.vocabulary, 21);
        for (int b = 0; b < BRANCHES; b++)
            for (int i = 0, begin = rows; i < lengths[b]; i++)
                branch[rows++] = begin;
        const int offsets[] = {0, rows};
        float *x = forward(&model, tokens, offsets, 1, branch);
        memcpy(whole, tokens, TRUNK * sizeof *whole);
        for (int b = 0, begin = TRUNK; b < BRANCHES; begin += lengths[b++]) {
            const int ends[] = {0, TRUNK + lengths[b]};
            memcpy(whole + TRUNK, tokens + begin, (size_t)lengths[b] * sizeof *whole);
            float *alone = forward(&model, whole, ends, 1, NULL);
            close_to(variants[v].name, alone, x, TRUNK * width, 1e-4);
            close_to(variants[v].name, alone + TRUNK * width, x + (size_t)begin * width,
                     (size_t)lengths[b] * width, 1e-4);
            mem_free(alone);
        }
        mem_free(x);
        plain_release(&plain);
        model_close(&model);
    }
}

/* y = x W^T by the plain product: the bias is the forward pass's. */
static int own_product(const struct linear *linear, const float *x, int rows, float *y)
{
    return matmul_nt(x, linear->weight, rows, linear->out, linear->in, 0.0f, y);
}

struct taps {
    int calls[MODEL_MAX_INPUTS];
    float *inputs[MODEL_MAX_INPUTS];
};

static int keep_input(void *context, int input, const float *x, int rows, int width)
{
    struct taps *taps = context;
    const size_t count = (size_t)rows * (size_t)width;
    taps->calls[input]++;
    FIXTURE_OK(mem_alloc(&taps->inputs[input], count, sizeof *x));
    memcpy(taps->inputs[input], x, count * sizeof *x);
    return 0;
}

/* The tap sees what feeds the layers: recomputing fc2 or down from it gives the block's output. */
static void check_taps(const char *name, const struct model *model, struct block *block,
                       const struct batch *batch, const float *before, const float *after)
{
    const size_t size = LENGTH * (size_t)model->config.width;
    struct taps taps = {{0}, {0}};
    float *x;
    FIXTURE_OK(mem_alloc(&x, size, sizeof *x));
    memcpy(x, before, size * sizeof *x);
    FIXTURE_OK(model->architecture->block_forward(model, block, batch, x, keep_input, &taps));
    for (int i = 0; i < MODEL_MAX_INPUTS; i++)
        assert_int_equal(taps.calls[i], 1);
    if (model->config.norm_after) /* no norm stands before attention: its input is the block's */
        assert_memory_equal(taps.inputs[0], before, size * sizeof *x);
    else {
        const struct linear *o = &block->linears[3],
                            *last = &block->linears[block->linear_count - 1];
        memcpy(x, before, size * sizeof *x);
        FIXTURE_OK(matmul_nt(taps.inputs[1], o->weight, LENGTH, o->out, o->in, 1.0f, x));
        FIXTURE_OK(matmul_nt(taps.inputs[3], last->weight, LENGTH, last->out, last->in, 1.0f, x));
        for (size_t i = 0; i < size; i++) {
            x[i] += o->bias ? o->bias[i % (size_t)o->out] : 0;
            x[i] += last->bias ? last->bias[i % (size_t)last->out] : 0;
        }
        close_to(name, x, after, size, 1e-4);
    }
    for (int i = 0; i < MODEL_MAX_INPUTS; i++)
        mem_free(taps.inputs[i]);
    mem_free(x);
}

/* Of the last block only rows with a target come out, the same to the last bit. */
static void check_targets(const struct model *model, const struct block *block, struct batch batch,
                          const float *before, const float *after)
{
    const size_t width = (size_t)model->config.width;
    int32_t targets[LENGTH];
    float *x;
    FIXTURE_OK(mem_alloc(&x, LENGTH * width, sizeof *x));
    batch.targets = targets;
    for (int turn = 0; turn < 3; turn++) { /* none; all; a few in groups */
        for (int r = 0; r < LENGTH; r++)
            targets[r] = turn == 0 || (turn == 2 && r / 5 % 3) ? -1 : r;
        memcpy(x, before, LENGTH * width * sizeof *x);
        FIXTURE_OK(model->architecture->block_forward(model, block, &batch, x, NULL, NULL));
        for (size_t r = 0; r < LENGTH; r++)
            if (targets[r] >= 0)
                assert_memory_equal(x + r * width, after + r * width, width * sizeof *x);
    }
    mem_free(x);
}

static void taps_and_own_products_change_nothing(void **state)
{
    static const int offsets[] = {0, 40, LENGTH};
    for (int v = 0; v < VARIANTS; v++) {
        struct plain plain;
        struct model model = {0};
        struct block block;
        int32_t tokens[LENGTH];
        open_variant(&variants[v].config, &plain, &model);
        const struct architecture *family = model.architecture;
        struct batch batch = {.tokens = tokens, .offsets = offsets, .count = 2};
        const size_t size = LENGTH * (size_t)model.config.width;
        float *before, *after, *own;
        draw_tokens(tokens, LENGTH, model.config.vocabulary, 9);
        FIXTURE_OK(mem_alloc(&before, size, sizeof *before));
        FIXTURE_OK(mem_alloc(&after, size, sizeof *after));
        FIXTURE_OK(mem_alloc(&own, size, sizeof *own));
        FIXTURE_OK(family->load_block(&model, 1, &block));
        FIXTURE_OK(family->embed(&model, &batch, before));
        memcpy(after, before, size * sizeof *own);
        FIXTURE_OK(family->block_forward(&model, &block, &batch, after, NULL, NULL));
        check_taps(variants[v].name, &model, &block, &batch, before, after);
        check_targets(&model, &block, batch, before, after);
        for (int mask = 1; mask < 1 << block.linear_count; mask = 3 * mask + 1) {
            for (int i = 0; i < block.linear_count; i++)
                block.linears[i].apply = mask >> i & 1 ? own_product : NULL;
            memcpy(own, before, size * sizeof *own);
            FIXTURE_OK(family->block_forward(&model, &block, &batch, own, NULL, NULL));
            close_to(variants[v].name, own, after, size, 1e-4);
            check_targets(&model, &block, batch, before, own);
        }
        mem_free(before);
        mem_free(after);
        mem_free(own);
        block_release(&block);
        plain_release(&plain);
        model_close(&model);
    }
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    folder = fixture_folder("families");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_agree_with_the_plain_pass),
        cmocka_unit_test(a_batch_is_its_sequences),
        cmocka_unit_test(branches_equal_whole_sequences),
        cmocka_unit_test(taps_and_own_products_change_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    mem_free(folder);
    return failed;
}
