#include "model/gguf_model.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/gguf_internal.h"
#include "model/tensor_part.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The families by general.architecture, which is model_type in config.json too. LLaMA's files hold
 * the rows of q and k in another order: llama.cpp rotates neighbouring pairs of a head, Hugging
 * Face element i and i + head_size / 2. */
static const struct family {
    const char *name;
    bool permuted, rope_factors;
} families[] = {{"llama", true, true}, {"qwen2", false, false}};

/* What is asked for while a file is opened. */
struct reading {
    struct gguf *file;
    const struct family *family;
    int64_t heads, kv_heads;
};

/* The first part of a model has its metadata, the others little more than their number. */
static int check_whole(const struct gguf *file)
{
    int64_t part, parts;
    int rc;
    TRY(gguf_int(file, "split.count", 0, 65535, 0, &parts));
    TRY(gguf_int(file, "split.no", 0, 65535, 0, &part));
    if (parts > 1)
        rc = err_set(ERR_FORMAT,
                     "%s: part %d of %d of a model: join them with llama.cpp's `llama-gguf-split "
                     "--merge FIRST-PART OUT.gguf`",
                     file->path, (int)part + 1, (int)parts);
out:
    return rc;
}

static int find_family(struct reading *r)
{
    struct gguf_text name;
    int64_t experts;
    int rc = gguf_text(r->file, "general.architecture", &name);
    if (rc)
        return rc;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strlen(families[i].name) == name.size &&
            memcmp(families[i].name, name.text, name.size) == 0)
            r->family = &families[i];
    if (!r->family)
        return err_set(ERR_FORMAT,
                       "%s: a model of architecture '%.*s': of GGUF files, llama (with Mistral) "
                       "and qwen2 are supported",
                       r->file->path, (int)(name.size < 40 ? name.size : 40), name.text);
    char key[64];
    snprintf(key, sizeof key, "%s.expert_count", r->family->name);
    TRY(gguf_int(r->file, key, 0, 65535, 0, &experts));
    if (experts)
        return err_set(ERR_FORMAT, "%s: a mixture of %d experts, which is not supported",
                       r->file->path, (int)experts);
out:
    return rc;
}

/* ---- the configuration ---- */

/* config[name] = the whole number of key FAMILY.KEY. */
static int copy_int(const struct reading *r, const char *key, int64_t fallback, const char *name,
                    json_t *config, int64_t *value)
{
    char full[96];
    int64_t number;
    snprintf(full, sizeof full, "%s.%s", r->family->name, key);
    int rc = gguf_int(r->file, full, 1, INT32_MAX, fallback, &number);
    if (rc)
        return rc;
    if (value)
        *value = number;
    return json_object_set_new(config, name, json_integer(number))
               ? err_set(ERR_MEMORY, "%s: out of memory for the configuration", r->file->path)
               : 0;
}

static int copy_real(const struct reading *r, const char *key, double fallback, const char *name,
                     json_t *config)
{
    char full[96];
    double number;
    snprintf(full, sizeof full, "%s.%s", r->family->name, key);
    int rc = gguf_real(r->file, full, 0, 1e12, fallback, &number);
    if (rc)
        return rc;
    return json_object_set_new(config, name, json_real(number))
               ? err_set(ERR_MEMORY, "%s: out of memory for the configuration", r->file->path)
               : 0;
}

