/* The LLaMA engine against a plain double-precision forward pass, and its promises: the same bytes
 * for every number of threads, batches, taps and own linear operators; and bad model folders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pool.h"
#include "linalg/matmul.h"
#include "linalg/simd.h"
#include "model/transformer.h"
#include "tests/expect.h"
#include "tests/fixture.h"
#include "tests/golden.h"
#include "tests/plain_model.h"

static const char folder[] = "build/test_llama";

static const struct model_config grouped = {.architecture = "llama",
                                            .layers = 3,
                                            .width = 96,
                                            .hidden = 160,
                                            .heads = 6,
                                            .kv_heads = 2,
                                            .head_size = 16,
                                            .vocabulary = 1500,
                                            .max_positions = 512,
                                            .norm_epsilon = 1e-5,
                                            .rope_theta = 10000,
                                            .tied_head = true,
                                            .bos_id = 1,
                                            .eos_id = 2};
static const struct model_config untied = {.architecture = "llama",
                                           .layers = 2,
                                           .width = 64,
                                           .hidden = 100,
                                           .heads = 4,
                                           .kv_heads = 4,
                                           .head_size = 16,
                                           .vocabulary = 300,
                                           .max_positions = 512,
                                           .norm_epsilon = 1e-6,
                                           .rope_theta = 500000,
                                           .bos_id = -1,
                                           .eos_id = 2};
static const struct model_config wide_heads = {.architecture = "llama",
                                               .layers = 2,
                                               .width = 128,
                                               .hidden = 160,
                                               .heads = 2,
                                               .kv_heads = 2,
                                               .head_size = 64,
                                               .vocabulary = 200,
                                               .max_positions = 512,
                                               .norm_epsilon = 1e-5,
                                               .rope_theta = 10000,
                                               .tied_head = true,
                                               .bos_id = -1,
                                               .eos_id = -1};
static const struct model_config odd_heads = {.architecture = "llama",
                                              .layers = 2,
                                              .width = 72,
                                              .hidden = 90,
                                              .heads = 3,
                                              .kv_heads = 1,
                                              .head_size = 10,
                                              .vocabulary = 77,
                                              .max_positions = 512,
                                              .norm_epsilon = 1e-5,
                                              .rope_theta = 10000,
                                              .bos_id = -1,
                                              .eos_id = -1};

static void draw_tokens(int32_t *tokens, int count, int vocabulary, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (int i = 0; i < count; i++)
        tokens[i] = (int32_t)rng_below(&rng, (uint64_t)vocabulary);
}

static struct model *open_model(const struct model_config *config, enum dtype dtype)
{
    struct plain plain;
    struct model *model = NULL;
    assert_int_equal(plain_random(&plain, config, 7), 0);
    assert_int_equal(plain_write(&plain, folder, dtype), 0);
    plain_release(&plain);
    assert_int_equal(mem_calloc(&model, 1, sizeof *model), 0);
    if (model_open(model, folder) != 0)
        fail_msg("%s", err_text());
    return model;
}

static void close_model(struct model *model)
{
    model_close(model);
    mem_free(model);
}

static float *floats(size_t count)
{
    float *out;
    assert_int_equal(mem_alloc(&out, count, sizeof *out), 0);
    return out;
}

/* Hidden states of the whole model. */
static float *forward(const struct model *model, const int32_t *tokens, const int *offsets,
                      int count)
{
    struct batch batch = {.tokens = tokens, .offsets = offsets, .count = count};
    float *x = floats((size_t)offsets[count] * (size_t)model->config.width);
    assert_int_equal(model_forward(model, &batch, x), 0);
    return x;
}

