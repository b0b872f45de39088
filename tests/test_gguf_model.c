/* GGUF files as models: configuration, names and order of rows are those of the folder that the
 * file was made from; what cannot be is refused. BITBENCH_LONG=1: the perplexity of SmolLM2's
 * windows is that of transformers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/checkpoint.h"
#include "tests/expect.h"
#include "tests/gguf_model_build.h"
#include "tests/golden.h"
#include "tests/smollm2.h"

static char *folder, *gguf_file;

static const struct model_config small = {.architecture = "llama",
                                          .layers = 2,
                                          .width = 32,
                                          .hidden = 48,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_size = 8,
                                          .vocabulary = 40,
                                          .max_positions = 64,
                                          .norm_epsilon = 0x1p-16,
                                          .rope_theta = 5000,
                                          .bos_id = 1,
                                          .eos_id = -1};

static void write_built(struct gguf_build *b)
{
    struct strbuf bytes = {0};
    struct file_writer writer = {0};
    build_finish(b, 3, &bytes);
    FIXTURE_OK(file_write_begin(&writer, gguf_file));
    FIXTURE_OK(file_write(&writer, bytes.data, bytes.length));
    FIXTURE_OK(file_write_commit(&writer));
    strbuf_release(&bytes);
    build_release(b);
}

/* Opening the built file fails. */
static void refused(struct gguf_build *b, enum err_code code, const char *words)
{
    struct model model = {0};
    write_built(b);
    expect_error(model_open(&model, gguf_file), code, words);
    assert_non_null(strstr(err_text(), gguf_file));
    model_close(&model);
}

static void same_outputs(const struct model *a, const struct model *b)
{
    static const int32_t tokens[7] = {1, 5, 9, 39, 0, 7, 7};
    const int offsets[3] = {0, 4, 7};
    const struct batch batch = {.tokens = tokens, .offsets = offsets, .count = 2};
    const size_t width = (size_t)a->config.width, vocabulary = (size_t)a->config.vocabulary;
    float *x, *logits[2];
    FIXTURE_OK(mem_alloc(&x, 7 * width, sizeof *x));
    for (int i = 0; i < 2; i++) {
        const struct model *model = i ? b : a;
        FIXTURE_OK(mem_alloc(&logits[i], 7 * vocabulary, sizeof **logits));
        assert_int_equal(model_forward(model, &batch, x), 0);
        assert_int_equal(model_logits(model, x, 7, logits[i]), 0);
    }
    assert_memory_equal(logits[0], logits[1], 7 * vocabulary * sizeof **logits);
    mem_free(x);
    mem_free(logits[0]);
    mem_free(logits[1]);
}

/* Written as a folder and as a GGUF file, a model is the same one. */
static void check_family(const struct model_config *config)
{
    struct plain plain, back;
    struct gguf_build b = {0};
    struct model from_folder = {0}, from_file = {0};
    assert_int_equal(plain_random(&plain, config, 3), 0);
    assert_int_equal(plain_write(&plain, folder, DTYPE_F32), 0);
    gguf_model_config(&b, config);
    gguf_model_tensors(&b, &plain);
    write_built(&b);
    if (model_open(&from_file, gguf_file) != 0 || model_open(&from_folder, folder) != 0)
        fail_msg("%s", err_text());
    assert_memory_equal(&from_file.config, &from_folder.config, sizeof from_file.config);
    assert_string_not_equal(from_file.hash, from_folder.hash);
    assert_int_equal(plain_read(&back, &from_file), 0);
    for (int i = 0; i < plain.count; i++)
        assert_memory_equal(back.values[i], plain.values[i],
                            plain_size(&plain.tensors[i]) * sizeof(float));
    same_outputs(&from_file, &from_folder);
    plain_release(&plain);
    plain_release(&back);
    model_close(&from_file);
    model_close(&from_folder);
}

