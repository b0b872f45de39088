/* The families and their variants as small random models. */
#ifndef TESTS_VARIANTS_H
#define TESTS_VARIANTS_H

#include "tests/expect.h"
#include "tests/fixture.h"
#include "tests/plain_model.h"

enum { OPT_BIASES = 63, QKV_BIASES = 7, ALL_BIASES = 127 };

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

/* Where open_variant writes: of the test that includes this. */
static char *folder;

static inline const struct model_config *variant(const char *name)
{
    for (int v = 0; v < VARIANTS; v++)
        if (strcmp(variants[v].name, name) == 0)
            return &variants[v].config;
    fprintf(stderr, "there is no variant %s\n", name);
    abort();
}

static inline void draw_tokens(int32_t *tokens, int count, int vocabulary, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (int i = 0; i < count; i++)
        tokens[i] = (int32_t)rng_below(&rng, (uint64_t)vocabulary);
}

static inline void open_variant(const struct model_config *config, struct plain *plain,
                                struct model *model)
{
    FIXTURE_OK(plain_random(plain, config, 5));
    FIXTURE_OK(plain_write(plain, folder, DTYPE_F32));
    FIXTURE_OK(model_open(model, folder));
}

static inline float *forward(const struct model *model, const int32_t *tokens, const int *offsets,
                             int count, const int *branch)
{
    struct batch batch = {.tokens = tokens, .offsets = offsets, .count = count, .branch = branch};
    float *x;
    FIXTURE_OK(mem_alloc(&x, (size_t)offsets[count] * (size_t)model->config.width, sizeof *x));
    FIXTURE_OK(model_forward(model, &batch, x));
    return x;
}

#endif
