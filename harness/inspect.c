#include "harness/inspect.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/model_folder.h"
#include "harness/model_size.h"
#include "harness/packed_model.h"
#include "model/gguf.h"
#include "model/layout.h"
#include "model/tensor_table.h"
#include "model/tokenizer.h"
#include "model/torch.h"

#include <stdio.h>
#include <string.h>

/* ---- counting ---- */

static double elements(const struct model_tensor *tensor)
{
    return (double)tensor->rows * (tensor->columns ? tensor->columns : 1);
}

void model_parts_of(const struct model *model, struct model_parts *parts)
{
    const struct model_config *c = &model->config;
    const double wide = (double)c->vocabulary * c->width;
    struct model_tensor tensor;
    size_t total, bytes;
    int seen = -1;
    *parts = (struct model_parts){0};
    model_size(model, &total, &bytes);
    parts->bytes = (double)bytes;
    for (size_t i = 0; i < tensor_table_count(model->tensors); i++) {
        const struct tensor *stored = tensor_table_at(model->tensors, i);
        parts->by_type[stored->dtype] += (double)stored->count;
    }
    for (int i = 0; model->architecture->tensor_at(c, 0, i, &tensor); i++) {
        parts->block += 4 * elements(&tensor);
        if (tensor.place != TENSOR_LINEAR)
            continue;
        parts->linear += c->layers * elements(&tensor);
        if (tensor.input != seen)
            parts->hessians += 4.0 * tensor.columns * tensor.columns;
        seen = tensor.input;
    }
    parts->embedding = (double)c->vocabulary * (c->embedding_width ? c->embedding_width : c->width);
    parts->head = c->tied_head ? 0 : parts->embedding;
    parts->other = (double)total - parts->linear - parts->embedding - parts->head;
    parts->outer = 4 * wide * (model->head == model->embedding ? 1 : 2) +
                   (model->extra ? 4.0 * c->max_positions * c->width : 0);
}

double model_parts_total(const struct model_parts *parts)
{
    return parts->linear + parts->embedding + parts->head + parts->other;
}

/* ---- packed models ---- */

/* Weights and bytes of the packed layers. */
static void packed_size(const struct model *model, double *weights, double *bytes)
{
    const struct packed_model *packed = packed_model_of(model);
    *weights = *bytes = 0;
    for (int i = 0; i < packed->layer_count; i++) {
        *weights += (double)packed->layers[i].rows * packed->layers[i].columns;
        *bytes += (double)model_layer_bytes(model, packed->layers[i].name);
    }
}

static json_t *packed_json(const struct model *model)
{
    const struct packed_model *packed = packed_model_of(model);
    const struct quant_method *method = packed->op.method;
    json_t *options = NULL;
    double weights, bytes;
    packed_size(model, &weights, &bytes);
    if (options_to_json(method->options, packed->op.options, &options))
        options = json_null();
    return json_pack("{s:s, s:i, s:o, s:i, s:I, s:I}", "method", method->name, "method_version",
                     packed->method_version, "options", options, "layers", packed->layer_count,
                     "weights", (json_int_t)weights, "bytes", (json_int_t)bytes);
}

static int print_packed(const struct model *model)
{
    int rc;
    const struct packed_model *packed = packed_model_of(model);
    struct strbuf options = {0};
    double weights, bytes;
    if (!packed)
        return 0;
    packed_size(model, &weights, &bytes);
    TRY(options_summary(packed->op.method->options, packed->op.options, &options));
    int own = 0; /* layers whose method or options a rule chose */
    for (int i = 0; i < packed->layer_count; i++)
        own += packed->layers[i].options != NULL;
    printf("packed        %d linear layers by %s%s%s", packed->layer_count, packed->op.method->name,
           options.length ? " " : "", options.data);
    if (own)
        printf(", %d of them as config.json says for each", own);
    printf(": %.4f bits a weight\n", bytes * 8 / weights);
out:
    strbuf_release(&options);
    return rc;
}

/* ---- what is said in both forms ---- */

struct inspection {
    struct model model;
    struct model_parts parts;
    struct tokenizer *tokenizer;
    struct strbuf tokenizer_error, note; /* empty: none */
    int ignored;                         /* tensors that have no part in the model */
    const char *first_ignored;
};

static const char *container_of(const struct model *model)
{
    const char *file = tensor_table_file(model->tensors, 0), *end = strrchr(file, '.');
    if (end && strcmp(end, ".safetensors") == 0)
        return "safetensors";
    return gguf_is(file) ? "GGUF" : torch_is(file) ? "PyTorch" : "llama2.c";
}