static void check_against_plain(const struct model_config *config, int length, enum dtype dtype)
{
    struct plain plain;
    int32_t tokens[400];
    const int offsets[] = {0, length};
    size_t count = (size_t)length * (size_t)config->vocabulary;
    draw_tokens(tokens, length, config->vocabulary, 3);
    struct model *model = open_model(config, dtype);
    float *x = forward(model, tokens, offsets, 1), *logits = floats(count);
    double *right;
    assert_int_equal(mem_alloc(&right, count, sizeof *right), 0);
    assert_int_equal(plain_random(&plain, config, 7), 0);
    plain_round(&plain, dtype);
    plain_logits(&plain, tokens, length, right);
    assert_int_equal(model_logits(model, x, length, logits), 0);
    double worst = 0;
    for (size_t i = 0; i < count; i++)
        worst = fmax(worst, fabs(logits[i] - right[i]));
    if (!(worst < 1e-4))
        fail_msg("logits differ from the plain forward pass by %g", worst);
    int32_t targets[400];
    struct token_score scores[400];
    draw_tokens(targets, length, config->vocabulary, 4);
    targets[length / 2] = -1;
    assert_int_equal(model_score(model, x, targets, length, scores), 0);
    for (int r = 0; r < length; r++) {
        const double *row = right + (size_t)r * (size_t)config->vocabulary;
        double sum = 0;
        for (int i = 0; i < config->vocabulary; i++)
            sum += exp(row[i]);
        double expected = targets[r] < 0 ? 0 : row[targets[r]] - log(sum);
        assert_true(fabs(scores[r].log_probability - expected) < 1e-4);
        for (int i = 0; targets[r] >= 0 && i < config->vocabulary; i++)
            assert_true(row[i] <= row[scores[r].top] + 1e-4);
    }
    mem_free(x);
    mem_free(logits);
    mem_free(right);
    plain_release(&plain);
    close_model(model);
}

static void logits_agree_with_a_plain_forward(void **state)
{
    check_against_plain(&grouped, 70, DTYPE_F32);
    check_against_plain(&untied, 140, DTYPE_F32);
    check_against_plain(&odd_heads, 33, DTYPE_F32);
    check_against_plain(&wide_heads, 100, DTYPE_F32);
    check_against_plain(&grouped, 1, DTYPE_F32);
}

static void every_instruction_set_agrees(void **state)
{
    struct simd before = simd;
    const struct simd *set;
    for (int i = 0; (set = simd_set(i)) != NULL; i++) {
        assert_true(simd_choose(set->name));
        check_against_plain(&grouped, 70, DTYPE_F32);
    }
    simd = before;
}

static void half_precision_weights_are_read(void **state)
{
    check_against_plain(&untied, 20, DTYPE_F16);
    check_against_plain(&grouped, 20, DTYPE_BF16);
}

static void threads_do_not_change_a_bit(void **state)
{
    enum { LENGTH = 300 };
    int32_t tokens[LENGTH], targets[LENGTH];
    const int offsets[] = {0, 170, 171, LENGTH};
    struct token_score scores[3][LENGTH];
    float *x[3];
    struct model *model = open_model(&grouped, DTYPE_F32);
    draw_tokens(tokens, LENGTH, model->config.vocabulary, 5);
    draw_tokens(targets, LENGTH, model->config.vocabulary, 6);
    for (int threads = 1; threads <= 3; threads++) {
        assert_int_equal(pool_start(threads), 0);
        x[threads - 1] = forward(model, tokens, offsets, 3);
        assert_int_equal(model_score(model, x[threads - 1], targets, LENGTH, scores[threads - 1]),
                         0);
    }
    for (int i = 1; i < 3; i++) {
        assert_memory_equal(x[0], x[i], LENGTH * (size_t)grouped.width * sizeof *x[0]);
        assert_memory_equal(scores[0], scores[i], sizeof scores[0]);
    }
    for (int i = 0; i < 3; i++)
        mem_free(x[i]);
    assert_int_equal(pool_start(2), 0);
    close_model(model);
}

