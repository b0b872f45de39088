/* Along a model that carries the reference's own quantized weights, our Hessians and logits are the
 * reference's. Without that, the first weight that goes to the other side of a tie in float32
 * changes what all later layers see. What the methods make of a given Hessian is tested in
 * test_golden_model. */
#include "core/pool.h"
#include "linalg/hessian.h"
#include "model/model.h"
#include "tests/fixture.h"
#include "tests/golden.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { LENGTH = 128, SEGMENTS = 16, INPUTS = MODEL_MAX_INPUTS };

struct chain {
    struct model model;
    struct tensor_table *saved, *ids, *logits;
    struct hessian hessians[INPUTS];
    double worst; /* relative difference of a Hessian */
};

static void open_table(struct tensor_table **out, const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/models/%s", folder, name);
    FIXTURE_OK(safetensors_open_file(out, path));
}

static void chain_open(struct chain *chain, const char *folder, const char *kind, const char *run)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/models/%s", folder, kind);
    FIXTURE_OK(model_open(&chain->model, path));
    open_table(&chain->ids, folder, "tiny_ids.safetensors");
    snprintf(path, sizeof path, "%s.runs/%s.saved.safetensors", kind, run);
    open_table(&chain->saved, folder, path);
    snprintf(path, sizeof path, "%s.runs/%s.logits.safetensors", kind, run);
    open_table(&chain->logits, folder, path);
}

static void chain_close(struct chain *chain)
{
    tensor_table_free(chain->ids);
    tensor_table_free(chain->saved);
    tensor_table_free(chain->logits);
    model_close(&chain->model);
}

static int32_t *read_ids(const struct chain *chain, const char *name, int count)
{
    const struct tensor *tensor;
    int32_t *ids;
    FIXTURE_OK(tensor_table_get(chain->ids, name, &tensor));
    assert_true(tensor->count >= (size_t)count);
    FIXTURE_OK(mem_alloc(&ids, tensor->count, sizeof *ids));
    FIXTURE_OK(tensor_to_int32(tensor, ids));
    return ids;
}

static int see(void *context, int input, const float *x, int rows, int width)
{
    struct chain *chain = context;
    FIXTURE_OK(hessian_init(&chain->hessians[input], width));
    return hessian_add(&chain->hessians[input], x, rows, SEGMENTS);
}

static void compare_hessian(struct chain *chain, const char *name, const struct hessian *hessian)
{
    char key[MODEL_NAME_SIZE + 8];
    size_t n = (size_t)hessian->size;
    float *right;
    double difference = 0, norm = 0;
    snprintf(key, sizeof key, "%s.H", name);
    FIXTURE_OK(mem_alloc(&right, n * n, sizeof *right));
    FIXTURE_OK(tensor_table_read(chain->saved, key, n, n, right));
    for (size_t i = 0; i < n * n; i++) {
        difference += pow((double)hessian->matrix[i] - (double)right[i], 2);
        norm += pow((double)right[i], 2);
    }
    chain->worst = fmax(chain->worst, sqrt(difference / norm));
    mem_free(right);
}

/* The block's linear layers become the reference's. */
static void take_weights(const struct chain *chain, int layer, struct block *block)
{
    for (int i = 0; i < block->linear_count; i++) {
        struct linear *linear = &block->linears[i];
        char name[MODEL_NAME_SIZE], key[MODEL_NAME_SIZE + 8];
        model_linear_name(&chain->model, layer, linear->name, name);
        snprintf(key, sizeof key, "%s.W_q", name);
        FIXTURE_OK(tensor_table_read(chain->saved, key, (size_t)linear->out, (size_t)linear->in,
                                     linear->weight));
    }
}

/* One block: its Hessians for the calibration rows x, then both streams through what the reference
 * made of it. */
