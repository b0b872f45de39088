#include "model/layout.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/tensor_table.h"
#include "model/workspace.h"

#include <stdio.h>
#include <string.h>

static size_t elements(const struct model_tensor *tensor)
{
    return (size_t)tensor->rows * (size_t)(tensor->columns ? tensor->columns : 1);
}

bool layout_tensor_at(const struct model_config *config, const struct architecture *architecture,
                      int index, int *layer, struct model_tensor *out)
{
    for (*layer = -1; *layer < config->layers; ++*layer) {
        int count = 0;
        while (architecture->tensor_at(config, *layer, count, out))
            if (count++ == index)
                return true;
        index -= count;
    }
    return false;
}

/* ---- checking ---- */

static bool ends_with(const char *text, const char *ending)
{
    size_t length = strlen(text), tail = strlen(ending);
    return length > tail && strcmp(text + length - tail, ending) == 0;
}

bool layout_ignores(const struct model_config *config, const char *tensor)
{
    if (ends_with(tensor, ".rotary_emb.inv_freq") || ends_with(tensor, ".decoder.version"))
        return true;
    return config->tied_head && strcmp(tensor, "lm_head.weight") == 0;
}

static int check_surplus(const struct model *model, const unsigned char *known)
{
    const struct model_config *config = &model->config;
    const struct tensor *first = NULL;
    char others[40] = "";
    int count = 0;
    for (size_t i = 0; i < tensor_table_count(model->tensors); i++) {
        const struct tensor *tensor = tensor_table_at(model->tensors, i);
        if (!known[i] && !layout_ignores(config, tensor->name) && count++ == 0)
            first = tensor;
    }
    if (!first)
        return 0;
    if (count > 1)
        snprintf(others, sizeof others, ", nor have %d others", count - 1);
    return err_set(ERR_FORMAT,
                   "%s: tensor '%s' has no place in the model that %s describes (%s, %d layers, "
                   "%s)%s",
                   first->file, first->name, model_config_source(model), config->architecture,
                   config->layers, config->tied_head ? "tied head" : "head of its own", others);
}

/* The error of a tensor that is not there, with the number of those that are missing beside it. */
static int report_missing(const struct model *model)
{
    struct model_tensor wanted;
    int count = 0;
    for (int layer = -1; layer < model->config.layers; layer++)
        for (int i = 0; model->architecture->tensor_at(&model->config, layer, i, &wanted); i++)
            count += !model->source.has && !tensor_table_find(model->tensors, wanted.name);
    return count > 1 ? err_set(ERR_MISSING, "%s; %d others are missing too", err_text(), count - 1)
                     : ERR_MISSING;
}

static int check_wanted(const struct model *model, unsigned char *known)
{
    int rc = 0;
    struct model_tensor wanted;
    for (int layer = -1; rc == 0 && layer < model->config.layers; layer++)
        for (int i = 0;
             rc == 0 && model->architecture->tensor_at(&model->config, layer, i, &wanted); i++)
            rc = model_check_tensor(model, wanted.name, (size_t)wanted.rows, (size_t)wanted.columns,
                                    known);
    return rc == ERR_MISSING ? report_missing(model) : rc;
}

/* Whether a tensor of the table begins with the text. */
static bool any_begins(const struct tensor_table *tensors, const char *text)
{
    for (size_t i = 0; i < tensor_table_count(tensors); i++)
        if (strncmp(tensor_table_at(tensors, i)->name, text, strlen(text)) == 0)
            return true;
    return false;
}

static int complete_names(const struct model *model)
{
    static const char root[] = "model.";
    const char *blocks = model->architecture->blocks;
    if (any_begins(model->tensors, root) || !any_begins(model->tensors, blocks + sizeof root - 1))
        return 0;
    return tensor_table_prefix(model->tensors, root, "lm_head.weight");
}

int layout_check_tensors(const struct model *model)
{
    int rc;
    unsigned char *known = NULL;
    TRY(complete_names(model));
    TRY(mem_calloc(&known, tensor_table_count(model->tensors), 1));
    TRY(check_wanted(model, known));
    TRY(check_surplus(model, known));
out:
    mem_free(known);
    return rc;
}

/* ---- loading ---- */

int layout_read(const struct model *model, const char *name, size_t rows, size_t columns,
                float **out)
{
    float *values;
    int rc = mem_alloc(&values, rows * (columns ? columns : 1), sizeof *values);
    if (rc)
        return rc;
    rc = tensor_table_read(model->tensors, name, rows, columns, values);
    if (rc)
        mem_free(values);
    else
        *out = values;
    return rc;
}

static int load_tensor(const struct model *model, const struct model_tensor *tensor, float *values,
                       struct block *block)
{
    struct linear *linear = &block->linears[tensor->index];
    if (tensor->place == TENSOR_LINEAR) {
        linear->name = model->architecture->linear_names[tensor->index];
        linear->weight = values;
        linear->out = tensor->rows;
        linear->in = tensor->columns;
        linear->input = tensor->input;
        if (block->linear_count <= tensor->index)
            block->linear_count = tensor->index + 1;
        if (block->input_count <= tensor->input)
            block->input_count = tensor->input + 1;
        return model_read_linear(model, tensor->name, linear);
    }
    if (tensor->place == TENSOR_BIAS)
        linear->bias = values;
    else
        block->vectors[tensor->index] = values;
    return tensor_table_read(model->tensors, tensor->name, (size_t)tensor->rows,
                             (size_t)tensor->columns, values);
}

int layout_load_block(const struct model *model, int layer, struct block *block)
{
    int rc;
    const struct model_config *config = &model->config;
    size_t total = 0;
    struct block fresh = {.window = layer >= config->window_from ? config->window : 0};
    struct model_tensor tensor;
    for (int i = 0; model->architecture->tensor_at(config, layer, i, &tensor); i++)
        total += workspace_round(elements(&tensor));
    TRY(mem_alloc(&fresh.storage, total, sizeof *fresh.storage));
    float *at = fresh.storage;
    for (int i = 0; model->architecture->tensor_at(config, layer, i, &tensor); i++) {
        TRY(load_tensor(model, &tensor, at, &fresh));
        at += workspace_round(elements(&tensor));
    }
    *block = fresh;
out:
    if (rc)
        block_release(&fresh);
    return rc;
}
