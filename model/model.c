#include "model/model.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/nearest.h"
#include "model/checkpoint.h"
#include "model/tensor_pages.h"
#include "model/workspace.h"

#include <stdio.h>
#include <string.h>

#define ARCHITECTURE(family) extern const struct architecture architecture_##family;
#include "model/architectures.def"
#undef ARCHITECTURE

const struct architecture *const architectures[] = {
#define ARCHITECTURE(family) &architecture_##family,
#include "model/architectures.def"
#undef ARCHITECTURE
    NULL};

const char *model_position_limit(const struct model_config *config)
{
    if (config->learned_positions)
        return "the model has no embeddings for later positions";
    if (config->rope.kind == ROPE_DYNAMIC)
        return "with dynamic scaling of the rotary positions, later ones would change all others";
    return NULL;
}

void block_release(struct block *block)
{
    mem_free(block->storage);
    *block = (struct block){0};
}

static int find_architecture(const json_t *json, const char *where, const struct architecture **out)
{
    const char *type = json_string_value(json_object_get(json, "model_type"));
    struct strbuf known = {0};
    if (!type)
        return err_set(ERR_FORMAT, "%s: key 'model_type' is missing: it names the model's family",
                       where);
    for (int i = 0; architectures[i]; i++) {
        if (strcmp(architectures[i]->name, type) == 0) {
            *out = architectures[i];
            strbuf_release(&known);
            return 0;
        }
        int rc = strbuf_printf(&known, "%s%s", i ? ", " : "", architectures[i]->name);
        if (rc) {
            strbuf_release(&known);
            return rc;
        }
    }
    int rc = err_set(ERR_FORMAT, "%s: models of type '%.40s' are not supported; there are: %s",
                     where, type, known.data);
    strbuf_release(&known);
    return rc;
}

/* The hash of the hashes of config.json and of each weight file, in the order of their names. */
static int hash_files(struct model *model, const char *config)
{
    struct hash all;
    char one[HASH_HEX_SIZE];
    int rc = 0;
    hash_init(&all);
    for (size_t i = 0; i <= tensor_table_file_count(model->tensors); i++) {
        const char *file = i ? tensor_table_file(model->tensors, i - 1) : config;
        if (i && strcmp(file, config) == 0)
            continue; /* both in one */
        TRY(hash_file(file, one));
        hash_add(&all, one, sizeof one - 1);
    }
    hash_finish(&all, model->hash);
out:
    return rc;
}

/* Checkpoints of GPTQ, AWQ, bitsandbytes and the like say so. */
static int check_unquantized(const json_t *config, const char *where)
{
    const json_t *quantization = json_object_get(config, "quantization_config");
    const char *method = json_string_value(json_object_get(quantization, "quant_method"));
    if (!quantization || json_is_null(quantization))
        return 0;
    return err_set(ERR_FORMAT,
                   "%s: key 'quantization_config': weights quantized by '%.40s' are not read; take "
                   "the model as it was before",
                   where, method ? method : "?");
}

int model_open(struct model *model, const char *path)
{
    const struct linear_source none = {0};
    return model_open_source(model, path, &none);
}

int model_open_source(struct model *model, const char *path, const struct linear_source *source)
{
    int rc;
    struct checkpoint found = {0};
    struct model fresh = {.source = *source};
    TRY(mem_strdup(&fresh.folder, path));
    TRY(mem_calloc(&fresh.workspace, 1, sizeof *fresh.workspace));
    TRY(checkpoint_open(&found, path));
    TRY(find_architecture(found.config, found.where, &fresh.architecture));
    TRY(check_unquantized(found.config, found.where));
    TRY(fresh.architecture->read_config(found.config, &fresh.config, found.where));
    TRY(checkpoint_tensors(&found, &fresh.tensors));
    TRY(fresh.architecture->check_tensors(&fresh));
    TRY(fresh.architecture->load_outer(&fresh));
    tensor_pages_drop(fresh.tensors, "");
    TRY(hash_files(&fresh, found.where));
    *model = fresh;
out:
    if (rc) {
        fresh.source = (struct linear_source){0}; /* still the caller's */
        model_close(&fresh);
    }
    checkpoint_close(&found);
    return rc;
}

void model_close(struct model *model)
{
    if (model->workspace)
        workspace_release(model->workspace);
    mem_free(model->workspace);
    if (model->head != model->embedding)
        mem_free(model->head);
    mem_free(model->embedding);
    mem_free(model->final_norm);
    mem_free(model->extra);
    mem_free(model->folder);
    tensor_table_free(model->tensors);
    if (model->source.release)
        model->source.release(model->source.context);
    *model = (struct model){0};
}

void model_linear_name(const struct model *model, int block, const char *linear,
                       char out[MODEL_NAME_SIZE])
{
    snprintf(out, MODEL_NAME_SIZE, "%s.%d.%s", model->architecture->blocks, block, linear);
}

/* layer = the tensor's name without ".weight", when the source holds that layer. */
static bool from_source(const struct model *model, const char *tensor, char layer[MODEL_NAME_SIZE])
{
    static const char ending[] = ".weight";
    size_t length = strlen(tensor), tail = sizeof ending - 1;
    if (!model->source.has || length <= tail || length - tail >= MODEL_NAME_SIZE ||
        strcmp(tensor + length - tail, ending) != 0)
        return false;
    snprintf(layer, MODEL_NAME_SIZE, "%.*s", (int)(length - tail), tensor);
    return model->source.has(model->source.context, layer);
}

const char *model_config_source(const struct model *model)
{
    bool one = strcmp(tensor_table_path(model->tensors), model->folder) == 0;
    return one ? "the file's header" : "config.json";
}

int model_check_tensor(const struct model *model, const char *name, size_t rows, size_t columns,
                       unsigned char *known)
{
    int rc;
    const struct tensor *tensor = NULL;
    char layer[MODEL_NAME_SIZE];
    if (columns && from_source(model, name, layer))
        return model->source.claim(model->source.context, model->tensors, layer, rows, columns,
                                   known);
    if ((rc = tensor_table_get(model->tensors, name, &tensor)) != 0)
        return err_set((enum err_code)rc, "%s, which %s asks for", err_text(),
                       model_config_source(model));
    if ((rc = tensor_check_shape(tensor, rows, columns)) != 0)
        return err_set((enum err_code)rc, "%s by %s", err_text(), model_config_source(model));
    /* Nothing is read yet, but its elements have to be numbers that can be. */
    if ((rc = dtype_to_float(tensor->dtype, tensor->data, 0, NULL)) != 0)
        return err_prefix(rc, "%s: tensor '%s'", tensor->file, tensor->name);
    known[tensor - tensor_table_at(model->tensors, 0)] = 1;
    return 0;
}

int model_read_linear(const struct model *model, const char *tensor, struct linear *linear)
{
    char layer[MODEL_NAME_SIZE];
    if (from_source(model, tensor, layer))
        return model->source.read(model->source.context, model->tensors, layer, linear);
    return tensor_table_read(model->tensors, tensor, (size_t)linear->out, (size_t)linear->in,
                             linear->weight);
}

int model_forward(const struct model *model, const struct batch *batch, float *x)
{
    struct block block = {0};
    int rc = model->architecture->embed(model, batch, x);
    for (int layer = 0; rc == 0 && layer < model->config.layers; layer++) {
        rc = model->architecture->load_block(model, layer, &block);
        if (rc == 0)
            rc = model->architecture->block_forward(model, &block, batch, x, NULL, NULL);
        block_release(&block);
    }
    return rc;
}