/* To the last bit: no row's result depends on the rows beside it. */
static void a_batch_is_its_sequences(void **state)
{
    enum { LENGTH = 260 };
    int32_t tokens[LENGTH];
    const int offsets[] = {0, 1, 67, 68, 200, LENGTH};
    struct model *model = open_model(&grouped, DTYPE_F32);
    size_t width = (size_t)grouped.width;
    draw_tokens(tokens, LENGTH, grouped.vocabulary, 8);
    float *together = forward(model, tokens, offsets, 5);
    for (int s = 0; s < 5; s++) {
        const int own[] = {0, offsets[s + 1] - offsets[s]};
        float *alone = forward(model, tokens + offsets[s], own, 1);
        assert_memory_equal(alone, together + (size_t)offsets[s] * width,
                            (size_t)own[1] * width * sizeof *alone);
        mem_free(alone);
    }
    mem_free(together);
    close_model(model);
}

struct taps {
    int calls[4], rows, widths[4];
    float *inputs[4];
};

static int keep_input(void *context, int input, const float *x, int rows, int width)
{
    struct taps *taps = context;
    taps->calls[input]++;
    taps->rows = rows;
    taps->widths[input] = width;
    mem_free(taps->inputs[input]);
    taps->inputs[input] = floats((size_t)rows * (size_t)width);
    memcpy(taps->inputs[input], x, (size_t)rows * (size_t)width * sizeof *x);
    return 0;
}

/* y = x W^T by the plain product. */
static int own_product(const struct linear *linear, const float *x, int rows, float *y)
{
    return matmul_nt(x, linear->weight, rows, linear->out, linear->in, 0.0f, y);
}

static void taps_and_own_products_change_nothing(void **state)
{
    enum { LENGTH = 280 };
    int32_t tokens[LENGTH];
    const int offsets[] = {0, 150, LENGTH};
    struct batch batch = {.tokens = tokens, .offsets = offsets, .count = 2};
    struct block block;
    struct linear saved[LLAMA_LINEARS];
    struct taps taps = {0};
    struct model *model = open_model(&grouped, DTYPE_F32);
    size_t size = LENGTH * (size_t)grouped.width;
    float *plain_x = floats(size), *tapped = floats(size), *own = floats(size);
    draw_tokens(tokens, LENGTH, grouped.vocabulary, 9);
    assert_int_equal(model->architecture->load_block(model, 1, &block), 0);
    assert_int_equal(model->architecture->embed(model, &batch, plain_x), 0);
    memcpy(tapped, plain_x, size * sizeof *own);
    assert_int_equal(model->architecture->block_forward(model, &block, &batch, plain_x, NULL, NULL),
                     0);
    assert_int_equal(
        model->architecture->block_forward(model, &block, &batch, tapped, keep_input, &taps), 0);
    static const int widths[] = {96, 96, 96, 160};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(taps.calls[i], 1);
        assert_int_equal(taps.widths[i], widths[i]);
    }
    assert_int_equal(taps.rows, LENGTH);
    /* o's input: its product added to the block's input is what the MLP's norm saw. */
    const float *norm = block.vectors[NORM_MLP];
    assert_int_equal(model->architecture->embed(model, &batch, own), 0);
    assert_int_equal(
        matmul_nt(taps.inputs[1], block.linears[LLAMA_O].weight, LENGTH, 96, 96, 1.0f, own), 0);
    for (int r = 0; r < LENGTH; r++) {
        float row[96];
        simd.rmsnorm(row, own + r * 96, norm, 1e-5f, 96);
        for (int i = 0; i < 96; i++)
            assert_true(fabsf(row[i] - taps.inputs[2][r * 96 + i]) < 1e-5f);
    }
    memcpy(saved, block.linears, sizeof saved);
    /* each alone, then all */
    for (int mask = 1; mask < 1 << LLAMA_LINEARS; mask = mask < 64 ? mask * 2 : mask + 63) {
        for (int i = 0; i < LLAMA_LINEARS; i++) {
            block.linears[i] = saved[i];
            if (mask >> i & 1)
                block.linears[i].apply = own_product;
        }
        assert_int_equal(model->architecture->embed(model, &batch, own), 0);
        assert_int_equal(model->architecture->block_forward(model, &block, &batch, own, NULL, NULL),
                         0);
        for (size_t i = 0; i < size; i++)
            assert_true(fabsf(own[i] - plain_x[i]) < 2e-5f * (1 + fabsf(plain_x[i])));
    }
    for (int i = 0; i < 4; i++)
        mem_free(taps.inputs[i]);
    mem_free(plain_x);
    mem_free(tapped);
    mem_free(own);
    block_release(&block);
    close_model(model);
}