static void a_model_is_the_same_in_both_containers(void **state)
{
    struct model_config config = small;
    check_family(&config);
    config.tied_head = true;
    config.head_size = 12; /* not width / heads */
    config.kv_heads = 4;
    check_family(&config);
    config.biases = LLAMA_ATTENTION_BIASES;
    check_family(&config);
    config = small;
    snprintf(config.architecture, sizeof config.architecture, "qwen2");
    config.biases = LLAMA_QKV_BIASES;
    check_family(&config);
}

/* ---- rotary positions ---- */

static void open_scaled(struct gguf_build *b, const struct model_config *config,
                        struct rope_scaling *rope)
{
    struct plain plain;
    struct model model = {0};
    assert_int_equal(plain_random(&plain, config, 3), 0);
    gguf_model_config(b, config);
    gguf_model_tensors(b, &plain);
    write_built(b);
    if (model_open(&model, gguf_file) != 0)
        fail_msg("%s", err_text());
    *rope = model.config.rope;
    model_close(&model);
    plain_release(&plain);
}

static void scalings_are_understood(void **state)
{
    struct gguf_build b = {0};
    struct rope_scaling rope;
    build_text(&b, "llama.rope.scaling.type", "none");
    open_scaled(&b, &small, &rope);
    assert_int_equal(rope.kind, ROPE_PLAIN);
    build_text(&b, "llama.rope.scaling.type", "linear");
    build_f32(&b, "llama.rope.scaling.factor", 4);
    open_scaled(&b, &small, &rope);
    assert_true(rope.kind == ROPE_LINEAR && rope.factor == 4);
    build_text(&b, "llama.rope.scaling.type", "yarn");
    build_f32(&b, "llama.rope.scaling.factor", 8);
    build_u32(&b, "llama.rope.scaling.original_context_length", 16);
    open_scaled(&b, &small, &rope);
    assert_true(rope.kind == ROPE_YARN && rope.factor == 8 && rope.original == 16);
}

/* Divisors of the frequencies stand for LLaMA 3's scaling: by 8 from 8192 positions on. */
static void factors_are_understood(void **state)
{
    struct gguf_build b = {0};
    struct rope_scaling rope;
    struct model_config config = small;
    float factors[4];
    config.rope_theta = 500000;
    config.rope = (struct rope_scaling){
        .kind = ROPE_LLAMA3, .factor = 8, .low = 1, .high = 4, .original = 8192};
    for (int i = 0; i < 4; i++)
        factors[i] = (float)(pow(config.rope_theta, -2.0 * i / 8) / plain_frequency(&config, i));
    build_tensor(&b, "rope_freqs.weight", 0, 4, 0, factors, sizeof factors);
    open_scaled(&b, &config, &rope);
    assert_memory_equal(&rope, &config.rope, sizeof rope);
}

/* ---- what is refused ---- */

/* A file with the small model's tensors, but for the one of that name; what was built before comes
 * first. */
static void build_without(struct gguf_build *b, const char *missing)
{
    struct plain plain;
    assert_int_equal(plain_random(&plain, &small, 3), 0);
    for (int i = 0; i < plain.count; i++)
        if (strcmp(plain.tensors[i].name, missing) == 0) {
            mem_free(plain.values[i]);
            memmove(&plain.tensors[i], &plain.tensors[i + 1],
                    (size_t)(plain.count - i - 1) * sizeof *plain.tensors);
            memmove(&plain.values[i], &plain.values[i + 1],
                    (size_t)(plain.count - i - 1) * sizeof *plain.values);
            plain.count--;
        }
    gguf_model_tensors(b, &plain);
    plain_release(&plain);
}

