#include "harness/mockup.h"

#include "core/err.h"
#include "core/file.h"
#include "core/folder.h"
#include "core/mem.h"
#include "core/rng.h"
#include "harness/model_folder.h"
#include "model/llama.h"
#include "model/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

extern const struct architecture architecture_llama;

int mockup_config(const struct known_model *known, struct model_config *config)
{
    if (known->family != FAMILY_LLAMA)
        return err_set(ERR_USAGE, "%s: only models of the LLaMA family can be mocked up so far",
                       known->name);
    *config = (struct model_config){.architecture = "llama",
                                    .layers = known->layers,
                                    .width = known->width,
                                    .hidden = known->hidden,
                                    .heads = known->heads,
                                    .kv_heads = known->kv_heads,
                                    .head_size = known->width / known->heads,
                                    .vocabulary = known->vocabulary,
                                    .max_positions = known->positions,
                                    .norm_epsilon = 1e-5,
                                    .rope_theta = 10000,
                                    .bos_id = 1,
                                    .eos_id = 2};
    return 0;
}

/* What the values of one tensor come from. */
struct draw {
    struct rng rng;
    uint64_t seed;
    float scale; /* 0: ones */
};

/* The sum of the four quarters of a random word is nearly normal, and fast; a quarter's variance is
 * 2^32 / 12. */
static void fill(void *context, const struct tensor_source *source, size_t first, size_t count,
                 float *values)
{
    struct draw *draw = context;
    if (first == 0)
        rng_seed(&draw->rng, draw->seed);
    for (size_t i = 0; i < count; i++) {
        uint64_t word = draw->scale > 0 ? rng_next(&draw->rng) : 0;
        int32_t sum = (int32_t)((word & 0xffff) + (word >> 16 & 0xffff) + (word >> 32 & 0xffff) +
                                (word >> 48)) -
                      2 * 0xffff;
        values[i] = draw->scale > 0 ? draw->scale * (float)sum : 1;
    }
}

/* The tensors outside the blocks and of all blocks; those from block `blocks` on without values. */
static void list_tensors(const struct model_config *config, int blocks, uint64_t seed,
                         struct model_tensor *tensors, struct draw *draws,
                         struct tensor_source *sources, size_t *count)
{
    *count = 0;
    for (int layer = -1; layer < config->layers; layer++)
        for (int i = 0; architecture_llama.tensor_at(config, layer, i, &tensors[*count]); i++) {
            const struct model_tensor *t = &tensors[*count];
            struct draw *draw = &draws[*count];
            draw->seed = seed + *count;
            draw->scale = t->columns ? (float)(sqrt(3.0 / t->columns) / 65536) : 0;
            sources[(*count)++] = (struct tensor_source){
                .name = t->name,
                .dtype = DTYPE_F16,
                .rank = t->columns ? 2 : 1,
                .shape = {(size_t)t->rows, (size_t)t->columns},
                .from_float = layer < blocks,
                .fill = layer < blocks ? fill : NULL,
                .context = draw};
        }
}

static int write_weights(const char *path, const struct model_config *config, int blocks,
                         uint64_t seed)
{
    enum { MOST = 16 }; /* tensors of a block, and outside */
    int rc;
    size_t count, most = (size_t)(config->layers + 1) * MOST;
    struct model_tensor *tensors = NULL;
    struct tensor_source *sources = NULL;
    struct draw *draws = NULL;
    TRY(mem_calloc(&tensors, most, sizeof *tensors));
    TRY(mem_calloc(&sources, most, sizeof *sources));
    TRY(mem_calloc(&draws, most, sizeof *draws));
    list_tensors(config, blocks, seed, tensors, draws, sources, &count);
    TRY(safetensors_write(path, sources, count, NULL));
out:
    mem_free(tensors);
    mem_free(sources);
    mem_free(draws);
    return rc;
}

static int write_config(const char *path, const struct model_config *config)
{
    int rc;
    char *text = NULL;
    json_t *json = NULL;
    struct file_writer writer = {0};
    TRY(llama_config_to_json(config, "float16", &json));
    text = json_dumps(json, JSON_INDENT(2) | JSON_SORT_KEYS);
    if (!text) {
        rc = err_set(ERR_MEMORY, "%s: out of memory", path);
        goto out;
    }
    TRY(file_write_begin(&writer, path));
    TRY(file_write(&writer, text, strlen(text)));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    free(text);
    json_decref(json);
    return rc;
}

static int copy_tokenizer(const char *folder)
{
    static const char *const names[] = {"tokenizer.json", "tokenizer_config.json"};
    int rc;
    char *embedded = NULL, *from = NULL, *to = NULL;
    TRY(model_folder(&embedded, "embedded"));
    for (int i = 0; i < 2; i++) {
        mem_free(from);
        mem_free(to);
        from = to = NULL;
        TRY(file_join(&from, embedded, names[i]));
        TRY(file_join(&to, folder, names[i]));
        TRY(folder_copy_file(from, to));
    }
out:
    mem_free(embedded);
    mem_free(from);
    mem_free(to);
    return rc;
}

int mockup_write(const char *folder, const struct model_config *config, int blocks, uint64_t seed)
{
    int rc;
    char *weights = NULL, *json = NULL;
    struct folder_writer writer = {0};
    TRY(folder_write_begin(&writer, folder));
    TRY(file_join(&weights, writer.temporary, "model.safetensors"));
    TRY(file_join(&json, writer.temporary, "config.json"));
    TRY(copy_tokenizer(writer.temporary));
    TRY(write_config(json, config));
    TRY(write_weights(weights, config, blocks, seed));
    TRY(folder_write_commit(&writer));
out:
    folder_write_abort(&writer);
    mem_free(weights);
    mem_free(json);
    return rc;
}
