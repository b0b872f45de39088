#include "model/llama.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/config.h"
#include "model/layout.h"
#include "model/transformer.h"

#include <stdio.h>
#include <string.h>

const char *const llama_linear_names[] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj",    NULL};

static void linear_tensor(const struct model_config *c, int layer, int linear, bool bias,
                          struct model_tensor *out)
{
    static const int inputs[LLAMA_LINEARS] = {0, 0, 0, 1, 2, 2, 3};
    const int q = c->heads * c->head_size, kv = c->kv_heads * c->head_size;
    const int outs[LLAMA_LINEARS] = {q, kv, kv, c->width, c->hidden, c->hidden, c->width};
    const int ins[LLAMA_LINEARS] = {c->width, c->width, c->width, q, c->width, c->width, c->hidden};
    *out = (struct model_tensor){.rows = outs[linear],
                                 .columns = bias ? 0 : ins[linear],
                                 .place = bias ? TENSOR_BIAS : TENSOR_LINEAR,
                                 .index = linear,
                                 .input = inputs[linear]};
    snprintf(out->name, sizeof out->name, "model.layers.%d.%s.%s", layer,
             llama_linear_names[linear], bias ? "bias" : "weight");
}

static void norm_tensor(const struct model_config *c, int layer, int which,
                        struct model_tensor *out)
{
    *out = (struct model_tensor){.rows = c->width, .place = TENSOR_VECTOR, .index = which};
    snprintf(out->name, sizeof out->name, "model.layers.%d.%s.weight", layer,
             which == NORM_MLP ? "post_attention_layernorm" : "input_layernorm");
}

/* Attention norm, q, k, v, o, MLP norm, gate, up, down; a bias follows its weight. */
static bool block_tensor_at(const struct model_config *c, int layer, int index,
                            struct model_tensor *out)
{
    for (int linear = 0; linear < LLAMA_LINEARS; linear++) {
        if ((linear == LLAMA_Q || linear == LLAMA_GATE) && index-- == 0) {
            norm_tensor(c, layer, linear == LLAMA_Q ? NORM_ATTENTION : NORM_MLP, out);
            return true;
        }
        for (int bias = 0; bias <= (int)(c->biases >> linear & 1); bias++)
            if (index-- == 0) {
                linear_tensor(c, layer, linear, bias, out);
                return true;
            }
    }
    return false;
}

bool llama_tensor_at(const struct model_config *c, int layer, int index, struct model_tensor *out)
{
    static const char *const names[] = {"model.embed_tokens.weight", "model.norm.weight",
                                        "lm_head.weight"};
    if (layer >= 0)
        return block_tensor_at(c, layer, index, out);
    if (index > (c->tied_head ? 1 : 2))
        return false;
    *out = (struct model_tensor){.rows = index == 1 ? c->width : c->vocabulary,
                                 .columns = index == 1 ? 0 : c->width};
    snprintf(out->name, sizeof out->name, "%s", names[index]);
    return true;
}

/* ---- config.json ---- */

static int check_activation(const json_t *json, const char *where)
{
    const char *activation = json_string_value(json_object_get(json, "hidden_act"));
    if (activation && strcmp(activation, "silu") != 0)
        return err_set(ERR_FORMAT,
                       "%s: key 'hidden_act' is '%.40s': only 'silu' is supported for this family",
                       where, activation);
    return 0;
}

static int check_heads(const json_t *json, const struct model_config *c, const char *where)
{
    const json_t *size = json_object_get(json, "head_dim");
    if (c->heads % c->kv_heads)
        return err_set(ERR_FORMAT, "%s: %d attention heads cannot share %d key-value heads evenly",
                       where, c->heads, c->kv_heads);
    if (c->head_size < 2 || c->head_size % 2)
        return err_set(ERR_FORMAT,
                       "%s: a head size of %d is odd or none: rotary positions need an even one",
                       where, c->head_size);
    if ((!size || json_is_null(size)) && c->width % c->heads)
        return err_set(ERR_FORMAT,
                       "%s: width %d does not divide into %d heads, and there is no 'head_dim'",
                       where, c->width, c->heads);
    return 0;
}

int llama_read_shared(const json_t *json, const struct model_config *defaults,
                      struct model_config *config, const char *where)
{
    int rc;
    struct model_config c = *defaults;
    TRY(config_int(json, where, "num_hidden_layers", 1, 4096, CONFIG_REQUIRED, &c.layers));
    TRY(config_int(json, where, "hidden_size", 1, 1 << 17, CONFIG_REQUIRED, &c.width));
    TRY(config_int(json, where, "intermediate_size", 1, 1 << 20, CONFIG_REQUIRED, &c.hidden));
    TRY(config_int(json, where, "num_attention_heads", 1, 4096, CONFIG_REQUIRED, &c.heads));
    const json_t *kv_heads = json_object_get(json, "num_key_value_heads");
    TRY(config_int(json, where, "num_key_value_heads", 1, 4096,
                   kv_heads || !defaults->kv_heads ? c.heads : defaults->kv_heads, &c.kv_heads));
    TRY(config_int(json, where, "head_dim", 1, 1 << 12, c.width / c.heads, &c.head_size));
    TRY(config_int(json, where, "vocab_size", 1, 1 << 24, CONFIG_REQUIRED, &c.vocabulary));
    TRY(config_int(json, where, "max_position_embeddings", 1, 1 << 30, defaults->max_positions,
                   &c.max_positions));
    TRY(config_real(json, where, "rms_norm_eps", 0, 1, 1e-6, &c.norm_epsilon));
    TRY(check_heads(json, &c, where));
    TRY(rope_read_config(json, &c, where));
    TRY(config_bool(json, where, "tie_word_embeddings", false, &c.tied_head));
    TRY(config_token(json, where, "bos_token_id", c.vocabulary, &c.bos_id));
    TRY(config_token(json, where, "eos_token_id", c.vocabulary, &c.eos_id));
    TRY(check_activation(json, where));
    *config = c;
out:
    return rc;
}