static void models_that_cannot_be_are_refused(void **state)
{
    struct gguf_build b = {0};
    struct model_config config = small;
    float factors[4] = {1, 1, 2, 8}, value = 1;
    build_text(&b, "general.architecture", "gemma3");
    refused(&b, ERR_FORMAT, "architecture 'gemma3': of GGUF files, llama (with Mistral) and qwen2");
    build_u32(&b, "a", 1);
    refused(&b, ERR_MISSING, "'general.architecture' is missing");
    gguf_model_config(&b, &small);
    build_u32(&b, "split.count", 3);
    refused(&b, ERR_FORMAT, "part 1 of 3 of a model");
    build_u32(&b, "split.count", 3); /* as in all parts but the first, without an architecture */
    build_u32(&b, "split.no", 2);
    refused(&b, ERR_FORMAT, "part 3 of 3 of a model: join them");
    gguf_model_config(&b, &small);
    build_without(&b, "");
    build_tensor(&b, "rope_factors_long.weight", 0, 4, 0, factors, sizeof factors);
    refused(&b, ERR_FORMAT, "type longrope are not supported");
    gguf_model_config(&b, &small);
    build_u32(&b, "llama.expert_count", 8);
    refused(&b, ERR_FORMAT, "a mixture of 8 experts");
    gguf_model_config(&b, &small);
    refused(&b, ERR_MISSING, "'token_embd.weight'");
    build_text(&b, "general.architecture", "llama");
    build_without(&b, "");
    refused(&b, ERR_MISSING, "'llama.block_count' is missing");
    build_text(&b, "llama.rope.scaling.type", "longrope");
    gguf_model_config(&b, &small);
    build_without(&b, "");
    refused(&b, ERR_FORMAT, "'longrope': none, linear and yarn");
    build_tensor(&b, "rope_freqs.weight", 0, 4, 0, factors, sizeof factors);
    gguf_model_config(&b, &small);
    build_without(&b, "");
    refused(&b, ERR_FORMAT, "another scaling of rotary positions");
    config.head_size = 16;
    gguf_model_config(&b, &config);
    build_without(&b, "");
    refused(&b, ERR_FORMAT, "shape (32 x 32), where (64 x 32) is needed by the file's header");
    gguf_model_config(&b, &small);
    build_without(&b, "model.layers.1.mlp.up_proj.weight");
    refused(&b, ERR_MISSING, "'model.layers.1.mlp.up_proj.weight', which the file's header asks");
    gguf_model_config(&b, &small);
    build_without(&b, "");
    build_tensor(&b, "blk.0.attn_sinks.weight", 0, 1, 0, &value, sizeof value);
    refused(&b, ERR_FORMAT,
            "'blk.0.attn_sinks.weight' has no place in the model that the file's header describes");
    gguf_model_config(&b, &small);
    build_without(&b, "");
    build_tensor(&b, "output.weight", 0, 1, 0, &value, sizeof value);
    refused(&b, ERR_FORMAT, "'lm_head.weight' is there twice");
}

/* A folder that holds nothing else stands for its GGUF file. */
static void a_lone_file_is_found_in_its_folder(void **state)
{
    char *inner, *found;
    FIXTURE_OK(file_join(&inner, folder, "inner"));
    FIXTURE_OK(file_make_directories(inner));
    assert_int_equal(checkpoint_resolve(&found, inner), 0);
    assert_string_equal(found, inner);
    mem_free(found);
    fixture_write(inner, "a.gguf", "");
    assert_int_equal(checkpoint_resolve(&found, inner), 0);
    assert_string_equal(found + strlen(inner), "/a.gguf");
    mem_free(found);
    fixture_write(inner, "b.gguf", "");
    expect_error(checkpoint_resolve(&found, inner), ERR_USAGE, "several GGUF files");
    fixture_write(inner, "config.json", "{}");
    assert_int_equal(checkpoint_resolve(&found, inner), 0);
    assert_string_equal(found, inner);
    mem_free(found);
    mem_free(inner);
}