static int look(struct inspection *in, const char *path)
{
    int rc;
    TRY(model_folder_open(&in->model, path));
    model_parts_of(&in->model, &in->parts);
    for (size_t i = 0; i < tensor_table_count(in->model.tensors); i++) {
        const char *name = tensor_table_at(in->model.tensors, i)->name;
        if (layout_ignores(&in->model.config, name) && in->ignored++ == 0)
            in->first_ignored = name;
    }
    /* A model without a tokenizer can still be looked at. */
    if (tokenizer_open(&in->tokenizer, path) != 0) {
        in->tokenizer = NULL;
        TRY(strbuf_puts(&in->tokenizer_error, err_text()));
    } else if (model_check_tokenizer(&in->model, in->tokenizer) != 0) {
        TRY(strbuf_puts(&in->note, err_text()));
    } else if (tokenizer_vocabulary(in->tokenizer) < in->model.config.vocabulary) {
        TRY(strbuf_printf(&in->note,
                          "the tokenizer has %d of the model's %d ids; the others occur "
                          "in no text",
                          tokenizer_vocabulary(in->tokenizer), in->model.config.vocabulary));
    }
out:
    return rc;
}

/* "q_proj, k_proj": the linear layers that have a bias. */
static int bias_names(const struct model *model, struct strbuf *out)
{
    int rc = 0;
    for (int i = 0; i < MODEL_MAX_LINEARS; i++) {
        const char *name = model->config.biases >> i & 1 ? model->architecture->linear_names[i]
                                                         : NULL;
        const char *point = name ? strrchr(name, '.') : NULL;
        if (name)
            TRY(strbuf_printf(out, "%s%s", out->length ? ", " : "", point ? point + 1 : name));
    }
out:
    return rc;
}

/* ---- JSON ---- */

static json_t *positions_json(const struct model_config *c)
{
    json_t *json = json_pack("{s:s, s:i, s:b}", "kind", c->learned_positions ? "learned" : "rotary",
                             "most", c->max_positions, "fixed", model_position_limit(c) != NULL);
    if (!c->learned_positions)
        json_object_set_new(json, "theta", json_real(c->rope_theta));
    if (c->rope.kind != ROPE_PLAIN)
        json_object_set_new(json, "scaling",
                            json_pack("{s:s, s:f, s:i}", "type", rope_kind_name(c->rope.kind),
                                      "factor", c->rope.factor, "original", c->rope.original));
    if (c->window)
        json_object_set_new(
            json, "window",
            json_pack("{s:i, s:i}", "positions", c->window, "from_block", c->window_from));
    return json;
}

static json_t *tokenizer_json(const struct tokenizer *tokenizer)
{
    return json_pack("{s:s, s:i, s:s, s:i, s:i, s:b}", "kind", tokenizer_kind_name(tokenizer),
                     "vocabulary", tokenizer_vocabulary(tokenizer), "hash",
                     tokenizer_hash(tokenizer), "bos", tokenizer_bos(tokenizer), "eos",
                     tokenizer_eos(tokenizer), "adds_bos", tokenizer_adds_bos(tokenizer));
}

static json_t *config_json(const struct model *model)
{
    const struct model_config *c = &model->config;
    json_t *biases = json_array();
    for (int i = 0; i < MODEL_MAX_LINEARS; i++)
        if (c->biases >> i & 1)
            json_array_append_new(biases, json_string(model->architecture->linear_names[i]));
    return json_pack(
        "{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:f, s:f, s:i, s:s, s:s, s:s, s:o}",
        "layers", c->layers, "width", c->width, "hidden", c->hidden, "heads", c->heads, "kv_heads",
        c->kv_heads, "head_size", c->head_size, "vocabulary", c->vocabulary, "max_positions",
        c->max_positions, "tied_head", c->tied_head, "norm_epsilon", c->norm_epsilon, "rope_theta",
        c->rope_theta, "embedding_width", c->embedding_width ? c->embedding_width : c->width,
        "norm", c->layer_norm ? "LayerNorm" : "RMSNorm", "norm_place",
        c->norm_after ? "behind" : "before", "activation", c->relu ? "relu" : "silu", "biases",
        biases);
}

static json_t *inspection_json(const struct inspection *in)
{
    const struct model *model = &in->model;
    const struct model_parts *parts = &in->parts;
    json_t *types = json_object();
    for (int i = 0; i < DTYPES; i++)
        if (parts->by_type[i] > 0)
            json_object_set_new(types, dtype_name((enum dtype)i),
                                json_integer((json_int_t)parts->by_type[i]));
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:o, s:o, s:{s:I, s:I, s:I, s:I}, s:o, s:I, s:{s:I, s:I, s:I}, "
        "s:i}",
        "folder", model->folder, "hash", model->hash, "architecture", model->config.architecture,
        "container", container_of(model), "files", (int)tensor_table_file_count(model->tensors),
        "config", config_json(model), "positions", positions_json(&model->config), "parameters",
        "linear", (json_int_t)parts->linear, "embedding", (json_int_t)parts->embedding, "head",
        (json_int_t)parts->head, "other", (json_int_t)parts->other, "dtypes", types, "bytes",
        (json_int_t)parts->bytes, "memory", "block", (json_int_t)parts->block, "hessians",
        (json_int_t)parts->hessians, "outer", (json_int_t)parts->outer, "ignored_tensors",
        in->ignored);
    if (object && packed_model_of(model))
        json_object_set_new(object, "packed", packed_json(model));
    if (object && in->tokenizer)
        json_object_set_new(object, "tokenizer", tokenizer_json(in->tokenizer));
    if (object && in->note.length)
        json_object_set_new(object, "note", json_string(in->note.data));
    return object;
}

