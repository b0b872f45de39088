/* `bitbench models`: model folders, and what one of them holds. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/model_folder.h"
#include "harness/model_size.h"
#include "harness/packed_model.h"
#include "harness/paths.h"
#include "model/gguf.h"
#include "model/model.h"
#include "model/tensor_table.h"
#include "model/tokenizer.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one model ---- */

/* Parameters by what they are for: those that are quantized, and those that are left alone. */
struct parameters {
    double linear, embedding, head, other, bytes;
    double by_type[DTYPES];
    double type_bytes[DTYPES];
};

static int count_parameters(const struct model *model, struct parameters *count)
{
    struct block block = {0};
    const struct model_config *config = &model->config;
    size_t total, bytes;
    *count = (struct parameters){0};
    model_size(model, &total, &bytes);
    count->bytes = (double)bytes;
    for (size_t i = 0; i < tensor_table_count(model->tensors); i++) {
        const struct tensor *tensor = tensor_table_at(model->tensors, i);
        count->by_type[tensor->dtype] += (double)tensor->count;
        count->type_bytes[tensor->dtype] += (double)tensor->bytes;
    }
    int rc = config->layers > 0 ? model->architecture->load_block(model, 0, &block) : 0;
    if (rc)
        return rc;
    for (int i = 0; i < block.linear_count; i++)
        count->linear += (double)block.linears[i].out * block.linears[i].in * config->layers;
    block_release(&block);
    count->embedding = (double)config->vocabulary * config->width;
    count->head = config->tied_head ? 0 : count->embedding;
    count->other = (double)total - count->linear - count->embedding - count->head;
    return 0;
}

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
    printf("packed        %d linear layers by %s%s%s: %.4f bits a weight\n", packed->layer_count,
           packed->op.method->name, options.length ? " " : "", options.data, bytes * 8 / weights);
out:
    strbuf_release(&options);
    return rc;
}

static json_t *model_json(const struct model *model, const struct parameters *count,
                          const struct tokenizer *tokenizer)
{
    const struct model_config *c = &model->config;
    json_t *types = json_object();
    for (int i = 0; i < DTYPES; i++)
        if (count->by_type[i] > 0)
            json_object_set_new(types, dtype_name((enum dtype)i),
                                json_integer((json_int_t)count->by_type[i]));
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:b, s:f, s:f}, s:{s:I, s:I, "
        "s:I, s:I}, s:o, s:I}",
        "folder", model->folder, "hash", model->hash, "architecture", c->architecture, "config",
        "layers", c->layers, "width", c->width, "hidden", c->hidden, "heads", c->heads, "kv_heads",
        c->kv_heads, "head_size", c->head_size, "vocabulary", c->vocabulary, "max_positions",
        c->max_positions, "tied_head", c->tied_head, "norm_epsilon", c->norm_epsilon, "rope_theta",
        c->rope_theta, "parameters", "linear", (json_int_t)count->linear, "embedding",
        (json_int_t)count->embedding, "head", (json_int_t)count->head, "other",
        (json_int_t)count->other, "dtypes", types, "bytes", (json_int_t)count->bytes);
    if (object && packed_model_of(model))
        json_object_set_new(object, "packed", packed_json(model));
    if (object && tokenizer)
        json_object_set_new(object, "tokenizer",
                            json_pack("{s:i, s:s}", "vocabulary", tokenizer_vocabulary(tokenizer),
                                      "hash", tokenizer_hash(tokenizer)));
    return object;
}

static void print_share(const char *what, double part, double total)
{
    printf("  %-26s %14.0f  %5.1f %%\n", what, part, total > 0 ? 100 * part / total : 0);
}

static void print_model(const struct model *model, const struct parameters *count,
                        const struct tokenizer *tokenizer)
{
    const struct model_config *c = &model->config;
    double total = count->linear + count->embedding + count->head + count->other;
    printf("%s\n", model->folder);
    printf("architecture  %s, %d blocks, width %d, hidden %d, %d heads of %d (%d for keys and "
           "values)\n",
           c->architecture, c->layers, c->width, c->hidden, c->heads, c->head_size, c->kv_heads);
    printf("vocabulary    %d, %s head; positions up to %d\n", c->vocabulary,
           c->tied_head ? "tied" : "separate", c->max_positions);
    if (tokenizer)
        printf("tokenizer     %d ids, hash %.16s\n", tokenizer_vocabulary(tokenizer),
               tokenizer_hash(tokenizer));
    else
        printf("tokenizer     none: %s\n", err_text());
    printf("parameters    %.0f\n", total);
    print_share("linear layers (quantized)", count->linear, total);
    print_share("embedding", count->embedding, total);
    if (!c->tied_head)
        print_share("head", count->head, total);
    print_share("norms and the rest", count->other, total);
    printf("stored        %.1f MiB:", count->bytes / 1048576);
    for (int i = 0; i < DTYPES; i++)
        if (count->by_type[i] > 0)
            printf(" %s %.0f", dtype_name((enum dtype)i), count->by_type[i]);
    printf("\nhash          %s\n", model->hash);
}

