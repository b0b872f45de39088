#include "model/llama.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/config.h"
#include "model/llama_forward.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const linear_names[LLAMA_LINEARS] = {
    "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "mlp.gate_proj",    "mlp.up_proj",      "mlp.down_proj"};
static const int linear_inputs[LLAMA_LINEARS] = {0, 0, 0, 1, 2, 2, 3};

static void linear_shape(const struct model_config *config, int linear, int *out, int *in)
{
    int q = config->heads * config->head_size, kv = config->kv_heads * config->head_size;
    const int shapes[LLAMA_LINEARS][2] = {{q, config->width},
                                          {kv, config->width},
                                          {kv, config->width},
                                          {config->width, q},
                                          {config->hidden, config->width},
                                          {config->hidden, config->width},
                                          {config->width, config->hidden}};
    *out = shapes[linear][0];
    *in = shapes[linear][1];
}

int llama_tensor_count(const struct model_config *config)
{
    return 2 + config->layers * LLAMA_BLOCK_TENSORS + (config->tied_head ? 0 : 1);
}

static void block_tensor_at(const struct model_config *config, int layer, int index,
                            struct llama_tensor *out)
{
    int linear = index < 5 ? index - 1 : index - 2;
    if (index == 0 || index == 5) {
        snprintf(out->name, sizeof out->name, "model.layers.%d.%s.weight", layer,
                 index == 0 ? "input_layernorm" : "post_attention_layernorm");
        out->rows = config->width;
        out->columns = 0;
    } else {
        snprintf(out->name, sizeof out->name, "model.layers.%d.%s.weight", layer,
                 linear_names[linear]);
        linear_shape(config, linear, &out->rows, &out->columns);
    }
}

void llama_tensor_at(const struct model_config *config, int index, struct llama_tensor *out)
{
    int in_blocks = index - 1, block_end = config->layers * LLAMA_BLOCK_TENSORS;
    if (in_blocks >= 0 && in_blocks < block_end) {
        block_tensor_at(config, in_blocks / LLAMA_BLOCK_TENSORS, in_blocks % LLAMA_BLOCK_TENSORS,
                        out);
        return;
    }
    bool norm = in_blocks == block_end;
    snprintf(out->name, sizeof out->name, "%s",
             index == 0 ? "model.embed_tokens.weight"
             : norm     ? "model.norm.weight"
                        : "lm_head.weight");
    out->rows = norm ? config->width : config->vocabulary;
    out->columns = norm ? 0 : config->width;
}

/* Newer checkpoints keep theta within rope_parameters; both spellings may ask for another kind of
 * rope. */
static int read_rope(const json_t *json, struct model_config *config, const char *where)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    int rc;
    TRY(config_real(json, where, "rope_theta", 1, 1e12, 10000, &config->rope_theta));
    for (int i = 0; i < 2; i++) {
        const json_t *rope = json_object_get(json, keys[i]);
        if (!rope || json_is_null(rope))
            continue;
        const char *type = json_string_value(json_object_get(rope, "rope_type"));
        if (!type)
            type = json_string_value(json_object_get(rope, "type"));
        if (!json_is_object(rope) || (type && strcmp(type, "default") != 0)) {
            rc = err_set(ERR_FORMAT,
                         "%s: key '%s': rope of type '%.40s' is not supported yet, only 'default'",
                         where, keys[i], type ? type : "?");
            goto out;
        }
        TRY(config_real(rope, where, "rope_theta", 1, 1e12, config->rope_theta,
                        &config->rope_theta));
    }
out:
    return rc;
}

static int refuse_variants(const json_t *json, const char *where)
{
    int rc;
    static const char *const biases[] = {"attention_bias", "mlp_bias"};
    const char *activation = json_string_value(json_object_get(json, "hidden_act"));
    if (activation && strcmp(activation, "silu") != 0)
        return err_set(ERR_FORMAT,
                       "%s: key 'hidden_act' is '%.40s': only 'silu' is supported for llama", where,
                       activation);
    for (int i = 0; i < 2; i++) {
        bool on;
        TRY(config_bool(json, where, biases[i], false, &on));
        if (on)
            return err_set(
                ERR_FORMAT,
                "%s: key '%s' is true: linear layers with a bias are not supported yet for llama",
                where, biases[i]);
    }
out:
    return rc;
}