static int read_config(const json_t *json, struct model_config *config, const char *where)
{
    static const struct model_config defaults = {.architecture = "llama", .max_positions = 2048};
    int rc;
    bool attention, mlp;
    struct model_config c;
    TRY(llama_read_shared(json, &defaults, &c, where));
    TRY(config_bool(json, where, "attention_bias", false, &attention));
    TRY(config_bool(json, where, "mlp_bias", false, &mlp));
    c.biases = (attention ? LLAMA_ATTENTION_BIASES : 0) | (mlp ? LLAMA_MLP_BIASES : 0);
    *config = c;
out:
    return rc;
}

/* Keys that only some families have. */
static int add_variants(const struct model_config *c, json_t *json)
{
    int bad = 0;
    if (strcmp(c->architecture, "mistral") == 0)
        bad |= json_object_set_new(json, "sliding_window",
                                   c->window ? json_integer(c->window) : json_null());
    if (strcmp(c->architecture, "qwen2") == 0) {
        bad |= json_object_set_new(json, "use_sliding_window", json_boolean(c->window > 0));
        bad |= json_object_set_new(json, "sliding_window", json_integer(c->window));
        bad |= json_object_set_new(json, "max_window_layers", json_integer(c->window_from));
    }
    return bad ? err_set(ERR_MEMORY, "out of memory for a configuration") : 0;
}

int llama_config_to_json(const struct model_config *c, const char *dtype, json_t **out)
{
    int rc;
    json_t *rope = NULL, *json = NULL;
    const char *class = strcmp(c->architecture, "qwen2") == 0     ? "Qwen2ForCausalLM"
                        : strcmp(c->architecture, "mistral") == 0 ? "MistralForCausalLM"
                                                                  : "LlamaForCausalLM";
    const int attention_bias = (c->biases & LLAMA_ATTENTION_BIASES) == LLAMA_ATTENTION_BIASES;
    TRY(rope_to_json(c, &rope));
    json = json_pack(
        "{s:[s], s:b, s:f, s:o, s:o, s:i, s:s, s:i, s:f, s:i, s:i, s:b, s:s, s:i, s:i, s:i, s:i, "
        "s:f, s:O, s:f, s:b, s:s, s:b, "
        "s:i}",
        "architectures", class, "attention_bias", attention_bias, "attention_dropout", 0.0,
        "bos_token_id", c->bos_id < 0 ? json_null() : json_integer(c->bos_id), "eos_token_id",
        c->eos_id < 0 ? json_null() : json_integer(c->eos_id), "head_dim", c->head_size,
        "hidden_act", "silu", "hidden_size", c->width, "initializer_range", 0.02,
        "intermediate_size", c->hidden, "max_position_embeddings", c->max_positions, "mlp_bias",
        (c->biases & LLAMA_MLP_BIASES) != 0, "model_type", c->architecture, "num_attention_heads",
        c->heads, "num_hidden_layers", c->layers, "num_key_value_heads", c->kv_heads,
        "pretraining_tp", 1, "rms_norm_eps", c->norm_epsilon, "rope_scaling", rope, "rope_theta",
        c->rope_theta, "tie_word_embeddings", c->tied_head, "torch_dtype", dtype, "use_cache", 1,
        "vocab_size", c->vocabulary);
    if (!json) {
        rc = err_set(ERR_MEMORY, "out of memory for a configuration");
        goto out;
    }
    TRY(add_variants(c, json));
    *out = json;
    json = NULL;
out:
    json_decref(json);
    json_decref(rope);
    return rc;
}

/* ---- the family ---- */

int llama_load_outer(struct model *model)
{
    int rc;
    const struct model_config *c = &model->config;
    size_t width = (size_t)c->width, vocabulary = (size_t)c->vocabulary;
    TRY(layout_read(model, "model.embed_tokens.weight", vocabulary, width, &model->embedding));
    TRY(layout_read(model, "model.norm.weight", width, 0, &model->final_norm));
    if (c->tied_head)
        model->head = model->embedding;
    else
        TRY(layout_read(model, "lm_head.weight", vocabulary, width, &model->head));
out:
    return rc;
}

const struct architecture architecture_llama = {
    .name = "llama",
    .version = 2,
    .read_config = read_config,
    LLAMA_SHARED,
};
