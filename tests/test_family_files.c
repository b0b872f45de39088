/* The families' files: configurations and the scalings of rotary positions they ask for, tensors
 * under other names and surplus ones, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pool.h"
#include "model/train.h"
#include "tests/fixture.h"
#include "tests/variants.h"

/* Read, written and read again, a configuration is the same. */
static void configurations_survive_a_round(void **state)
{
    for (int v = 0; v < VARIANTS; v++) {
        struct plain plain;
        struct model_config back;
        json_t *json, *again;
        FIXTURE_OK(plain_init(&plain, &variants[v].config));
        FIXTURE_OK(plain_config(&variants[v].config, &json));
        FIXTURE_OK(plain.family->read_config(json, &back, "config.json"));
        FIXTURE_OK(plain_config(&back, &again));
        assert_true(json_equal(json, again));
        assert_int_equal(back.biases, variants[v].config.biases);
        assert_int_equal(back.rope.kind, variants[v].config.rope.kind);
        assert_int_equal(back.window, variants[v].config.window);
        json_decref(json);
        json_decref(again);
        plain_release(&plain);
    }
}

/* Radians a position that transformers 5.23 gives for heads of 32 with theta 10000. */
static void frequencies_are_those_of_transformers(void **state)
{
    static const struct {
        const char *key, *text;
        double attention;
        float right[5]; /* pairs 0, 4, 6, 8 and 15 */
    } cases[] = {
        {"rope_scaling",
         "{\"type\": \"linear\", \"factor\": 4.0}",
         1,
         {0.25f, 0.0250000004f, 0.00790569466f, 0.00249999994f, 4.44569851e-05f}},
        {"rope_scaling",
         "{\"type\": \"dynamic\", \"factor\": 4.0}",
         1,
         {1.0f, 0.100000001f, 0.0316227786f, 0.00999999978f, 0.00017782794f}},
        {"rope_parameters",
         "{\"rope_type\": \"llama3\", \"factor\": 8.0, "
         "\"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
         "\"original_max_position_embeddings\": 512}",
         1,
         {1.0f, 0.100000001f, 0.0184966773f, 0.00124999997f, 2.22284925e-05f}},
        {"rope_scaling",
         "{\"type\": \"yarn\", \"factor\": 4.0, "
         "\"original_max_position_embeddings\": 1024}",
         1.13862944,
         {1.0f, 0.0785714313f, 0.0180701576f, 0.00357142836f, 4.44569851e-05f}},
        {"rope_scaling",
         "{\"rope_type\": \"yarn\", \"factor\": 4.0, "
         "\"original_max_position_embeddings\": 1024, \"beta_fast\": 16.0, "
         "\"mscale\": 0.7, \"mscale_all_dim\": 1.2, \"truncate\": false}",
         0.940571525,
         {1.0f, 0.100000001f, 0.0219320506f, 0.00382121513f, 4.44569851e-05f}},
        {"rope_parameters",
         "{\"rope_type\": \"llama3\", \"rope_theta\": 500000.0, \"factor\": 32.0, "
         "\"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0, "
         "\"original_max_position_embeddings\": 8192}",
         1,
         {1.0f, 0.0376060307f, 0.00729266508f, 0.000429556705f, 1.41927202e-07f}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        static const int pairs[] = {0, 4, 6, 8, 15};
        struct model_config config = {.head_size = 32, .max_positions = 4096};
        float cosine[2 * 16], sine[2 * 16];
        json_t *json = json_object();
        json_object_set_new(json, cases[i].key, json_loads(cases[i].text, 0, NULL));
        FIXTURE_OK(rope_read_config(json, &config, "config.json"));
        rope_table(&config, 2, cosine, sine);
        for (int p = 0; p < 5; p++) {
            double angle = atan2((double)sine[16 + pairs[p]], (double)cosine[16 + pairs[p]]);
            assert_true(fabs(angle - (double)cases[i].right[p]) < 1e-6 * (double)cases[i].right[p]);
        }
        assert_true(fabs((double)cosine[0] - cases[i].attention) < 1e-6);
        json_decref(json);
    }
}

static void bad_configurations_are_refused(void **state)
{
    static const struct {
        const char *variant, *key, *value, *words;
    } cases[] = {
        {"opt", "activation_function", "\"gelu\"", "only 'relu'"},
        {"opt", "layer_norm_elementwise_affine", "false", "without gain"},
        {"opt", "num_attention_heads", "5", "does not divide into 5 heads"},
        {"opt", "max_position_embeddings", "127", "(129 x 48) is needed by config.json"},
        {"opt", "word_embed_proj_dim", "24", "where (200 x 24) is needed"},
        {"opt", "ffn_dim", "81", "fc1"},
        {"opt", "do_layer_norm_before", "false", "final_layer_norm.bias' has no place"},
        {"opt", "do_layer_norm_before", "\"yes\"", "neither true nor false"},
        {"opt", "enable_bias", "false", "has no place"},
        {"opt", "tie_word_embeddings", "false", "no tensor 'lm_head.weight'"},
        {"opt", "num_hidden_layers", "4", "no tensor 'model.decoder.layers.3"},
        {"opt, projections", "word_embed_proj_dim", "48", "where (200 x 48) is needed"},
        {"qwen2", "layer_types", "[\"full_attention\"]", "no list of 3 entries"},
        {"qwen2", "layer_types", "[\"full_attention\", \"chunked\", \"full_attention\"]",
         "entry 1 is 'chunked'"},
        {"qwen2", "layer_types", "[\"sliding_attention\", \"full_attention\", \"full_attention\"]",
         "from some block on"},
        {"qwen2 with a window", "sliding_window", "0", "though 'use_sliding_window' is on"},
        {"mistral", "sliding_window", "0", "is possible"},
        {"mistral", "model_type", "\"llama\"", NULL},
        {"mistral", "rope_scaling", "{\"type\": \"linear\"}", "'factor' is missing"},
        {"mistral", "rope_scaling", "{\"type\": \"linear\", \"factor\": \"2\"}", "not a number"},
        {"mistral", "rope_scaling", "[2]", "no object"},
        {"mistral", "rope_parameters",
         "{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5}", "whole heads"},
        {"mistral", "partial_rotary_factor", "0.5", "whole heads"},
        {"mistral", "quantization_config", "{\"quant_method\": \"gptq\", \"bits\": 4}",
         "quantized by 'gptq' are not read"},
        {"mistral", "quantization_config", "null", NULL},
        {"mistral", "rope_scaling", "{\"type\": \"longrope\", \"short_factor\": [1]}",
         "'longrope' is not supported"},
        {"mistral", "rope_parameters", "{\"rope_type\": \"mrope\"}", "'mrope' is not supported"},
        {"mistral", "rope_scaling",
         "{\"type\": \"yarn\", \"factor\": 2, \"beta_fast\": 1, \"beta_slow\": 2}", "above"},
        {"mistral", "rope_scaling", "{\"type\": \"yarn\", \"factor\": 2, \"rope_theta\": 1}",
         "above 1"},
        {"mistral", "rope_scaling",
         "{\"rope_type\": \"llama3\", \"factor\": 2, \"low_freq_factor\": 4, "
         "\"high_freq_factor\": 4}",
         "must be above low_freq_factor"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plain plain;
        struct model model = {0};
        json_t *json;
        FIXTURE_OK(plain_random(&plain, variant(cases[i].variant), 5));
        FIXTURE_OK(plain_write(&plain, folder, DTYPE_F32));
        FIXTURE_OK(plain_config(&plain.config, &json));
        json_object_set_new(json, cases[i].key, json_loads(cases[i].value, JSON_DECODE_ANY, NULL));
        FIXTURE_OK(plain_write_json(folder, json));
        int rc = model_open(&model, folder);
        if (cases[i].words)
            expect_error(rc, strstr(cases[i].words, "no tensor") ? ERR_MISSING : ERR_FORMAT,
                         cases[i].words);
        else
            FIXTURE_OK(rc);
        model_close(&model);
        json_decref(json);
        plain_release(&plain);
    }
}

static void positions_end(void **state)
{
    enum { TOO_MANY = 129 };
    static const int offsets[] = {0, 3, 3 + TOO_MANY};
    int32_t tokens[3 + TOO_MANY] = {0};
    float *x;
    struct plain plain;
    struct model model = {0};
    open_variant(variant("opt"), &plain, &model);
    struct batch batch = {.tokens = tokens, .offsets = offsets, .count = 2};
    FIXTURE_OK(mem_alloc(&x, (3 + TOO_MANY) * (size_t)model.config.width, sizeof *x));
    expect_error(model_forward(&model, &batch, x), ERR_USAGE, "position 128");
    assert_non_null(model_position_limit(&model.config));
    assert_non_null(model_position_limit(variant("llama, dynamic scaling")));
    assert_null(model_position_limit(variant("llama 3")));
    mem_free(x);
    plain_release(&plain);
    model_close(&model);
}

/* What old checkpoints carry along is known and left alone; anything else is not. */
static void surplus_tensors(void **state)
{
    static const struct {
        const char *variant, *name;
        bool harmless;
    } cases[] = {
        {"mistral", "model.layers.1.self_attn.rotary_emb.inv_freq", true},
        {"opt", "model.decoder.version", true},
        {"opt", "lm_head.weight", true},
        {"mistral", "model.layers.1.self_attn.q_proj.bias", false},
        {"qwen2", "model.layers.1.self_attn.o_proj.bias", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct plain plain;
        struct model model = {0};
        FIXTURE_OK(plain_random(&plain, variant(cases[i].variant), 5));
        struct model_tensor *extra = &plain.tensors[plain.count];
        plain.layers[plain.count] = -1;
        *extra = (struct model_tensor){.rows = 4};
        snprintf(extra->name, sizeof extra->name, "%s", cases[i].name);
        FIXTURE_OK(mem_calloc(&plain.values[plain.count++], 4, sizeof(float)));
        FIXTURE_OK(plain_write(&plain, folder, DTYPE_F32));
        int rc = model_open(&model, folder);
        if (cases[i].harmless)
            FIXTURE_OK(rc);
        else
            expect_error(rc, ERR_FORMAT, "has no place");
        model_close(&model);
        plain_release(&plain);
    }
}

/* The first OPT checkpoints, and others that were saved without a head, have no "model." in front
 * of their names. */
static void names_may_lack_their_root(void **state)
{
    static const char *const names[] = {"opt, projections", "mistral", "qwen2"};
    static const int offsets[] = {0, 5};
    static const int32_t tokens[5] = {3, 1, 4, 1, 5};
    for (int i = 0; i < 3; i++) {
        struct plain plain;
        struct model model = {0}, bare = {0};
        char *path;
        open_variant(variant(names[i]), &plain, &model);
        FIXTURE_OK(file_join(&path, folder, "model.safetensors"));
        float *x = forward(&model, tokens, offsets, 1, NULL);
        FIXTURE_OK(plain_write_part(&plain, folder, "model.safetensors", DTYPE_F32, 0, plain.count,
                                    strlen("model.")));
        FIXTURE_OK(model_open(&bare, folder));
        float *y = forward(&bare, tokens, offsets, 1, NULL);
        assert_memory_equal(x, y, 5 * (size_t)model.config.width * sizeof *x);
        mem_free(x);
        mem_free(y);
        mem_free(path);
        model_close(&bare);
        model_close(&model);
        plain_release(&plain);
    }
}

/* With the k-th allocation failing, opening and running fail cleanly. */
static void short_memory_is_an_error(void **state)
{
    static const int offsets[] = {0, 3};
    static const int32_t tokens[3] = {1, 2, 3};
    struct batch batch = {.tokens = tokens, .offsets = offsets, .count = 1};
    struct plain plain;
    float x[3 * 48];
    long k = 1;
    FIXTURE_OK(plain_random(&plain, variant("opt, projections"), 5));
    FIXTURE_OK(plain_write(&plain, folder, DTYPE_F32));
    FIXTURE_OK(plain_write_part(&plain, folder, "model.safetensors", DTYPE_F32, 0, plain.count,
                                strlen("model.")));
    for (; k < 300; k++) {
        struct model model = {0};
        mem_fail_at(k);
        int rc = model_open(&model, folder);
        if (rc == 0)
            rc = model_forward(&model, &batch, x);
        bool reached = !mem_fail_pending();
        mem_fail_at(0);
        model_close(&model);
        if (!reached)
            break;
        assert_int_equal(rc, ERR_MEMORY);
    }
    assert_in_range(k, 20, 299);
    plain_release(&plain);
}

static void only_the_plain_llama_is_trained(void **state)
{
    for (int v = 0; v < VARIANTS; v++) {
        struct train_model training = {0};
        const struct model_config *c = &variants[v].config;
        bool is_plain = strcmp(variants[v].name, "mistral without a window") == 0;
        int rc = train_model_init(&training, c, NULL, 1, 16, 7);
        if (is_plain)
            FIXTURE_OK(rc);
        else
            expect_error(rc, ERR_USAGE, "plain LLaMA");
        train_model_release(&training);
    }
}

int main(int argc, char **argv)
{
    fixture_start(argv, 2);
    folder = fixture_folder("family_files");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(configurations_survive_a_round),
        cmocka_unit_test(frequencies_are_those_of_transformers),
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(positions_end),
        cmocka_unit_test(surplus_tensors),
        cmocka_unit_test(names_may_lack_their_root),
        cmocka_unit_test(short_memory_is_an_error),
        cmocka_unit_test(only_the_plain_llama_is_trained),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pool_stop();
    mem_free(folder);
    return failed;
}