static int inspect(const char *name, bool json)
{
    int rc;
    char *folder = NULL;
    struct model model = {0};
    struct parameters count;
    struct tokenizer *tokenizer = NULL;
    TRY(model_folder(&folder, name));
    TRY(model_folder_open(&model, folder));
    TRY(count_parameters(&model, &count));
    /* A model without a tokenizer can still be looked at. */
    if (tokenizer_open(&tokenizer, folder) != 0)
        tokenizer = NULL;
    if (json)
        TRY(command_print_json(model_json(&model, &count, tokenizer)));
    else
        print_model(&model, &count, tokenizer);
    if (!json)
        TRY(print_packed(&model));
out:
    tokenizer_free(tokenizer);
    model_close(&model);
    mem_free(folder);
    return rc;
}

/* ---- the list ---- */

/* A folder with config.json, or a GGUF file; other files are asked for by their name only. */
static bool is_model(const char *path)
{
    char *config = NULL;
    bool found = (file_join(&config, path, "config.json") == 0 && file_exists(config)) ||
                 gguf_is(path);
    mem_free(config);
    return found;
}

static int list_one(const char *folder, const char *name, json_t *list)
{
    struct model model = {0};
    struct parameters count;
    int rc = model_folder_open(&model, folder);
    if (rc == 0)
        rc = count_parameters(&model, &count);
    double total = rc ? 0 : count.linear + count.embedding + count.head + count.other;
    if (list && rc == 0)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:I, s:s}", "name", name, "folder",
                                              folder, "architecture", model.config.architecture,
                                              "parameters", (json_int_t)total, "hash", model.hash));
    else if (list)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "name", name, "folder", folder,
                                              "error", err_text()));
    else if (rc == 0)
        printf("%-24s %-10s %3d x %-5d %12.0f parameters  %s\n", name, model.config.architecture,
               model.config.layers, model.config.width, total, folder);
    else
        printf("%-24s cannot be opened: %s\n", name, err_text());
    model_close(&model);
    return rc == ERR_MEMORY ? rc : 0; /* a broken model does not hide the others */
}

static int sort_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The folder itself when it is a model, else those in it. */
static int list_folder(const char *folder, json_t *list, int *found)
{
    int rc = 0;
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, NULL, sort_names);
    if (count < 0)
        return err_set(errno == ENOENT ? ERR_MISSING : ERR_IO, "%s: %s", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        char *path = NULL;
        if (rc == 0 && entries[i]->d_name[0] != '.')
            rc = file_join(&path, folder, entries[i]->d_name);
        if (rc == 0 && path && is_model(path)) {
            rc = list_one(path, entries[i]->d_name, list);
            ++*found;
        }
        mem_free(path);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

static int list_models(const char *folder, bool json)
{
    int rc = 0, found = 0;
    char *own = NULL;
    json_t *list = json ? json_array() : NULL;
    if (folder) {
        TRY(list_folder(folder, list, &found));
    } else if (model_folder(&own, "embedded") == 0 && is_model(own)) {
        TRY(list_one(own, "embedded", list));
        found = 1;
    }
    if (!found)
        rc = folder ? err_set(ERR_MISSING,
                              "%s: no model folder: a file config.json is expected in it, or one "
                              "level below",
                              folder)
                    : err_set(ERR_MISSING, "the embedded model is not there: `bitbench train` "
                                           "makes it; other models are "
                                           "named by their folder");
    else if (json)
        rc = command_print_json(json_incref(list));
out:
    json_decref(list);
    mem_free(own);
    return rc;
}

static int run_models(const struct command_line *line)
{
    const char *first = line->argument_count ? line->arguments[0] : NULL;
    if (first && strcmp(first, "inspect") == 0 && !is_model(first)) {
        if (line->argument_count < 2)
            return err_set(ERR_USAGE,
                           "models inspect: the model's folder, or embedded, is missing");
        return inspect(line->arguments[1], line->global.json);
    }
    if (line->argument_count > 1)
        return err_set(ERR_USAGE, "models: unexpected argument '%.80s'", line->arguments[1]);
    if (first && (strcmp(first, "embedded") == 0 || is_model(first)))
        return inspect(first, line->global.json);
    return list_models(first, line->global.json);
}

const struct command command_models = {
    .name = "models",
    .summary = "lists models, or inspects one: shape, parameters by kind, types, hash",
    .arguments = "[[inspect] PATH]",
    .arguments_max = 2,
    .argument_kind = ARGUMENT_FOLDER,
    .flags = COMMAND_JSON,
    .description =
        "Without an argument the model that comes with bitbench. A model is a folder in Hugging "
        "Face's layout "
        "(config.json, tokenizer.json, model.safetensors), packed by `bitbench quantize` or not; a "
        "folder of such folders is listed.",
    .examples = "bitbench models\n"
                "bitbench models inspect embedded\n"
                "bitbench models ~/models --json\n",
    .run = run_models,
};