static void failing_allocations_are_reported(void **state)
{
    struct gguf_build b = {0};
    struct model model = {0};
    gguf_model_config(&b, &small);
    build_without(&b, "");
    write_built(&b);
    for (long k = 1;; k++) {
        mem_fail_at(k);
        int rc = model_open(&model, gguf_file);
        int pending = mem_fail_pending();
        mem_fail_at(0);
        if (rc == 0) {
            assert_true(pending && k > 20);
            break;
        }
        expect_error(rc, ERR_MEMORY, "");
    }
    model_close(&model);
}

/* ---- a real model ---- */

static const struct tensor *find_ids(struct tensor_table **table, const char *golden)
{
    char path[1100];
    const struct tensor *ids;
    snprintf(path, sizeof path, "%s/models/smollm2_ids_512.safetensors", golden);
    FIXTURE_OK(safetensors_open_file(table, path));
    FIXTURE_OK(tensor_table_get(*table, "test", &ids));
    return ids;
}

/* The first windows of WikiText-2, by transformers in float32: perplexities within 0.01 %. */
static void smollm2_gives_the_reference_losses(void **state)
{
    enum { WINDOWS = 8, LENGTH = 512 };
    static int32_t targets[LENGTH];
    static struct token_score scores[LENGTH];
    const char *golden = golden_folder(), *path = getenv("BITBENCH_LONG") ? smollm2_path() : NULL;
    struct tensor_table *table;
    struct model model = {0};
    char file[1100];
    json_error_t where;
    int32_t *tokens;
    float *x;
    if (!golden || !path) {
        print_message("skipped: %s\n", getenv("BITBENCH_LONG")
                                           ? "SmolLM2 or ../shared/golden is not there"
                                           : "BITBENCH_LONG is not set");
        skip();
    }
    const struct tensor *ids = find_ids(&table, golden);
    FIXTURE_OK(mem_alloc(&tokens, ids->count, sizeof *tokens));
    FIXTURE_OK(tensor_to_int32(ids, tokens));
    snprintf(file, sizeof file, "%s/models/smollm2.runs/fp.json", golden);
    json_t *run = json_load_file(file, 0, &where);
    const json_t *losses = json_object_get(run, "window_loss");
    assert_true(json_array_size(losses) >= WINDOWS);
    FIXTURE_OK(model_open(&model, path));
    assert_true(model.config.layers == 30 && model.config.tied_head);
    FIXTURE_OK(mem_alloc(&x, (size_t)LENGTH * (size_t)model.config.width, sizeof *x));
    for (int w = 0; w < WINDOWS; w++) {
        const int offsets[2] = {0, LENGTH};
        const int32_t *window = tokens + (size_t)w * LENGTH;
        const struct batch batch = {.tokens = window, .offsets = offsets, .count = 1};
        double sum = 0, right = json_number_value(json_array_get(losses, (size_t)w));
        for (int i = 0; i < LENGTH; i++)
            targets[i] = i + 1 < LENGTH ? window[i + 1] : -1;
        FIXTURE_OK(model_forward(&model, &batch, x));
        FIXTURE_OK(model_score(&model, x, targets, LENGTH, scores));
        for (int i = 0; i + 1 < LENGTH; i++)
            sum -= (double)scores[i].log_probability;
        assert_true(fabs(exp(sum / (LENGTH - 1) - right) - 1) < 1e-4);
    }
    model_close(&model);
    tensor_table_free(table);
    json_decref(run);
    mem_free(tokens);
    mem_free(x);
}

int main(void)
{
    folder = fixture_folder("gguf_model");
    FIXTURE_OK(file_join(&gguf_file, folder, "model.gguf"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_the_same_in_both_containers),
        cmocka_unit_test(scalings_are_understood),
        cmocka_unit_test(factors_are_understood),
        cmocka_unit_test(models_that_cannot_be_are_refused),
        cmocka_unit_test(a_lone_file_is_found_in_its_folder),
        cmocka_unit_test(failing_allocations_are_reported),
        cmocka_unit_test(smollm2_gives_the_reference_losses),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(gguf_file);
    mem_free(folder);
    return failed;
}