static int read_config(const json_t *json, struct model_config *config, const char *where)
{
    int rc;
    struct model_config c = {.architecture = "llama"};
    TRY(config_int(json, where, "num_hidden_layers", 1, 4096, CONFIG_REQUIRED, &c.layers));
    TRY(config_int(json, where, "hidden_size", 1, 1 << 17, CONFIG_REQUIRED, &c.width));
    TRY(config_int(json, where, "intermediate_size", 1, 1 << 20, CONFIG_REQUIRED, &c.hidden));
    TRY(config_int(json, where, "num_attention_heads", 1, 4096, CONFIG_REQUIRED, &c.heads));
    TRY(config_int(json, where, "num_key_value_heads", 1, 4096, c.heads, &c.kv_heads));
    TRY(config_int(json, where, "head_dim", 1, 1 << 12, c.width / c.heads, &c.head_size));
    TRY(config_int(json, where, "vocab_size", 1, 1 << 24, CONFIG_REQUIRED, &c.vocabulary));
    TRY(config_int(json, where, "max_position_embeddings", 1, 1 << 30, 2048, &c.max_positions));
    TRY(config_real(json, where, "rms_norm_eps", 0, 1, 1e-6, &c.norm_epsilon));
    TRY(read_rope(json, &c, where));
    TRY(config_bool(json, where, "tie_word_embeddings", false, &c.tied_head));
    TRY(config_token(json, where, "bos_token_id", c.vocabulary, &c.bos_id));
    TRY(config_token(json, where, "eos_token_id", c.vocabulary, &c.eos_id));
    TRY(refuse_variants(json, where));
    if (c.heads % c.kv_heads)
        rc = err_set(ERR_FORMAT, "%s: %d attention heads cannot share %d key-value heads evenly",
                     where, c.heads, c.kv_heads);
    else if (c.head_size < 2 || c.head_size % 2)
        rc = err_set(ERR_FORMAT,
                     "%s: a head size of %d is odd or none: rotary positions need an even one",
                     where, c.head_size);
    else if (!json_object_get(json, "head_dim") && c.width % c.heads)
        rc = err_set(ERR_FORMAT,
                     "%s: width %d does not divide into %d heads, and there is no 'head_dim'",
                     where, c.width, c.heads);
    else
        *config = c;
out:
    return rc;
}

int llama_config_to_json(const struct model_config *c, const char *dtype, json_t **out)
{
    json_t *json = json_pack(
        "{s:[s], s:b, s:f, s:o, s:o, s:i, s:s, s:i, s:f, s:i, s:i, s:b, s:s, s:i, s:i, s:i, s:i, "
        "s:f, s:n, s:f, s:b, s:s, s:b, "
        "s:i}",
        "architectures", "LlamaForCausalLM", "attention_bias", 0, "attention_dropout", 0.0,
        "bos_token_id", c->bos_id < 0 ? json_null() : json_integer(c->bos_id), "eos_token_id",
        c->eos_id < 0 ? json_null() : json_integer(c->eos_id), "head_dim", c->head_size,
        "hidden_act", "silu", "hidden_size", c->width, "initializer_range", 0.02,
        "intermediate_size", c->hidden, "max_position_embeddings", c->max_positions, "mlp_bias", 0,
        "model_type", "llama", "num_attention_heads", c->heads, "num_hidden_layers", c->layers,
        "num_key_value_heads", c->kv_heads, "pretraining_tp", 1, "rms_norm_eps", c->norm_epsilon,
        "rope_scaling", "rope_theta", c->rope_theta, "tie_word_embeddings", c->tied_head,
        "torch_dtype", dtype, "use_cache", 1, "vocab_size", c->vocabulary);
    if (!json)
        return err_set(ERR_MEMORY, "out of memory for a configuration");
    *out = json;
    return 0;
}

void llama_rope_table(int positions, int head_size, double theta, float *cosine, float *sine)
{
    int half = head_size / 2;
    for (int i = 0; i < half; i++) {
        float frequency = (float)(1.0 / pow(theta, 2.0 * i / head_size));
        for (int p = 0; p < positions; p++) {
            float angle = (float)p * frequency;
            cosine[(size_t)p * (size_t)half + (size_t)i] = (float)cos((double)angle);
            sine[(size_t)p * (size_t)half + (size_t)i] = (float)sin((double)angle);
        }
    }
}

/* What old checkpoints carry along, and the head's copy beside a tied embedding. */
static bool harmless(const struct model_config *config, const char *name)
{
    size_t length = strlen(name), tail = strlen(".rotary_emb.inv_freq");
    if (length > tail && strcmp(name + length - tail, ".rotary_emb.inv_freq") == 0)
        return true;
    return config->tied_head && strcmp(name, "lm_head.weight") == 0;
}

