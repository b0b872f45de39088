#include "harness/packed_model.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/layer_apply.h"
#include "linalg/finite.h"
#include "model/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum dtype packed_dtype(enum array_type type)
{
    switch (type) {
    case ARRAY_F32: return DTYPE_F32;
    case ARRAY_F16: return DTYPE_F16;
    case ARRAY_I32: return DTYPE_I32;
    case ARRAY_U16: return DTYPE_U16;
    case ARRAY_U8: break;
    }
    return DTYPE_U8;
}

bool packed_is_array(const char *tensor, const char *layer, const char **array)
{
    size_t length = strlen(layer), infix = strlen(PACKED_INFIX);
    if (strncmp(tensor, layer, length) != 0 || strncmp(tensor + length, PACKED_INFIX, infix) != 0)
        return false;
    *array = tensor + length + infix;
    return true;
}

/* ---- config.json ---- */

static void release(void *context)
{
    struct packed_model *packed = context;
    if (!packed)
        return;
    mem_free(packed->path);
    mem_free(packed->options);
    for (int i = 0; i < packed->layer_count; i++)
        mem_free(packed->layers[i].options);
    mem_free(packed->layers);
    json_decref(packed->config);
    mem_free(packed);
}

/* The keys method, method_version and options of an object; *owned = the options. */
static int read_method(const json_t *object, const char *where, struct layer_operator *op,
                       void **owned, int *version)
{
    int rc;
    struct strbuf options = {0};
    const char *name = json_string_value(json_object_get(object, "method"));
    if (!name)
        return err_set(ERR_FORMAT, "%s: key 'method' is missing, or no text", where);
    const struct quant_method *method = method_find(name);
    if (!method)
        return err_prefix(err_set(ERR_FORMAT, "%s", err_text()), "%s", where);
    if (!(method->caps & QM_PACKS))
        return err_set(ERR_FORMAT, "%s: method '%s' has no packed form", where, name);
    TRY(config_int(object, where, "method_version", 1, 1 << 30, CONFIG_REQUIRED, version));
    TRY(strbuf_printf(&options, "%s: options", where));
    TRY(mem_calloc(owned, 1, method->options_size));
    TRY(options_defaults(method->options, *owned));
    rc = options_from_json(method->options, *owned, json_object_get(object, "options"),
                           options.data);
    if (rc == 0 && method->check && (rc = method->check(*owned)) != 0)
        rc = err_prefix(rc, "%s", options.data);
    if (rc == ERR_USAGE)
        rc = err_set(ERR_FORMAT, "%s", err_text());
    *op = (struct layer_operator){method, *owned};
out:
    strbuf_release(&options);
    return rc;
}

/* What a layer has of its own, or the model's. */
static int read_layer_method(const struct packed_model *packed, const json_t *value,
                             const char *where, struct packed_layer *layer)
{
    const json_t *masked = json_object_get(value, "masked");
    if (masked && !json_is_boolean(masked))
        return err_set(ERR_FORMAT, "%s: key 'masked' is neither true nor false", where);
    layer->masked = json_is_true(masked);
    if (json_object_get(value, "method"))
        return read_method(value, where, &layer->op, &layer->options, &layer->method_version);
    layer->op = packed->op;
    layer->method_version = packed->method_version;
    return 0;
}

static int by_name(const void *left, const void *right)
{
    const struct packed_layer *a = left, *b = right;
    return strcmp(a->name, b->name);
}

/* A list of at most PACKED_MAX names that struct packed has room for. */
static int check_names(const json_t *arrays, const char *where)
{
    size_t room = sizeof((struct packed_array *)0)->name;
    if (!json_is_array(arrays) || json_array_size(arrays) > PACKED_MAX)
        return err_set(ERR_FORMAT, "%s: key 'arrays' is no list of at most %d names", where,
                       PACKED_MAX);
    for (size_t i = 0; i < json_array_size(arrays); i++) {
        const char *name = json_string_value(json_array_get(arrays, i));
        if (!name || !*name || strlen(name) >= room)
            return err_set(ERR_FORMAT, "%s: arrays: name %zu is no text of 1 to %zu characters",
                           where, i, room - 1);
    }
    return 0;
}