/* ---- text ---- */

static void print_share(const char *what, double part, double total)
{
    printf("  %-26s %14.0f  %5.1f %%\n", what, part, total > 0 ? 100 * part / total : 0);
}

static int print_family(const struct model *model)
{
    const struct model_config *c = &model->config;
    const size_t files = tensor_table_file_count(model->tensors);
    int rc;
    struct strbuf biases = {0};
    TRY(bias_names(model, &biases));
    printf("container     %s, %zu file%s\n", container_of(model), files, files == 1 ? "" : "s");
    printf("architecture  %s, %d blocks, width %d, hidden %d, %d heads of %d (%d for keys and "
           "values)\n",
           c->architecture, c->layers, c->width, c->hidden, c->heads, c->head_size, c->kv_heads);
    printf("block         %s %s attention and MLP, %s; %s%s\n",
           c->layer_norm ? "LayerNorm" : "RMSNorm", c->norm_after ? "behind" : "before",
           c->relu ? "ReLU" : "SiLU with a gate", biases.length ? "biases of " : "no biases",
           biases.length ? biases.data : "");
    printf("vocabulary    %d, %s head", c->vocabulary, c->tied_head ? "tied" : "separate");
    if (c->embedding_width)
        printf("; stored with width %d, and projected", c->embedding_width);
    printf("\npositions     up to %d, ", c->max_positions);
    if (c->learned_positions)
        printf("learned");
    else
        printf("rotary, theta %g", c->rope_theta);
    if (c->rope.kind != ROPE_PLAIN)
        printf(", %s scaling by %g from %d", rope_kind_name(c->rope.kind), c->rope.factor,
               c->rope.original);
    if (c->window)
        printf("; attention reaches back %d, from block %d on", c->window, c->window_from);
    putchar('\n');
out:
    strbuf_release(&biases);
    return rc;
}

static void print_tokenizer(const struct inspection *in)
{
    const struct tokenizer *tokenizer = in->tokenizer;
    if (tokenizer)
        printf("tokenizer     %s, %d ids%s, hash %.16s\n", tokenizer_kind_name(tokenizer),
               tokenizer_vocabulary(tokenizer),
               tokenizer_adds_bos(tokenizer) ? ", BOS in front" : "", tokenizer_hash(tokenizer));
    else
        printf("tokenizer     none: %s\n", in->tokenizer_error.data);
}

static int print_inspection(const struct inspection *in)
{
    const struct model_parts *parts = &in->parts;
    const double total = model_parts_total(parts), mib = 1048576;
    int rc;
    printf("%s\n", in->model.folder);
    TRY(print_family(&in->model));
    print_tokenizer(in);
    printf("parameters    %.0f\n", total);
    print_share("linear layers (quantized)", parts->linear, total);
    print_share("embedding", parts->embedding, total);
    if (!in->model.config.tied_head)
        print_share("head", parts->head, total);
    print_share(in->model.config.learned_positions ? "positions, norms and biases"
                                                   : "norms and the rest",
                parts->other, total);
    printf("stored        %.1f MiB:", parts->bytes / mib);
    for (int i = 0; i < DTYPES; i++)
        if (parts->by_type[i] > 0)
            printf(" %s %.0f", dtype_name((enum dtype)i), parts->by_type[i]);
    printf("\nin memory     %.1f MiB a block, %.1f MiB its Hessians, %.1f MiB outside the blocks\n",
           parts->block / mib, parts->hessians / mib, parts->outer / mib);
    if (in->ignored)
        printf("left alone    %d tensor%s that the model does not need: %s%s\n", in->ignored,
               in->ignored == 1 ? "" : "s", in->first_ignored, in->ignored == 1 ? "" : ", ...");
    TRY(print_packed(&in->model));
    if (in->note.length)
        printf("note          %s\n", in->note.data);
    printf("hash          %s\n", in->model.hash);
out:
    return rc;
}

int inspect_model(const char *name, bool json)
{
    int rc;
    char *path = NULL;
    struct inspection in = {.ignored = 0};
    TRY(model_folder(&path, name));
    TRY(look(&in, path));
    rc = json ? command_print_json(inspection_json(&in)) : print_inspection(&in);
out:
    strbuf_release(&in.tokenizer_error);
    strbuf_release(&in.note);
    tokenizer_free(in.tokenizer);
    model_close(&in.model);
    mem_free(path);
    return rc;
}
