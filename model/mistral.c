/* Mistral: LLaMA whose attention reaches back `sliding_window` positions (Jiang et al. 2023). */
#include "core/err.h"
#include "model/config.h"
#include "model/layout.h"
#include "model/llama.h"
#include "model/transformer.h"

static int read_config(const json_t *json, struct model_config *config, const char *where)
{
    static const struct model_config defaults = {
        .architecture = "mistral", .kv_heads = 8, .max_positions = 131072};
    const json_t *window = json_object_get(json, "sliding_window");
    int rc;
    struct model_config c;
    TRY(llama_read_shared(json, &defaults, &c, where));
    /* null says that there is none; an absent key stands for the first version's */
    if (!json_is_null(window))
        TRY(config_int(json, where, "sliding_window", 1, 1 << 30, 4096, &c.window));
    *config = c;
out:
    return rc;
}

const struct architecture architecture_mistral = {
    .name = "mistral",
    .version = 2,
    .read_config = read_config,
    LLAMA_SHARED,
};