static void shards_are_one_model(void **state)
{
    static const char sharded[] = "build/test_llama/shards";
    static const char *const files[] = {"model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors"};
    struct plain plain;
    int32_t tokens[] = {1, 2, 3};
    const int offsets[] = {0, 3};
    struct model model = {0};
    struct model *single = open_model(&untied, DTYPE_F32);
    assert_int_equal(plain_random(&plain, &untied, 7), 0);
    assert_int_equal(plain_write_part(&plain, sharded, files[0], DTYPE_F32, 0, 8, 0), 0);
    assert_int_equal(plain_write_part(&plain, sharded, files[1], DTYPE_F32, 8, plain.count, 0), 0);
    json_t *map = json_object(), *config = NULL;
    for (int i = 0; i < plain.count; i++)
        json_object_set_new(map, plain.tensors[i].name, json_string(files[i >= 8]));
    json_t *index = json_pack("{s:{}, s:o}", "metadata", "weight_map", map);
    assert_int_equal(
        json_dump_file(index, "build/test_llama/shards/model.safetensors.index.json", 0), 0);
    assert_int_equal(plain_config(&untied, &config), 0);
    assert_int_equal(plain_write_json(sharded, config), 0);
    if (model_open(&model, sharded) != 0)
        fail_msg("%s", err_text());
    float *a = forward(single, tokens, offsets, 1), *b = forward(&model, tokens, offsets, 1);
    assert_memory_equal(a, b, 3 * (size_t)untied.width * sizeof *a);
    mem_free(a);
    mem_free(b);
    json_decref(index);
    json_decref(config);
    plain_release(&plain);
    model_close(&model);
    close_model(single);
}

static void the_configuration_survives_a_round(void **state)
{
    static const struct model_config *const all[] = {&grouped, &untied, &odd_heads};
    for (int i = 0; i < 3; i++) {
        struct model_config back;
        json_t *json = NULL, *again = NULL;
        assert_int_equal(llama_config_to_json(all[i], "float32", &json), 0);
        assert_int_equal(architectures[0]->read_config(json, &back, "config.json"), 0);
        assert_int_equal(llama_config_to_json(&back, "float32", &again), 0);
        assert_true(json_equal(json, again));
        assert_int_equal(back.max_positions, all[i]->max_positions);
        assert_true(back.rope_theta == all[i]->rope_theta);
        json_decref(json);
        json_decref(again);
    }
}

