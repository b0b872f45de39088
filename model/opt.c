/* OPT (Zhang et al. 2022): learned positions, LayerNorm before the branches (350m: behind them), an
 * MLP with ReLU, biases everywhere. The projections that 350m has around its narrower embedding are
 * multiplied into embedding and head when the model is opened: x = (E P_in^T)[token], logits =
 * (E P_out) h. Tensors are named as in Hugging Face's checkpoints. */
#include "core/err.h"
#include "core/mem.h"
#include "linalg/matmul.h"
#include "model/config.h"
#include "model/layout.h"
#include "model/tensor_table.h"
#include "model/transformer.h"

#include <stdio.h>
#include <string.h>

/* Row p of the stored positions belongs to position p - 2. */
enum { OFFSET = 2 };

enum { FC1 = 4, FC2, LINEARS };

static const char *const linear_names[] = {"self_attn.q_proj",
                                           "self_attn.k_proj",
                                           "self_attn.v_proj",
                                           "self_attn.out_proj",
                                           "fc1",
                                           "fc2",
                                           NULL};

/* ---- tensors ---- */

static void linear_tensor(const struct model_config *c, int layer, int linear, bool bias,
                          struct model_tensor *out)
{
    static const int inputs[LINEARS] = {0, 0, 0, 1, 2, 3};
    *out = (struct model_tensor){.rows = linear == FC1 ? c->hidden : c->width,
                                 .columns = bias            ? 0
                                            : linear == FC2 ? c->hidden
                                                            : c->width,
                                 .place = bias ? TENSOR_BIAS : TENSOR_LINEAR,
                                 .index = linear,
                                 .input = inputs[linear]};
    snprintf(out->name, sizeof out->name, "model.decoder.layers.%d.%s.%s", layer,
             linear_names[linear], bias ? "bias" : "weight");
}

/* Both norms with gain and bias, then q, k, v, out, fc1, fc2, each with its bias. */
static bool block_tensor_at(const struct model_config *c, int layer, int index,
                            struct model_tensor *out)
{
    static const int vectors[] = {NORM_ATTENTION, NORM_ATTENTION_BIAS, NORM_MLP, NORM_MLP_BIAS};
    const int each = c->biases ? 2 : 1;
    if (index < 4) {
        *out = (struct model_tensor){
            .rows = c->width, .place = TENSOR_VECTOR, .index = vectors[index]};
        snprintf(out->name, sizeof out->name, "model.decoder.layers.%d.%s.%s", layer,
                 index < 2 ? "self_attn_layer_norm" : "final_layer_norm",
                 index % 2 ? "bias" : "weight");
        return true;
    }
    index -= 4;
    if (index >= LINEARS * each)
        return false;
    linear_tensor(c, layer, index / each, index % each != 0, out);
    return true;
}

static int embedding_width(const struct model_config *c)
{
    return c->embedding_width ? c->embedding_width : c->width;
}

static bool outer_tensor_at(const struct model_config *c, int index, struct model_tensor *out)
{
    const int narrow = embedding_width(c), positions = c->max_positions + OFFSET;
    const struct {
        const char *name;
        int rows, columns;
        bool there;
    } all[] = {
        {"model.decoder.embed_tokens.weight", c->vocabulary, narrow, true},
        {"model.decoder.embed_positions.weight", positions, c->width, true},
        {"model.decoder.project_in.weight", c->width, narrow, c->embedding_width > 0},
        {"model.decoder.project_out.weight", narrow, c->width, c->embedding_width > 0},
        {"model.decoder.final_layer_norm.weight", c->width, 0, !c->no_final_norm},
        {"model.decoder.final_layer_norm.bias", c->width, 0, !c->no_final_norm},
        {"lm_head.weight", c->vocabulary, narrow, !c->tied_head},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].there && index-- == 0) {
            *out = (struct model_tensor){.rows = all[i].rows, .columns = all[i].columns};
            snprintf(out->name, sizeof out->name, "%s", all[i].name);
            return true;
        }
    return false;
}

static bool tensor_at(const struct model_config *c, int layer, int index, struct model_tensor *out)
{
    return layer < 0 ? outer_tensor_at(c, index, out) : block_tensor_at(c, layer, index, out);
}

/* ---- config.json ---- */

static int check_variants(const json_t *json, const struct model_config *c, const char *where)
{
    int rc;
    bool affine;
    const char *activation = json_string_value(json_object_get(json, "activation_function"));
    TRY(config_bool(json, where, "layer_norm_elementwise_affine", true, &affine));
    if (activation && strcmp(activation, "relu") != 0)
        rc = err_set(ERR_FORMAT,
                     "%s: key 'activation_function' is '%.40s': only 'relu' is supported for opt",
                     where, activation);
    else if (!affine)
        rc = err_set(ERR_FORMAT,
                     "%s: key 'layer_norm_elementwise_affine' is false: norms without gain and "
                     "bias are not supported",
                     where);
    else if (c->width % c->heads)
        rc = err_set(ERR_FORMAT, "%s: width %d does not divide into %d heads", where, c->width,
                     c->heads);
out:
    return rc;
}

