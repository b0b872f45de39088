/* Writes a small model as a GGUF file, as llama.cpp's converter does. */
#ifndef TESTS_GGUF_MODEL_BUILD_H
#define TESTS_GGUF_MODEL_BUILD_H

#include "tests/gguf_build.h"
#include "tests/plain_model.h"

/* "blk.1.attn_q.weight" for "model.layers.1.self_attn.q_proj.weight". */
static inline void gguf_model_name(const char *name, char out[96])
{
    static const char *const words[][2] = {{"model.embed_tokens.", "token_embd."},
                                           {"model.norm.", "output_norm."},
                                           {"lm_head.", "output."},
                                           {"input_layernorm.", "attn_norm."},
                                           {"post_attention_layernorm.", "ffn_norm."},
                                           {"self_attn.q_proj.", "attn_q."},
                                           {"self_attn.k_proj.", "attn_k."},
                                           {"self_attn.v_proj.", "attn_v."},
                                           {"self_attn.o_proj.", "attn_output."},
                                           {"mlp.gate_proj.", "ffn_gate."},
                                           {"mlp.up_proj.", "ffn_up."},
                                           {"mlp.down_proj.", "ffn_down."}};
    int block = 0, used = 0;
    bool inside = sscanf(name, "model.layers.%d.%n", &block, &used) == 1;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i][0]);
        if (strncmp(name + used, words[i][0], length) != 0)
            continue;
        if (inside)
            snprintf(out, 96, "blk.%d.%s%s", block, words[i][1], name + used + length);
        else
            snprintf(out, 96, "%s%s", words[i][1], name + length);
        return;
    }
    abort();
}

/* Row h, a, i of heads x 2 x half comes to lie at h, i, a. */
static inline void gguf_model_permute(const float *values, size_t rows, size_t columns,
                                      size_t heads, float *out)
{
    size_t half = rows / heads / 2;
    for (size_t h = 0; h < heads; h++)
        for (size_t a = 0; a < 2; a++)
            for (size_t i = 0; i < half; i++)
                memcpy(out + ((h * half + i) * 2 + a) * columns,
                       values + ((h * 2 + a) * half + i) * columns, columns * sizeof *out);
}

static inline void gguf_model_config(struct gguf_build *b, const struct model_config *c)
{
    const char *family = strcmp(c->architecture, "qwen2") == 0 ? "qwen2" : "llama";
    const struct {
        const char *key;
        int value;
    } numbers[] = {{"block_count", c->layers},
                   {"context_length", c->max_positions},
                   {"embedding_length", c->width},
                   {"feed_forward_length", c->hidden},
                   {"attention.head_count", c->heads},
                   {"attention.head_count_kv", c->kv_heads},
                   {"attention.key_length", c->head_size},
                   {"rope.dimension_count", c->head_size},
                   {"vocab_size", c->vocabulary}};
    char key[96];
    build_text(b, "general.architecture", family);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(key, sizeof key, "%s.%s", family, numbers[i].key);
        build_u32(b, key, (uint32_t)numbers[i].value);
    }
    snprintf(key, sizeof key, "%s.rope.freq_base", family);
    build_f32(b, key, (float)c->rope_theta);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", family);
    build_f32(b, key, (float)c->norm_epsilon);
    if (c->bos_id >= 0)
        build_u32(b, "tokenizer.ggml.bos_token_id", (uint32_t)c->bos_id);
    if (c->eos_id >= 0)
        build_u32(b, "tokenizer.ggml.eos_token_id", (uint32_t)c->eos_id);
}

/* All tensors of a plain model, as float32. */
static inline void gguf_model_tensors(struct gguf_build *b, const struct plain *plain)
{
    const struct model_config *c = &plain->config;
    bool permuted = strcmp(c->architecture, "qwen2") != 0;
    for (int i = 0; i < plain->count; i++) {
        const struct model_tensor *t = &plain->tensors[i];
        const size_t rows = (size_t)t->rows, columns = (size_t)(t->columns ? t->columns : 1);
        const bool q = strstr(t->name, ".q_proj."), k = strstr(t->name, ".k_proj.");
        char name[96];
        float *values;
        FIXTURE_OK(mem_alloc(&values, rows * columns, sizeof *values));
        memcpy(values, plain->values[i], rows * columns * sizeof *values);
        if (permuted && (q || k))
            gguf_model_permute(plain->values[i], rows, columns,
                               (size_t)(q ? c->heads : c->kv_heads), values);
        gguf_model_name(t->name, name);
        build_tensor(b, name, 0, t->columns ? columns : rows, t->columns ? rows : 0, values,
                     rows * columns * sizeof *values);
        mem_free(values);
    }
}

#endif