static void run_block(struct chain *chain, int layer, const struct batch *calibration, float *x,
                      const struct batch *test, float *y)
{
    const struct model *model = &chain->model;
    const size_t size = (size_t)(SEGMENTS * LENGTH) * (size_t)model->config.width;
    struct block block;
    float *copy;
    FIXTURE_OK(model->architecture->load_block(model, layer, &block));
    FIXTURE_OK(mem_alloc(&copy, size, sizeof *copy));
    memcpy(copy, x, size * sizeof *x);
    FIXTURE_OK(model->architecture->block_forward(model, &block, calibration, copy, see, chain));
    for (int i = 0; i < block.input_count; i++)
        hessian_finish(&chain->hessians[i]);
    for (int i = 0; i < block.linear_count; i++) {
        char name[MODEL_NAME_SIZE];
        model_linear_name(model, layer, block.linears[i].name, name);
        compare_hessian(chain, name, &chain->hessians[block.linears[i].input]);
    }
    for (int i = 0; i < block.input_count; i++)
        hessian_release(&chain->hessians[i]);
    take_weights(chain, layer, &block);
    FIXTURE_OK(model->architecture->block_forward(model, &block, calibration, x, NULL, NULL));
    FIXTURE_OK(model->architecture->block_forward(model, &block, test, y, NULL, NULL));
    mem_free(copy);
    block_release(&block);
}

/* *worst = the largest difference of a logit of the first test window. */
static double compare_logits(const struct chain *chain, const float *y)
{
    const struct tensor *tensor = tensor_table_at(chain->logits, 0);
    double worst = 0;
    float *right, *ours;
    assert_int_equal(tensor->count, (size_t)LENGTH * (size_t)chain->model.config.vocabulary);
    FIXTURE_OK(mem_alloc(&right, tensor->count, sizeof *right));
    FIXTURE_OK(mem_alloc(&ours, tensor->count, sizeof *ours));
    FIXTURE_OK(tensor_to_float(tensor, right));
    FIXTURE_OK(model_logits(&chain->model, y, LENGTH, ours));
    for (size_t i = 0; i < tensor->count; i++)
        worst = fmax(worst, fabs((double)ours[i] - (double)right[i]));
    mem_free(right);
    mem_free(ours);
    return worst;
}

static void follow(const char *kind, const char *run)
{
    const char *folder = golden_folder();
    if (!folder) {
        print_message("skipped: ../shared/golden is not here\n");
        skip();
    }
    struct chain chain = {.worst = 0};
    int offsets[SEGMENTS + 1];
    float *x, *y;
    chain_open(&chain, folder, kind, run);
    const size_t width = (size_t)chain.model.config.width;
    int32_t *segments = read_ids(&chain, "calib", SEGMENTS * LENGTH);
    int32_t *window = read_ids(&chain, "test", LENGTH);
    for (int s = 0; s <= SEGMENTS; s++)
        offsets[s] = s * LENGTH;
    const struct batch calibration = {.tokens = segments, .offsets = offsets, .count = SEGMENTS};
    const struct batch test = {.tokens = window, .offsets = offsets, .count = 1};
    FIXTURE_OK(mem_alloc(&x, (size_t)(SEGMENTS * LENGTH) * width, sizeof *x));
    FIXTURE_OK(mem_alloc(&y, LENGTH * width, sizeof *y));
    FIXTURE_OK(chain.model.architecture->embed(&chain.model, &calibration, x));
    FIXTURE_OK(chain.model.architecture->embed(&chain.model, &test, y));
    for (int layer = 0; layer < chain.model.config.layers; layer++)
        run_block(&chain, layer, &calibration, x, &test, y);
    double logits = compare_logits(&chain, y);
    print_message("%s %s: Hessians differ by at most %.1e, logits by %.1e\n", kind, run,
                  chain.worst, logits);
    assert_true(chain.worst < 5e-6);
    assert_true(logits < 3e-5);
    mem_free(x);
    mem_free(y);
    mem_free(segments);
    mem_free(window);
    chain_close(&chain);
}

static void test_opt(void **state)
{
    follow("tiny_opt", "gptq2");
}

static void test_llama(void **state)
{
    follow("tiny_llama", "pb_xnor0.9_hess_g128");
    follow("tiny_llama", "billm_hess_bs128");
}

int main(int argc, char **argv)
{
    fixture_start(argv, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_opt), cmocka_unit_test(test_llama)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