static int read_config(const json_t *json, struct model_config *config, const char *where)
{
    int rc, narrow;
    bool before, removed, biases;
    struct model_config c = {.architecture = "opt",
                             .norm_epsilon = 1e-5,
                             .learned_positions = true,
                             .layer_norm = true,
                             .relu = true};
    TRY(config_int(json, where, "num_hidden_layers", 1, 4096, CONFIG_REQUIRED, &c.layers));
    TRY(config_int(json, where, "hidden_size", 1, 1 << 17, CONFIG_REQUIRED, &c.width));
    TRY(config_int(json, where, "ffn_dim", 1, 1 << 20, CONFIG_REQUIRED, &c.hidden));
    TRY(config_int(json, where, "num_attention_heads", 1, 4096, CONFIG_REQUIRED, &c.heads));
    TRY(config_int(json, where, "vocab_size", 1, 1 << 24, CONFIG_REQUIRED, &c.vocabulary));
    TRY(config_int(json, where, "max_position_embeddings", 1, 1 << 24, 2048, &c.max_positions));
    TRY(config_int(json, where, "word_embed_proj_dim", 1, 1 << 17, c.width, &narrow));
    TRY(config_bool(json, where, "do_layer_norm_before", true, &before));
    TRY(config_bool(json, where, "_remove_final_layer_norm", false, &removed));
    TRY(config_bool(json, where, "enable_bias", true, &biases));
    TRY(config_bool(json, where, "tie_word_embeddings", true, &c.tied_head));
    TRY(config_token(json, where, "bos_token_id", c.vocabulary, &c.bos_id));
    TRY(config_token(json, where, "eos_token_id", c.vocabulary, &c.eos_id));
    TRY(check_variants(json, &c, where));
    c.kv_heads = c.heads;
    c.head_size = c.width / c.heads;
    c.norm_after = !before;
    c.no_final_norm = !before || removed;
    c.biases = biases ? (1u << LINEARS) - 1 : 0;
    c.embedding_width = narrow == c.width ? 0 : narrow;
    *config = c;
out:
    return rc;
}

/* ---- loading ---- */

/* *embedding = E P_in^T, vocabulary x width */
static int project_in(const struct model *model, float **embedding)
{
    const struct model_config *c = &model->config;
    int rc, narrow = c->embedding_width;
    float *projection = NULL, *wide = NULL;
    TRY(layout_read(model, "model.decoder.project_in.weight", (size_t)c->width, (size_t)narrow,
                    &projection));
    TRY(mem_alloc(&wide, (size_t)c->vocabulary * (size_t)c->width, sizeof *wide));
    TRY(matmul_nt(*embedding, projection, c->vocabulary, c->width, narrow, 0.0f, wide));
    mem_free(*embedding);
    *embedding = wide;
    wide = NULL;
out:
    mem_free(projection);
    mem_free(wide);
    return rc;
}

/* *head = E P_out, vocabulary x width */
static int project_out(const struct model *model, const float *embedding, float **head)
{
    const struct model_config *c = &model->config;
    int rc, narrow = c->embedding_width;
    float *projection = NULL, *wide = NULL;
    TRY(layout_read(model, "model.decoder.project_out.weight", (size_t)narrow, (size_t)c->width,
                    &projection));
    TRY(mem_alloc(&wide, (size_t)c->vocabulary * (size_t)c->width, sizeof *wide));
    TRY(matmul_nn(embedding, projection, c->vocabulary, narrow, c->width, 0.0f, wide));
    *head = wide;
    wide = NULL;
out:
    mem_free(projection);
    mem_free(wide);
    return rc;
}

static int load_embeddings(struct model *model)
{
    const struct model_config *c = &model->config;
    const size_t vocabulary = (size_t)c->vocabulary, narrow = (size_t)embedding_width(c);
    int rc;
    float *own = NULL;
    TRY(layout_read(model, "model.decoder.embed_tokens.weight", vocabulary, narrow,
                    &model->embedding));
    if (!c->tied_head)
        TRY(layout_read(model, "lm_head.weight", vocabulary, narrow, &own));
    if (c->embedding_width) {
        TRY(project_out(model, own ? own : model->embedding, &model->head));
        TRY(project_in(model, &model->embedding));
    } else {
        model->head = own ? own : model->embedding;
        own = NULL;
    }
out:
    mem_free(own);
    return rc;
}

static int load_outer(struct model *model)
{
    const struct model_config *c = &model->config;
    const size_t width = (size_t)c->width, positions = (size_t)c->max_positions;
    int rc;
    TRY(load_embeddings(model));
    TRY(layout_read(model, "model.decoder.embed_positions.weight", positions + OFFSET, width,
                    &model->extra));
    memmove(model->extra, model->extra + OFFSET * width, positions * width * sizeof(float));
    if (c->no_final_norm)
        goto out;
    TRY(mem_alloc(&model->final_norm, 2 * width, sizeof *model->final_norm));
    TRY(tensor_table_read(model->tensors, "model.decoder.final_layer_norm.weight", width, 0,
                          model->final_norm));
    TRY(tensor_table_read(model->tensors, "model.decoder.final_layer_norm.bias", width, 0,
                          model->final_norm + width));
out:
    return rc;
}

const struct architecture architecture_opt = {
    .name = "opt",
    .blocks = "model.decoder.layers",
    .linear_names = linear_names,
    .version = 1,
    .read_config = read_config,
    .tensor_at = tensor_at,
    .check_tensors = layout_check_tensors,
    .load_outer = load_outer,
    .load_block = layout_load_block,
    .embed = transformer_embed,
    .block_forward = transformer_block_forward,
    .final_norm = transformer_final_norm,
};
