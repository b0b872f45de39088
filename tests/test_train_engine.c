/* The trainer's forward pass and the engine's are two programs for one model: a model that the
 * trainer exports has the same losses in the engine, row by row, whatever the lengths. */
#include "core/pool.h"
#include "linalg/matmul.h"
#include "model/model.h"
#include "model/safetensors.h"
#include "tests/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { SEQUENCES = 2, VOCABULARY = 300, LONGEST = 600 };

static const struct model_config shape = {.architecture = "llama",
                                          .layers = 2,
                                          .width = 128,
                                          .hidden = 160,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_size = 64,
                                          .vocabulary = VOCABULARY,
                                          .max_positions = LONGEST,
                                          .norm_epsilon = 1e-5,
                                          .rope_theta = 10000,
                                          .tied_head = true,
                                          .bos_id = 0,
                                          .eos_id = 0};

/* Weights large enough that attention is far from uniform. */
static void stir(struct train_model *model)
{
    struct rng rng;
    rng_seed(&rng, 3);
    for (size_t i = 0; i < model->parameters; i++)
        model->weights[i] += (float)rng_normal(&rng) * 0.08f;
}

/* The trainer's model takes the exported weights back, which are rounded to float16. */
static void round_weights(struct train_model *model, const char *folder)
{
    struct tensor_table *file;
    FIXTURE_OK(tensor_table_open_folder(&file, folder));
    for (int i = 0; i < model->tensor_count; i++) {
        const struct train_tensor *t = &model->tensors[i];
        FIXTURE_OK(tensor_table_read(file, t->name, (size_t)(t->rows ? t->rows : t->columns),
                                     (size_t)(t->rows ? t->columns : 0),
                                     model->weights + t->offset));
    }
    tensor_table_free(file);
}

static void compare(const char *folder, int context)
{
    struct train_model trainer;
    struct model engine = {0};
    struct rng rng;
    int rows = SEQUENCES * context, offsets[SEQUENCES + 1] = {0, context, 2 * context};
    int32_t *tokens, *targets;
    float *x;
    struct token_score *scores;
    double loss, worst = 0.0;
    FIXTURE_OK(mem_calloc(&tokens, (size_t)rows, sizeof *tokens));
    FIXTURE_OK(mem_calloc(&targets, (size_t)rows, sizeof *targets));
    FIXTURE_OK(mem_calloc(&x, (size_t)rows * (size_t)shape.width, sizeof *x));
    FIXTURE_OK(mem_calloc(&scores, (size_t)rows, sizeof *scores));
    rng_seed(&rng, (uint64_t)context);
    for (int r = 0; r < rows; r++) {
        tokens[r] = (int32_t)rng_below(&rng, VOCABULARY);
        targets[r] = (int32_t)rng_below(&rng, VOCABULARY);
    }
    FIXTURE_OK(train_model_init(&trainer, &shape, NULL, SEQUENCES, context, 1));
    stir(&trainer);
    FIXTURE_OK(train_export(folder, &trainer));
    round_weights(&trainer, folder);
    FIXTURE_OK(train_model_loss(&trainer, tokens, targets, false, &loss));
    FIXTURE_OK(model_open(&engine, folder));
    const struct batch batch = {.tokens = tokens, .offsets = offsets, .count = SEQUENCES};
    FIXTURE_OK(model_forward(&engine, &batch, x));
    FIXTURE_OK(model_score(&engine, x, targets, rows, scores));
    for (int r = 0; r < rows; r++)
        worst = fmax(worst, fabs((double)trainer.row_loss[r] + (double)scores[r].log_probability));
    if (!(worst < 2e-4))
        fail_msg("%d tokens: losses of a row differ by up to %.3g", context, worst);
    model_close(&engine);
    train_model_release(&trainer);
    mem_free(tokens);
    mem_free(targets);
    mem_free(x);
    mem_free(scores);
}

static void test_same_losses(void **state)
{
    static const int lengths[] = {2, 31, 40, 64, 65, 130, 256, LONGEST};
    char *folder = fixture_folder("train_engine");
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        compare(folder, lengths[i]);
    mem_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_losses),
    };
    matmul_init();
    if (pool_start(2))
        return 1;
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failures;
}
