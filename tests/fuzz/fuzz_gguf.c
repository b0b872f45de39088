#include "model/gguf.h"
#include "tests/fuzz/fuzz_tensors.h"
#include "tests/gguf_model_build.h"

#include <math.h>

static void fuzz_gguf_values(const struct gguf *file)
{
    for (size_t i = 0; i < gguf_key_count(file) && i < 100; i++) {
        const char *key = gguf_key_at(file, i);
        int64_t number, *numbers = NULL;
        double real;
        float *reals = NULL;
        bool flag;
        struct gguf_text text, *texts = NULL;
        size_t count, sum = 0;
        (void)gguf_int(file, key, INT64_MIN + 1, INT64_MAX, 0, &number);
        (void)gguf_real(file, key, -INFINITY, INFINITY, 0, &real);
        (void)gguf_bool(file, key, false, &flag);
        (void)gguf_text(file, key, &text);
        (void)gguf_ints(file, key, &numbers, &count);
        (void)gguf_reals(file, key, &reals, &count);
        if (gguf_texts(file, key, &texts, &count) == 0)
            for (size_t t = 0; t < count; t++)
                sum += texts[t].size ? (unsigned char)texts[t].text[texts[t].size - 1] : 0;
        (void)sum;
        mem_free(numbers);
        mem_free(reals);
        mem_free(texts);
    }
}

/* The file as such, and as a model. */
FUZZ_TARGET(gguf, bytes, size)
{
    struct gguf *file = NULL;
    struct model model = {0};
    if (gguf_open_memory(&file, bytes, size, "fuzz") != 0)
        return;
    fuzz_gguf_values(file);
    for (size_t i = 0; i < gguf_tensor_count(file); i++)
        fuzz_read_tensors(gguf_tensor_at(file, i), 1);
    gguf_free(file);
    if (model_open(&model, fuzz_file(bytes, size)) != 0)
        return;
    fuzz_read_tensors(tensor_table_at(model.tensors, 0), tensor_table_count(model.tensors));
    model_close(&model);
}

FUZZ_SEEDS(gguf)
{
    static const char *const families[] = {"llama", "qwen2"};
    for (int i = 0; i < 2; i++) {
        struct model_config config = {.layers = 1,
                                      .width = 8,
                                      .hidden = 8,
                                      .heads = 2,
                                      .kv_heads = 1,
                                      .head_size = 4,
                                      .vocabulary = 3,
                                      .max_positions = 8,
                                      .norm_epsilon = 1e-5,
                                      .rope_theta = 10000,
                                      .tied_head = i,
                                      .biases = i ? LLAMA_QKV_BIASES : 0};
        struct plain plain;
        struct gguf_build b = {0};
        struct strbuf out = {0};
        static const uint8_t block[256];
        snprintf(config.architecture, sizeof config.architecture, "%s", families[i]);
        FIXTURE_OK(plain_random(&plain, &config, 1));
        gguf_model_config(&b, &config);
        build_array(&b, "tokenizer.ggml.tokens", 8, 3);
        for (int t = 0; t < 3; t++)
            put_text(&b.pairs, t == 1 ? "" : "ab");
        build_array(&b, "tokenizer.ggml.scores", 6, 1);
        put_number(&b.pairs, 0x3fc00000, 4);
        gguf_model_tensors(&b, &plain);
        if (i)
            build_tensor(&b, "blk.0.other", 14, 256, 1, block, 210);
        build_finish(&b, 3, &out);
        fuzz_seed(families[i], out.data, out.length);
        plain_release(&plain);
        build_release(&b);
        strbuf_release(&out);
    }
}