static const struct tensor *find_tensor(const struct gguf *file, const char *name)
{
    for (size_t i = 0; i < file->tensor_count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

/* The frequencies' divisors of LLaMA 3.1 and later. They were computed from four numbers of its
 * config.json, which are found again: the largest divisor is the factor, and the others are the
 * same in all of these models. */
static int rope_from_factors(const struct reading *r, const struct tensor *factors, json_t *config)
{
    static const double low = 1, high = 4, original = 8192, turn = 6.283185307179586;
    int rc = 0;
    float *given = NULL, factor = 1;
    double theta = json_number_value(json_object_get(config, "rope_theta"));
    TRY(mem_alloc(&given, factors->count ? factors->count : 1, sizeof *given));
    TRY(tensor_to_float(factors, given));
    for (size_t i = 0; i < factors->count; i++)
        factor = given[i] > factor ? given[i] : factor;
    for (size_t i = 0; i < factors->count; i++) {
        double wave = turn * pow(theta, (double)i / (double)factors->count);
        double smooth = (original / wave - low) / (high - low), wanted = 1;
        if (wave > original / low)
            wanted = (double)factor;
        else if (wave >= original / high)
            wanted = 1 / ((1 - smooth) / (double)factor + smooth);
        if (!(fabs((double)given[i] - wanted) <= 1e-4 * wanted)) {
            rc = err_set(ERR_FORMAT,
                         "%s: tensor '%s': element %zu is %g, where LLaMA 3's scaling by %g has "
                         "%g: another scaling of rotary positions is not supported",
                         r->file->path, factors->name, i, (double)given[i], (double)factor, wanted);
            goto out;
        }
    }
    if (json_object_set_new(config, "rope_scaling",
                            json_pack("{s:s, s:f, s:f, s:f, s:i}", "rope_type", "llama3", "factor",
                                      (double)factor, "low_freq_factor", low, "high_freq_factor",
                                      high, "original_max_position_embeddings", (int)original)))
        rc = err_set(ERR_MEMORY, "%s: out of memory for the configuration", r->file->path);
out:
    mem_free(given);
    return rc;
}

/* FAMILY.rope.scaling.*: none, linear, yarn. */
static int read_scaling(const struct reading *r, json_t *config)
{
    char key[64];
    struct gguf_text type;
    int rc = 0, yarn;
    json_t *scaling = NULL;
    snprintf(key, sizeof key, "%s.rope.scaling.type", r->family->name);
    if (!gguf_has(r->file, key))
        return 0;
    TRY(gguf_text(r->file, key, &type));
    if (type.size == 4 && memcmp(type.text, "none", 4) == 0)
        return 0;
    yarn = type.size == 4 && memcmp(type.text, "yarn", 4) == 0;
    if (!yarn && !(type.size == 6 && memcmp(type.text, "linear", 6) == 0))
        return err_set(ERR_FORMAT, "%s: key '%s' is '%.*s': none, linear and yarn are supported",
                       r->file->path, key, (int)(type.size < 40 ? type.size : 40), type.text);
    scaling = json_pack("{s:s}", "rope_type", yarn ? "yarn" : "linear");
    TRY(copy_real(r, "rope.scaling.factor", NAN, "factor", scaling));
    if (yarn)
        TRY(copy_int(r, "rope.scaling.original_context_length", GGUF_REQUIRED,
                     "original_max_position_embeddings", scaling, NULL));
    if (json_object_set(config, "rope_scaling", scaling))
        rc = err_set(ERR_MEMORY, "%s: out of memory for the configuration", r->file->path);
out:
    json_decref(scaling);
    return rc;
}

static int read_rope(const struct reading *r, int64_t head_size, json_t *config)
{
    int rc;
    char key[64];
    int64_t rotated;
    const struct tensor *factors = find_tensor(r->file, "rope_freqs.weight");
    snprintf(key, sizeof key, "%s.rope.dimension_count", r->family->name);
    TRY(gguf_int(r->file, key, 1, INT32_MAX, head_size, &rotated));
    if (rotated != head_size)
        return err_set(ERR_FORMAT,
                       "%s: key '%s' is %d, but a head has %d: only rotation of whole heads is "
                       "supported",
                       r->file->path, key, (int)rotated, (int)head_size);
    if (find_tensor(r->file, "rope_factors_long.weight"))
        return err_set(ERR_FORMAT,
                       "%s: tensor 'rope_factors_long.weight': rotary positions of type longrope "
                       "are not supported",
                       r->file->path);
    TRY(copy_real(r, "rope.freq_base", 10000, "rope_theta", config));
    TRY(read_scaling(r, config));
    if (factors && r->family->rope_factors)
        TRY(rope_from_factors(r, factors, config));
out:
    return rc;
}

/* Ids of the tokenizer's marks, and whether linear layers have biases, which tensors alone tell. */
static int read_rest(const struct reading *r, json_t *config)
{
    static const char *const marks[][2] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                           {"tokenizer.ggml.eos_token_id", "eos_token_id"}};
    int rc = 0;
    for (int i = 0; i < 2; i++) {
        int64_t id;
        TRY(gguf_int(r->file, marks[i][0], 0, UINT32_MAX, -1, &id));
        if (id >= 0 && id != UINT32_MAX) /* all ones: none */
            json_object_set_new(config, marks[i][1], json_integer(id));
    }
    json_object_set_new(config, "model_type", json_string(r->family->name));
    json_object_set_new(config, "hidden_act", json_string("silu"));
    json_object_set_new(config, "tie_word_embeddings",
                        json_boolean(!find_tensor(r->file, "output.weight")));
    if (r->family->permuted)
        json_object_set_new(config, "attention_bias",
                            json_boolean(find_tensor(r->file, "blk.0.attn_q.bias")));
out:
    return rc;
}

static int read_config(struct reading *r, json_t *config)
{
    int rc;
    int64_t width, head_size;
    const struct tensor *embedding = find_tensor(r->file, "token_embd.weight");
    if (!embedding || embedding->rank != 2)
        return err_set(ERR_MISSING, "%s: there is no matrix 'token_embd.weight'", r->file->path);
    TRY(copy_int(r, "block_count", GGUF_REQUIRED, "num_hidden_layers", config, NULL));
    TRY(copy_int(r, "embedding_length", GGUF_REQUIRED, "hidden_size", config, &width));
    TRY(copy_int(r, "feed_forward_length", GGUF_REQUIRED, "intermediate_size", config, NULL));
    TRY(copy_int(r, "attention.head_count", GGUF_REQUIRED, "num_attention_heads", config,
                 &r->heads));
    TRY(copy_int(r, "attention.head_count_kv", r->heads, "num_key_value_heads", config,
                 &r->kv_heads));
    TRY(copy_int(r, "attention.key_length", width / r->heads ? width / r->heads : 1, "head_dim",
                 config, &head_size));
    TRY(copy_int(r, "context_length", 2048, "max_position_embeddings", config, NULL));
    TRY(copy_int(r, "vocab_size", (int64_t)(embedding->shape[0] & INT32_MAX), "vocab_size", config,
                 NULL));
    TRY(copy_real(r, "attention.layer_norm_rms_epsilon", NAN, "rms_norm_eps", config));
    TRY(read_rope(r, head_size, config));
    TRY(read_rest(r, config));
out:
    return rc;
}

/* ---- the tensors ---- */

static const char *const outer_names[][2] = {{"token_embd.weight", "model.embed_tokens.weight"},
                                             {"output_norm.weight", "model.norm.weight"},
                                             {"output.weight", "lm_head.weight"}};
static const char *const block_names[][2] = {
    {"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"}};

/* The name in Hugging Face's checkpoints, in `memory`; the name itself where it has none, so that
 * the family can refuse it by that. */
static int rename_tensor(struct tensor *tensor, struct arena *memory)
{
    char *end, *name;
    const size_t size = strlen(tensor->name) + 64;
    for (size_t i = 0; i < sizeof outer_names / sizeof *outer_names; i++)
        if (strcmp(tensor->name, outer_names[i][0]) == 0) {
            tensor->name = outer_names[i][1];
            return 0;
        }
    if (strncmp(tensor->name, "blk.", 4) != 0 || tensor->name[4] < '0' || tensor->name[4] > '9')
        return 0;
    const long block = strtol(tensor->name + 4, &end, 10);
    const char *part = end + 1, *dot = *end == '.' ? strchr(part, '.') : NULL;
    for (size_t i = 0; dot && i < sizeof block_names / sizeof *block_names; i++) {
        if (strncmp(block_names[i][0], part, (size_t)(dot - part)) != 0 ||
            block_names[i][0][dot - part] != '\0')
            continue;
        int rc = arena_alloc(memory, &name, size, 1);
        if (rc)
            return rc;
        snprintf(name, size, "model.layers.%ld.%s%s", block, block_names[i][1], dot);
        tensor->name = name;
        return 0;
    }
    return 0;
}

static int adopt_tensor(const struct reading *r, const struct tensor *stored,
                        struct tensor_part *part)
{
    int rc;
    struct tensor *tensor = &part->items[part->count];
    *tensor = *stored;
    tensor->file = part->path;
    if (r->family->rope_factors && strcmp(tensor->name, "rope_freqs.weight") == 0)
        return 0;
    TRY(rename_tensor(tensor, &part->memory));
    if (r->family->permuted && strstr(tensor->name, ".self_attn.q_proj."))
        TRY(tensor_split_pairs(tensor, (size_t)r->heads, &part->memory));
    if (r->family->permuted && strstr(tensor->name, ".self_attn.k_proj."))
        TRY(tensor_split_pairs(tensor, (size_t)r->kv_heads, &part->memory));
    part->count++;
out:
    return rc;
}

static void release_file(void *file)
{
    gguf_free(file);
}

int gguf_model(struct gguf *file, json_t **config, struct tensor_table **tensors)
{
    int rc;
    struct reading r = {.file = file};
    struct tensor_part part = {.owner = file, .release_owner = release_file};
    json_t *json = json_object();
    TRY(check_whole(file));
    TRY(find_family(&r));
    TRY(read_config(&r, json));
    TRY(mem_strdup(&part.path, file->path));
    TRY(mem_calloc(&part.items, file->tensor_count, sizeof *part.items));
    for (size_t i = 0; i < file->tensor_count; i++)
        TRY(adopt_tensor(&r, &file->tensors[i], &part));
    part.map = file->map; /* the bytes stay where they are */
    file->map = (struct file_map){0};
    TRY(tensor_table_from_part(tensors, &part));
    *config = json;
    json = NULL;
out:
    json_decref(json);
    tensor_part_release(&part);
    return rc;
}
