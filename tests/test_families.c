/* Every family and variant against the plain forward pass in double precision, with the promises
 * that all of them make: a batch is its sequences, branches equal whole sequences, threads change
 * no bit, own products take part. And what Hugging Face's transformers gives for the scaled
 * frequencies of rotary positions; and configurations that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/pool.h"
#include "linalg/matmul.h"
#include "model/train.h"
#include "tests/fixture.h"
#include "tests/plain_model.h"

enum { LENGTH = 90, OPT_BIASES = 63, QKV_BIASES = 7, ALL_BIASES = 127 };

#define LLAMA_SHAPE                                                                                \
    .layers = 3, .width = 48, .hidden = 80, .heads = 6, .kv_heads = 2, .head_size = 16,            \
    .vocabulary = 200, .max_positions = 128, .norm_epsilon = 1e-5, .rope_theta = 10000,            \
    .bos_id = 1, .eos_id = 2
#define OPT_SHAPE                                                                                  \
    .architecture = "opt", .layers = 3, .width = 48, .hidden = 80, .heads = 4, .kv_heads = 4,      \
    .head_size = 12, .vocabulary = 200, .max_positions = 128, .norm_epsilon = 1e-5, .bos_id = -1,  \
    .eos_id = -1, .learned_positions = true, .layer_norm = true, .relu = true

static const struct variant {
    const char *name;
    struct model_config config;
} variants[] = {
    {"llama with biases", {.architecture = "llama", LLAMA_SHAPE, .biases = ALL_BIASES}},
    {"llama, linear scaling",
     {.architecture = "llama",
      LLAMA_SHAPE,
      .rope = {.kind = ROPE_LINEAR, .factor = 4, .original = 32}}},
    {"llama 3",
     {.architecture = "llama",
      LLAMA_SHAPE,
      .tied_head = true,
      .rope = {.kind = ROPE_LLAMA3, .factor = 8, .low = 1, .high = 4, .original = 64}}},
    {"llama, yarn",
     {.architecture = "llama",
      LLAMA_SHAPE,
      .rope = {.kind = ROPE_YARN,
               .factor = 4,
               .low = 1,
               .high = 32,
               .original = 512,
               .attention = 1.1386294361119891}}},
    {"llama, dynamic scaling",
     {.architecture = "llama",
      LLAMA_SHAPE,
      .rope = {.kind = ROPE_DYNAMIC, .factor = 4, .original = 128}}},
    {"mistral", {.architecture = "mistral", LLAMA_SHAPE, .window = 20}},
    {"mistral without a window", {.architecture = "mistral", LLAMA_SHAPE}},
    {"qwen2", {.architecture = "qwen2", LLAMA_SHAPE, .tied_head = true, .biases = QKV_BIASES}},
    {"qwen2 with a window",
     {.architecture = "qwen2", LLAMA_SHAPE, .biases = QKV_BIASES, .window = 7, .window_from = 1}},
    {"opt", {OPT_SHAPE, .tied_head = true, .biases = OPT_BIASES}},
    {"opt, head of its own, no biases, no final norm", {OPT_SHAPE, .no_final_norm = true}},
    {"opt, norms behind, projections",
     {OPT_SHAPE, .tied_head = true, .biases = OPT_BIASES, .norm_after = true, .no_final_norm = true,
      .embedding_width = 24}},
    {"opt, projections",
     {OPT_SHAPE, .tied_head = true, .biases = OPT_BIASES, .embedding_width = 64}},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static char *folder;

static void draw_tokens(int32_t *tokens, int count, int vocabulary, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (int i = 0; i < count; i++)
        tokens[i] = (int32_t)rng_below(&rng, (uint64_t)vocabulary);
}

static void open_variant(const struct model_config *config, struct plain *plain,
                         struct model *model)
{
    FIXTURE_OK(plain_random(plain, config, 5));
    FIXTURE_OK(plain_write(plain, folder, DTYPE_F32));
    FIXTURE_OK(model_open(model, folder));
}

static float *forward(const struct model *model, const int32_t *tokens, const int *offsets,
                      int count, const int *branch)
{
    struct batch batch = {.tokens = tokens, .offsets = offsets, .count = count, .branch = branch};
    float *x;
    FIXTURE_OK(mem_alloc(&x, (size_t)offsets[count] * (size_t)model->config.width, sizeof *x));
    FIXTURE_OK(model_forward(model, &batch, x));
    return x;
}

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
    (void)state;
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
    (void)state;
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
    (void)state;
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
    assert_memory_equal(x, after, size * sizeof *x);
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

static void taps_and_own_products_change_nothing(void **state)
{
    static const int offsets[] = {0, 40, LENGTH};
    (void)state;
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
        for (int mask = 1; mask < 1 << block.linear_count; mask = 3 * mask + 1) {
            for (int i = 0; i < block.linear_count; i++)
                block.linears[i].apply = mask >> i & 1 ? own_product : NULL;
            memcpy(own, before, size * sizeof *own);
            FIXTURE_OK(family->block_forward(&model, &block, &batch, own, NULL, NULL));
            close_to(variants[v].name, own, after, size, 1e-4);
        }
        mem_free(before);
        mem_free(after);
        mem_free(own);
        block_release(&block);
        plain_release(&plain);
        model_close(&model);
    }
}

/* Read, written and read again, a configuration is the same. */
static void configurations_survive_a_round(void **state)
{
    (void)state;
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
    (void)state;
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

/* ---- what is refused ---- */

static void expect_error(int rc, enum err_code code, const char *words)
{
    if (rc != (int)code || !strstr(err_text(), words) || strchr(err_text(), '\n'))
        fail_msg("expected %s with '%s', not %s: %s", err_name(code), words, err_name(rc),
                 err_text());
}

static const struct model_config *variant(const char *name)
{
    for (int v = 0; v < VARIANTS; v++)
        if (strcmp(variants[v].name, name) == 0)
            return &variants[v].config;
    fail_msg("no variant %s", name);
    return NULL;
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
        {"mistral", "rope_parameters", "{\"rope_type\": \"mrope\"}", "'mrope' is not supported"},
        {"mistral", "rope_scaling",
         "{\"type\": \"yarn\", \"factor\": 2, \"beta_fast\": 1, \"beta_slow\": 2}", "above"},
        {"mistral", "rope_scaling",
         "{\"rope_type\": \"llama3\", \"factor\": 2, \"low_freq_factor\": 4, "
         "\"high_freq_factor\": 4}",
         "must be above low_freq_factor"},
    };
    (void)state;
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
    (void)state;
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
    (void)state;
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

static void only_the_plain_llama_is_trained(void **state)
{
    (void)state;
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

static int set_up(void **state)
{
    (void)state;
    matmul_init();
    folder = fixture_folder("families");
    return pool_start(2);
}

static int tear_down(void **state)
{
    (void)state;
    pool_stop();
    mem_free(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_agree_with_the_plain_pass),
        cmocka_unit_test(a_batch_is_its_sequences),
        cmocka_unit_test(branches_equal_whole_sequences),
        cmocka_unit_test(taps_and_own_products_change_nothing),
        cmocka_unit_test(configurations_survive_a_round),
        cmocka_unit_test(frequencies_are_those_of_transformers),
        cmocka_unit_test(bad_configurations_are_refused),
        cmocka_unit_test(positions_end),
        cmocka_unit_test(surplus_tensors),
        cmocka_unit_test(only_the_plain_llama_is_trained),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
