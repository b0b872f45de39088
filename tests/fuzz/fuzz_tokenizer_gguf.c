/* The tokenizer within a GGUF file. */
#include "tests/fuzz/fuzz_tokenizer.h"
#include "tests/gguf_build.h"

FUZZ_TARGET(tokenizer_gguf, bytes, size)
{
    fuzz_use_tokenizer(TOKENIZER_GGUF, bytes, size);
}

static void fuzz_put_texts(struct gguf_build *b, const char *key, const char *const *texts,
                           size_t count)
{
    build_array(b, key, 8, count);
    for (size_t i = 0; i < count; i++)
        put_text(&b->pairs, texts[i]);
}

FUZZ_SEEDS(tokenizer_gguf)
{
    static const char *const tokens[] = {"<|e|>",
                                         "a",
                                         "b",
                                         "ab",
                                         "1",
                                         "\xc4\xa0",
                                         ("\xc4\xa0"
                                          "a")},
                             *const merges[] = {"a b", "\xc4\xa0 a"},
                             *const pieces[] = {"<unk>",
                                                "<s>",
                                                "</s>",
                                                "<0x0A>",
                                                "\xe2\x96\x81",
                                                "a",
                                                ("\xe2\x96\x81"
                                                 "a"),
                                                "[u]"};
    static const int token_types[] = {3, 1, 1, 1, 1, 1, 4},
                     piece_types[] = {2, 3, 3, 6, 1, 1, 1, 4};
    static const char *const pre[] = {"smollm", "qwen2", "llama-bpe", NULL};
    for (int i = 0; i < 4; i++) {
        struct gguf_build b = {0};
        struct strbuf out = {0};
        const size_t count = pre[i] ? 7 : 8;
        build_text(&b, "tokenizer.ggml.model", pre[i] ? "gpt2" : "llama");
        fuzz_put_texts(&b, "tokenizer.ggml.tokens", pre[i] ? tokens : pieces, count);
        build_array(&b, "tokenizer.ggml.token_type", 5, count);
        for (size_t t = 0; t < count; t++)
            put_number(&b.pairs, (uint64_t)(pre[i] ? token_types[t] : piece_types[t]), 4);
        if (pre[i]) {
            build_text(&b, "tokenizer.ggml.pre", pre[i]);
            fuzz_put_texts(&b, "tokenizer.ggml.merges", merges, 2);
        } else {
            build_array(&b, "tokenizer.ggml.scores", 6, count);
            for (size_t t = 0; t < count; t++)
                put_number(&b.pairs, 0x3f800000u + t, 4);
        }
        build_u32(&b, "tokenizer.ggml.bos_token_id", 1);
        build_finish(&b, 3, &out);
        fuzz_seed(pre[i] ? pre[i] : "llama", out.data, out.length);
        build_release(&b);
        strbuf_release(&out);
    }
}
