/* Qwen2 and Qwen2.5: LLaMA with biases of q, k and v, and, where the configuration asks for it, a
 * sliding window in the upper blocks. */
#include "core/err.h"
#include "model/config.h"
#include "model/layout.h"
#include "model/llama.h"
#include "model/transformer.h"

#include <string.h>

/* Newer checkpoints name each block's kind of attention: window_from = the first with a window. */
static int read_layer_types(const json_t *list, struct model_config *c, const char *where)
{
    if (!json_is_array(list) || json_array_size(list) != (size_t)c->layers)
        return err_set(ERR_FORMAT, "%s: key 'layer_types' is no list of %d entries, one a block",
                       where, c->layers);
    c->window_from = c->layers;
    for (int i = c->layers - 1; i >= 0; i--) {
        const char *type = json_string_value(json_array_get(list, (size_t)i));
        bool sliding = type && strcmp(type, "sliding_attention") == 0;
        if (!sliding && (!type || strcmp(type, "full_attention") != 0))
            return err_set(ERR_FORMAT,
                           "%s: key 'layer_types', entry %d is '%.40s': 'full_attention' and "
                           "'sliding_attention' are supported",
                           where, i, type ? type : "no text");
        if (sliding && c->window_from != i + 1)
            return err_set(ERR_FORMAT,
                           "%s: key 'layer_types': entry %d slides and entry %d does not: a window "
                           "is supported in the blocks from some block on",
                           where, i, i + 1);
        if (sliding)
            c->window_from = i;
    }
    return 0;
}

static int read_window(const json_t *json, struct model_config *c, const char *where)
{
    const json_t *types = json_object_get(json, "layer_types");
    int rc, window;
    bool slides;
    TRY(config_bool(json, where, "use_sliding_window", false, &slides));
    TRY(config_int(json, where, "sliding_window", 0, 1 << 30, 4096, &window));
    TRY(config_int(json, where, "max_window_layers", 0, 1 << 20, 28, &c->window_from));
    if (types && !json_is_null(types))
        TRY(read_layer_types(types, c, where));
    if (slides && c->window_from < c->layers && window < 1) {
        rc = err_set(ERR_FORMAT,
                     "%s: key 'sliding_window' is %d, though 'use_sliding_window' is on", where,
                     window);
        goto out;
    }
    c->window = slides && c->window_from < c->layers ? window : 0;
    c->window_from = c->window ? c->window_from : 0;
out:
    return rc;
}

static int read_config(const json_t *json, struct model_config *config, const char *where)
{
    static const struct model_config defaults = {.architecture = "qwen2",
                                                 .kv_heads = 32,
                                                 .max_positions = 32768,
                                                 .biases = LLAMA_QKV_BIASES};
    int rc;
    struct model_config c;
    TRY(llama_read_shared(json, &defaults, &c, where));
    TRY(read_window(json, &c, where));
    *config = c;
out:
    return rc;
}

const struct architecture architecture_qwen2 = {
    .name = "qwen2",
    .version = 2,
    .read_config = read_config,
    LLAMA_SHARED,
};