static void bad_configurations_are_refused(void **state)
{
    static const struct {
        const char *key, *value, *words;
    } cases[] = {
        {"model_type", "\"gpt5\"", "not supported"},
        {"model_type", "null", "'model_type' is missing"},
        {"hidden_size", "null", "'hidden_size' is missing"},
        {"hidden_size", "97", "by config.json"},
        {"hidden_size", "-3", "is possible"},
        {"hidden_size", "9.5", "not a whole number"},
        {"intermediate_size", "161", "where (161 x 96) is needed by config.json"},
        {"num_hidden_layers", "4", "no tensor 'model.layers.3"},
        {"num_hidden_layers", "2", "has no place"},
        {"num_key_value_heads", "4", "evenly"},
        {"head_dim", "15", "even"},
        {"tie_word_embeddings", "false", "no tensor 'lm_head.weight'"},
        {"tie_word_embeddings", "3", "neither true nor false"},
        {"rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 8}",
         "'low_freq_factor' is missing"},
        {"rope_scaling", "{\"type\": \"longrope\", \"factor\": 8}", "not supported"},
        {"hidden_act", "\"gelu\"", "only 'silu'"},
        {"attention_bias", "true", "no tensor 'model.layers.0.self_attn.q_proj.bias'"},
        {"bos_token_id", "1500", "not a token id"},
        {"rms_norm_eps", "\"small\"", "not a number"},
    };
    struct model model = {0};
    close_model(open_model(&grouped, DTYPE_F32));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = NULL;
        assert_int_equal(llama_config_to_json(&grouped, "float32", &json), 0);
        json_object_set_new(json, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        assert_int_equal(plain_write_json(folder, json), 0);
        int rc = model_open(&model, folder);
        expect_error(rc, strstr(cases[i].words, "no tensor") ? ERR_MISSING : ERR_FORMAT,
                     cases[i].words);
        json_decref(json);
    }
}

static void bad_folders_are_refused(void **state)
{
    struct model model = {0};
    struct block block;
    struct plain plain;
    expect_error(model_open(&model, "build/test_llama/nothing"), ERR_MISSING, "config.json");
    close_model(open_model(&grouped, DTYPE_F32));
    assert_int_equal(remove("build/test_llama/model.safetensors"), 0);
    expect_error(model_open(&model, folder), ERR_MISSING, "model.safetensors.index.json");
    FILE *file = fopen("build/test_llama/config.json", "w");
    fputs("{\"model_type\": ", file);
    fclose(file);
    expect_error(model_open(&model, folder), ERR_FORMAT, "not valid JSON");
    assert_int_equal(plain_random(&plain, &grouped, 7), 0);
    plain.values[3][17] = NAN;
    assert_int_equal(plain_write(&plain, folder, DTYPE_F32), 0);
    assert_int_equal(model_open(&model, folder), 0);
    expect_error(model.architecture->load_block(&model, 0, &block), ERR_NUMERIC,
                 "q_proj.weight': element 17 is");
    model_close(&model);
    plain.values[0][3] = INFINITY;
    assert_int_equal(plain_write(&plain, folder, DTYPE_F32), 0);
    expect_error(model_open(&model, folder), ERR_NUMERIC,
                 "embed_tokens.weight': element 3 is infinite");
    plain_release(&plain);
}

static void bad_tokens_and_overflows_are_refused(void **state)
{
    int32_t tokens[] = {1500}, target[] = {3}, wrong[] = {1500};
    const int offsets[] = {0, 1};
    struct batch batch = {.tokens = tokens, .offsets = offsets, .count = 1};
    struct token_score score;
    float x[96] = {0};
    struct model *model = open_model(&grouped, DTYPE_F32);
    expect_error(model->architecture->embed(model, &batch, x), ERR_FORMAT, "token 1500");
    expect_error(model_score(model, x, wrong, 1, &score), ERR_FORMAT, "target 1500");
    x[0] = NAN;
    expect_error(model_score(model, x, target, 1, &score), ERR_NUMERIC, "not numbers");
    close_model(model);
}

/* With the k-th allocation failing, opening and running fail cleanly. */
static void short_memory_is_an_error(void **state)
{
    int32_t tokens[] = {1, 2, 3};
    const int offsets[] = {0, 3};
    struct batch batch = {.tokens = tokens, .offsets = offsets, .count = 1};
    float x[3 * 96];
    close_model(open_model(&grouped, DTYPE_F32));
    int failures = 0;
    for (long k = 1; k < 200; k++) {
        struct model model = {0};
        mem_fail_at(k);
        int rc = model_open(&model, folder);
        if (rc == 0)
            rc = model_forward(&model, &batch, x);
        int reached = !mem_fail_pending();
        mem_fail_at(0);
        model_close(&model);
        if (!reached)
            break;
        assert_int_equal(rc, ERR_MEMORY);
        failures++;
    }
    assert_true(failures > 15 && failures < 199);
}