static int check_tensors(const struct model *model)
{
    int rc;
    const struct model_config *config = &model->config;
    const struct tensor_table *tensors = model->tensors;
    unsigned char *known = NULL;
    size_t present = tensor_table_count(tensors);
    TRY(mem_calloc(&known, present, 1));
    for (int i = 0; i < llama_tensor_count(config); i++) {
        struct llama_tensor wanted;
        llama_tensor_at(config, i, &wanted);
        TRY(model_check_tensor(model, wanted.name, (size_t)wanted.rows, (size_t)wanted.columns,
                               known));
    }
    for (size_t i = 0; i < present; i++) {
        const struct tensor *tensor = tensor_table_at(tensors, i);
        if (!known[i] && !harmless(config, tensor->name)) {
            rc = err_set(ERR_FORMAT,
                         "%s: tensor '%s' has no place in the model that config.json describes (%d "
                         "layers, %s)",
                         tensor->file, tensor->name, config->layers,
                         config->tied_head ? "tied head" : "head of its own");
            goto out;
        }
    }
out:
    mem_free(known);
    return rc;
}

static int load_outer(struct model *model)
{
    int rc;
    const struct model_config *c = &model->config;
    size_t width = (size_t)c->width, vocabulary = (size_t)c->vocabulary;
    TRY(mem_alloc(&model->embedding, vocabulary * width, sizeof *model->embedding));
    TRY(tensor_table_read(model->tensors, "model.embed_tokens.weight", vocabulary, width,
                          model->embedding));
    TRY(mem_alloc(&model->final_norm, width, sizeof *model->final_norm));
    TRY(tensor_table_read(model->tensors, "model.norm.weight", width, 0, model->final_norm));
    model->head = model->embedding;
    if (c->tied_head)
        goto out;
    model->head = NULL;
    TRY(mem_alloc(&model->head, vocabulary * width, sizeof *model->head));
    TRY(tensor_table_read(model->tensors, "lm_head.weight", vocabulary, width, model->head));
out:
    return rc;
}

static size_t rounded(size_t count)
{
    return (count + 15) / 16 * 16;
}

static int load_block(const struct model *model, int layer, struct block *block)
{
    int rc;
    size_t total = 0;
    struct block fresh = {.linear_count = LLAMA_LINEARS, .input_count = 4};
    struct llama_tensor tensors[LLAMA_BLOCK_TENSORS];
    for (int i = 0; i < LLAMA_BLOCK_TENSORS; i++) {
        block_tensor_at(&model->config, layer, i, &tensors[i]);
        total += rounded((size_t)tensors[i].rows *
                         (size_t)(tensors[i].columns ? tensors[i].columns : 1));
    }
    TRY(mem_alloc(&fresh.storage, total, sizeof *fresh.storage));
    float *at = fresh.storage;
    for (int i = 0; i < LLAMA_BLOCK_TENSORS; i++) {
        const struct llama_tensor *t = &tensors[i];
        int linear = i < 5 ? i - 1 : i - 2;
        if (t->columns) {
            fresh.linears[linear] = (struct linear){.name = linear_names[linear],
                                                    .weight = at,
                                                    .out = t->rows,
                                                    .in = t->columns,
                                                    .input = linear_inputs[linear]};
            TRY(model_read_linear(model, t->name, &fresh.linears[linear]));
        } else {
            fresh.vectors[i == 0 ? LLAMA_ATTENTION_NORM : LLAMA_MLP_NORM] = at;
            TRY(tensor_table_read(model->tensors, t->name, (size_t)t->rows, 0, at));
        }
        at += rounded((size_t)t->rows * (size_t)(t->columns ? t->columns : 1));
    }
    *block = fresh;
out:
    if (rc)
        block_release(&fresh);
    return rc;
}

static int embed(const struct model *model, const struct batch *batch, float *x)
{
    size_t width = (size_t)model->config.width;
    for (int i = 0; i < batch->offsets[batch->count]; i++) {
        int32_t token = batch->tokens[i];
        if (token < 0 || token >= model->config.vocabulary)
            return err_set(
                ERR_FORMAT,
                "%s: token %d at place %d is not in the model's vocabulary of %d (is the tokenizer "
                "another model's?)",
                model->folder, (int)token, i, model->config.vocabulary);
        memcpy(x + (size_t)i * width, model->embedding + (size_t)token * width, width * sizeof *x);
    }
    return 0;
}

const struct architecture architecture_llama = {
    .name = "llama",
    .blocks = "model.layers",
    .version = 1,
    .read_config = read_config,
    .check_tensors = check_tensors,
    .load_outer = load_outer,
    .load_block = load_block,
    .embed = embed,
    .block_forward = llama_block_forward,
    .final_norm = llama_final_norm,
};
