/* What a packed model's config.json says of it: docs/format.md. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/packed_model.h"
#include "harness/packed_write.h"
#include "model/checkpoint.h"

#include <ctype.h>
#include <stdlib.h>

static json_t *array_names(const struct packed *packed)
{
    json_t *names = json_array();
    int bad = 0;
    for (int i = 0; i < packed->count; i++)
        bad |= json_array_append_new(names, json_string(packed->arrays[i].name));
    if (!bad)
        return names;
    json_decref(names);
    return NULL;
}

/* {rows, columns, arrays, sha256}, and with them method, method_version and options where a rule
 * decided for the layer, masked where it was pruned before. */
static json_t *describe_layer(const struct packed_entry *entry)
{
    const struct quant_method *method = entry->choice.method;
    json_t *options = NULL,
           *layer = json_pack("{s:i, s:i, s:o, s:s}", "rows", entry->rows, "columns",
                              entry->columns, "arrays", array_names(&entry->packed), "sha256",
                              entry->digest);
    int bad = !layer;
    if (entry->choice.after)
        bad |= json_object_set_new(layer, "masked", json_true());
    if (entry->choice.rule >= 0) {
        bad |= options_to_json(method->options, entry->choice.options, &options) != 0;
        bad |= json_object_set_new(layer, "method", json_string(method->name));
        bad |= json_object_set_new(layer, "method_version", json_integer(method->version));
        bad |= json_object_set_new(layer, "options", options);
    }
    if (!bad)
        return layer;
    json_decref(layer);
    return NULL;
}

/* {"LAYER": {...}, ...} */
static json_t *describe_layers(const struct packed_writer *writer)
{
    json_t *layers = json_object();
    for (int i = 0; layers && i < writer->count; i++) {
        const struct packed_entry *entry = &writer->entries[i];
        if (json_object_set_new(layers, entry->name, describe_layer(entry)) != 0) {
            json_decref(layers);
            return NULL;
        }
    }
    return layers;
}

/* Layers with methods of their own, or with masks, are what readers of format 1 do not know. */
int packed_write_format(const struct packed_writer *writer)
{
    int format = 1;
    for (int i = 0; i < writer->count; i++)
        if (writer->entries[i].choice.rule >= 0 || writer->entries[i].choice.after)
            format = PACKED_FORMAT;
    return format;
}

/* {"codes": "payload", ...}: what each array's bytes count for. */
static json_t *describe_categories(const struct packed_writer *writer)
{
    json_t *categories = json_object();
    int bad = 0;
    for (int i = 0; categories && i < writer->count; i++) {
        const struct packed *packed = &writer->entries[i].packed;
        for (int a = 0; a < packed->count; a++)
            bad |= json_object_set_new(categories, packed->arrays[a].name,
                                       json_string(bit_category_names[packed->arrays[a].category]));
    }
    if (!bad)
        return categories;
    json_decref(categories);
    return NULL;
}

static int describe(const struct packed_writer *writer, json_t *made, json_t **out)
{
    const struct quant_method *method = writer->point->method;
    json_t *options = NULL;
    int rc = options_to_json(method->options, writer->point->method_options, &options);
    if (rc)
        return rc;
    *out = json_pack("{s:i, s:s, s:i, s:o, s:o, s:o, s:O}", "format", packed_write_format(writer),
                     "method", method->name, "method_version", method->version, "options", options,
                     "categories", describe_categories(writer), "layers", describe_layers(writer),
                     "made", made);
    return *out ? 0 : err_set(ERR_MEMORY, "out of memory: the description of a packed model");
}

/* The model's own configuration, byte for byte, with the key "bitbench" put behind its last one. */
static int join_config(const char *original, size_t size, json_t *object, struct strbuf *out)
{
    int rc;
    char *dump = NULL;
    json_t *whole = json_pack("{s:O}", "bitbench", object);
    while (size && original[size - 1] != '}')
        size--;
    size -= size > 0;
    while (size && isspace((unsigned char)original[size - 1]))
        size--;
    dump = whole ? json_dumps(whole, JSON_INDENT(2)) : NULL;
    if (!dump) {
        rc = err_set(ERR_MEMORY, "out of memory: the description of a packed model");
        goto out;
    }
    TRY(strbuf_add(out, original, size));
    TRY(strbuf_printf(out, ",%s\n", dump + 1)); /* without its brace */
out:
    free(dump); /* jansson's own allocation */
    json_decref(whole);
    return rc;
}

int packed_write_config(const struct packed_writer *writer, json_t *made, const char *path)
{
    int rc;
    char *text = NULL;
    size_t size;
    json_t *object = NULL;
    struct strbuf config = {0};
    struct file_writer file = {0};
    TRY(checkpoint_config_text(writer->model->folder, &text, &size));
    TRY(describe(writer, made, &object));
    TRY(join_config(text, size, object, &config));
    TRY(file_write_begin(&file, path));
    TRY(file_write(&file, config.data, config.length));
    TRY(file_write_commit(&file));
out:
    file_write_abort(&file);
    strbuf_release(&config);
    json_decref(object);
    mem_free(text);
    return rc;
}