static void golden_model_agrees(void **state)
{
    if (!golden_folder()) {
        print_message("skipped: no reference results in ../shared/golden\n");
        skip();
    }
    enum { LENGTH = 128, WINDOWS = 16, VOCABULARY = 512 };
    struct model model = {0};
    struct tensor_table *ids = NULL, *golden = NULL;
    const struct tensor *test = NULL, *logits = NULL;
    if (model_open(&model, "build/golden/models/tiny_llama") != 0)
        fail_msg("%s", err_text());
    assert_int_equal(safetensors_open_file(&ids, "build/golden/models/tiny_ids.safetensors"), 0);
    assert_int_equal(tensor_table_get(ids, "test", &test), 0);
    int32_t *tokens, targets[WINDOWS * LENGTH];
    assert_int_equal(mem_alloc(&tokens, test->count, sizeof *tokens), 0);
    assert_int_equal(tensor_to_int32(test, tokens), 0);
    int offsets[WINDOWS + 1];
    for (int w = 0; w <= WINDOWS; w++)
        offsets[w] = w * LENGTH;
    for (int i = 0; i < WINDOWS * LENGTH; i++)
        targets[i] = i % LENGTH == LENGTH - 1 ? -1 : tokens[i + 1];
    float *x = forward(&model, tokens, offsets, WINDOWS);
    static struct token_score scores[WINDOWS * LENGTH];
    assert_int_equal(model_score(&model, x, targets, WINDOWS * LENGTH, scores), 0);
    json_t *run = json_load_file("build/golden/models/tiny_llama.runs/fp.json", 0, NULL);
    for (int w = 0; w < WINDOWS; w++) {
        double sum = 0;
        for (int i = 0; i < LENGTH; i++)
            sum -= scores[w * LENGTH + i].log_probability;
        double right = json_number_value(
            json_array_get(json_object_get(run, "window_loss"), (size_t)w));
        if (!(fabs(sum / (LENGTH - 1) - right) < 1e-5))
            fail_msg("window %d: loss %.7f, the reference has %.7f", w, sum / (LENGTH - 1), right);
    }
    assert_int_equal(
        safetensors_open_file(&golden, "build/golden/models/tiny_llama.runs/fp.logits.safetensors"),
        0);
    logits = tensor_table_at(golden, 0);
    assert_int_equal(logits->count, LENGTH * VOCABULARY);
    float *right = floats(logits->count), *ours = floats(logits->count);
    assert_int_equal(tensor_to_float(logits, right), 0);
    assert_int_equal(model_logits(&model, x, LENGTH, ours), 0);
    for (int i = 0; i < LENGTH * VOCABULARY; i++)
        assert_true(fabsf(ours[i] - right[i]) < 1e-4f);
    mem_free(right);
    mem_free(ours);
    mem_free(x);
    mem_free(tokens);
    json_decref(run);
    tensor_table_free(ids);
    tensor_table_free(golden);
    model_close(&model);
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_agree_with_a_plain_forward),
        cmocka_unit_test(every_instruction_set_agrees),
        cmocka_unit_test(half_precision_weights_are_read),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(a_batch_is_its_sequences),
        cmocka_unit_test(taps_and_own_products_change_nothing),
        cmocka_unit_test(shards_are_one_model),
        cmocka_unit_test(the_configuration_survives_a_round),
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(bad_folders_are_refused),
        cmocka_unit_test(bad_tokens_and_overflows_are_refused),
        cmocka_unit_test(short_memory_is_an_error),
        cmocka_unit_test(golden_model_agrees),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    return failed;
}