static int read_layers(struct packed_model *packed, json_t *layers, const char *where)
{
    int rc;
    const char *name;
    json_t *value;
    struct strbuf place = {0};
    if (!json_is_object(layers) || json_object_size(layers) == 0)
        return err_set(ERR_FORMAT,
                       "%s: key 'layers' is no object with an entry for each packed "
                       "layer",
                       where);
    TRY(mem_calloc(&packed->layers, json_object_size(layers), sizeof *packed->layers));
    json_object_foreach(layers, name, value)
    {
        struct packed_layer *layer = &packed->layers[packed->layer_count++];
        place.length = 0;
        TRY(strbuf_printf(&place, "%s: layers: %.120s", where, name));
        *layer = (struct packed_layer){
            .name = name,
            .arrays = json_object_get(value, "arrays"),
            .digest = json_string_value(json_object_get(value, "sha256"))};
        TRY(config_int(value, place.data, "rows", 1, 1 << 30, CONFIG_REQUIRED, &layer->rows));
        TRY(config_int(value, place.data, "columns", 1, 1 << 30, CONFIG_REQUIRED, &layer->columns));
        TRY(check_names(layer->arrays, place.data));
        TRY(read_layer_method(packed, value, place.data, layer));
    }
    qsort(packed->layers, (size_t)packed->layer_count, sizeof *packed->layers, by_name);
out:
    strbuf_release(&place);
    return rc;
}

static int read_object(struct packed_model *packed, const json_t *object)
{
    int rc, format;
    struct strbuf where = {0};
    TRY(strbuf_printf(&where, "%s: bitbench", packed->path));
    if (!json_is_object(object)) {
        rc = err_set(ERR_FORMAT, "%s: not an object that describes a packed model", where.data);
        goto out;
    }
    TRY(config_int(object, where.data, "format", 1, 1 << 30, CONFIG_REQUIRED, &format));
    if (format > PACKED_FORMAT) {
        rc = err_set(ERR_FORMAT,
                     "%s: the packed model is of format %d; this program reads up to %d: a newer "
                     "bitbench is needed",
                     where.data, format, PACKED_FORMAT);
        goto out;
    }
    TRY(read_method(object, where.data, &packed->op, &packed->options, &packed->method_version));
    TRY(read_layers(packed, json_object_get(object, "layers"), where.data));
    packed->categories = json_object_get(object, "categories");
out:
    strbuf_release(&where);
    return rc;
}

/* ---- layers ---- */

static struct packed_layer *find_layer(const struct packed_model *packed, const char *name)
{
    const struct packed_layer key = {.name = name};
    return bsearch(&key, packed->layers, (size_t)packed->layer_count, sizeof key, by_name);
}

static bool has(const void *context, const char *name)
{
    return find_layer(context, name) != NULL;
}

/* *tensor and *type of a layer's array number index, checked: what struct packed can hold. */
static int find_array(const struct tensor_table *tensors, const struct packed_layer *layer,
                      size_t index, const struct tensor **tensor, enum array_type *type)
{
    static const enum array_type types[] = {ARRAY_F32, ARRAY_F16, ARRAY_I32, ARRAY_U16, ARRAY_U8};
    char name[MODEL_NAME_SIZE + 40];
    int rc;
    snprintf(name, sizeof name, "%.*s" PACKED_INFIX "%s", MODEL_NAME_SIZE, layer->name,
             json_string_value(json_array_get(layer->arrays, index)));
    TRY(tensor_table_get(tensors, name, tensor));
    const struct tensor *found = *tensor;
    if (found->rank != 2)
        return err_set(ERR_FORMAT, "%s: tensor '%s' has %d dimensions; a packed array has two",
                       found->file, found->name, found->rank);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (packed_dtype(types[i]) == found->dtype) {
            *type = types[i];
            return 0;
        }
    rc = err_set(ERR_FORMAT, "%s: tensor '%s' is %s; packed arrays are F32, F16, I32, U16 or U8",
                 found->file, found->name, dtype_name(found->dtype));
out:
    return rc;
}

static enum bit_category category_of(const struct packed_model *packed, const char *array)
{
    const char *name = json_string_value(json_object_get(packed->categories, array));
    for (int i = 0; name && i < BITS_CATEGORIES; i++)
        if (strcmp(bit_category_names[i], name) == 0)
            return (enum bit_category)i;
    return BITS_OTHER;
}

int packed_model_arrays(const struct packed_model *model, const struct tensor_table *tensors,
                        const struct packed_layer *layer, struct packed *packed)
{
    int rc = 0;
    for (size_t i = 0; i < json_array_size(layer->arrays); i++) {
        const char *array = json_string_value(json_array_get(layer->arrays, i));
        const struct tensor *tensor = NULL;
        enum array_type type;
        void *data;
        TRY(find_array(tensors, layer, i, &tensor, &type));
        TRY(packed_add(packed, array, type, category_of(model, array), tensor->shape[0],
                       tensor->shape[1], &data));
        memcpy(data, tensor->data, tensor->bytes);
    }
out:
    if (rc)
        packed_release(packed);
    return rc;
}

static int claim(void *context, const struct tensor_table *tensors, const char *name, size_t out,
                 size_t in, unsigned char *known)
{
    const struct packed_model *packed = context;
    struct packed_layer *layer = find_layer(packed, name);
    if ((size_t)layer->rows != out || (size_t)layer->columns != in)
        return err_set(ERR_FORMAT,
                       "%s: packed layer '%s' is %d x %d, where the model's configuration implies "
                       "%zu x %zu",
                       packed->path, name, layer->rows, layer->columns, out, in);
    for (size_t i = 0; i < json_array_size(layer->arrays); i++) {
        const struct tensor *tensor = NULL;
        enum array_type type;
        int rc = find_array(tensors, layer, i, &tensor, &type);
        if (rc)
            return rc;
        known[tensor - tensor_table_at(tensors, 0)] = 1;
    }
    layer->claimed = true;
    return 0;
}

/* The weights are those that were packed: options or arrays that were changed since show here. */
static int verify(const struct packed_model *packed, struct packed_layer *layer,
                  const float *weight)
{
    char digest[HASH_HEX_SIZE];
    size_t count = (size_t)layer->rows * (size_t)layer->columns;
    const struct quant_method *method = layer->op.method;
    if (layer->verified)
        return 0;
    long bad = first_not_finite(weight, count);
    if (bad >= 0)
        return err_set(ERR_NUMERIC,
                       "%s: packed layer '%s': the weight in row %ld, column %ld is "
                       "not finite",
                       packed->path, layer->name, bad / layer->columns, bad % layer->columns);
    hash_bytes(weight, count * sizeof *weight, digest);
    if (layer->digest && strcmp(layer->digest, digest) != 0)
        return err_set(ERR_FORMAT,
                       "%s: packed layer '%s' unpacks to other weights than were packed: its "
                       "arrays or the options were changed (quantized by %s version %d, this is "
                       "%d)",
                       packed->path, layer->name, method->name, layer->method_version,
                       method->version);
    layer->verified = true;
    return 0;
}

static int read_layer(void *context, const struct tensor_table *tensors, const char *name,
                      struct linear *linear)
{
    int rc;
    const struct packed_model *model = context;
    struct packed packed = {0};
    struct packed_layer *layer = find_layer(model, name);
    TRY(packed_model_arrays(model, tensors, layer, &packed));
    rc = layer_apply_unpack(layer->op.method, layer->op.options, layer->masked, &packed,
                            linear->out, linear->in, linear->weight);
    if (rc) {
        err_prefix(rc, "%s: packed layer '%s'", tensor_table_path(tensors), name);
        goto out;
    }
    TRY(verify(model, layer, linear->weight));
    operator_attach(&layer->op, linear);
out:
    packed_release(&packed);
    return rc;
}

/* ---- opening ---- */

int packed_model_source(struct linear_source *source, const char *folder)
{
    int rc;
    struct stat info;
    char *text = NULL;
    size_t size;
    json_error_t where;
    struct packed_model *packed = NULL;
    *source = (struct linear_source){0};
    if (stat(folder, &info) == 0 && !S_ISDIR(info.st_mode))
        return 0; /* a file is never a packed model */
    TRY(mem_calloc(&packed, 1, sizeof *packed));
    TRY(file_join(&packed->path, folder, "config.json"));
    TRY(file_read(packed->path, &text, &size));
    packed->config = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!packed->config) {
        rc = err_set(ERR_FORMAT, "%s:%d: not valid JSON: %s", packed->path, where.line, where.text);
        goto out;
    }
    const json_t *object = json_object_get(packed->config, "bitbench");
    if (!object)
        goto out;
    TRY(read_object(packed, object));
    *source = (struct linear_source){packed, has, claim, read_layer, release};
    packed = NULL;
out:
    release(packed);
    mem_free(text);
    return rc;
}

int packed_model_check(const struct model *model)
{
    const struct packed_model *packed = packed_model_of(model);
    for (int i = 0; packed && i < packed->layer_count; i++)
        if (!packed->layers[i].claimed)
            return err_set(ERR_FORMAT, "%s: bitbench: layers: '%.120s' is no layer of this model",
                           packed->path, packed->layers[i].name);
    return 0;
}

const struct packed_model *packed_model_of(const struct model *model)
{
    return model->source.read == read_layer ? model->source.context : NULL;
}
