/* Checkpoints and the trained model's files. A checkpoint is one safetensors file: each tensor
 * under its own name, its moments under "first." and "second.", numbers as strings in the metadata.
 */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "model/llama.h"
#include "model/safetensors.h"
#include "model/train.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_SIZE = 32, NAME_SIZE = TRAIN_NAME_SIZE + 8 };

static const char *const prefixes[3] = {"", "first.", "second."};

static void describe(struct tensor_source *source, const struct train_tensor *tensor,
                     const char *name, const float *flat)
{
    *source = (struct tensor_source){
        .name = name, .dtype = DTYPE_F32, .from_float = 1, .data = flat + tensor->offset};
    source->rank = tensor->rows ? 2 : 1;
    source->shape[0] = (size_t)(tensor->rows ? tensor->rows : tensor->columns);
    source->shape[1] = (size_t)(tensor->rows ? tensor->columns : 0);
}

static int put(json_t *metadata, const char *key, const char *text)
{
    return json_object_set_new(metadata, key, json_string(text)) == 0
               ? 0
               : err_set(ERR_MEMORY, "out of memory");
}

static int put_integer(json_t *metadata, const char *key, int64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, value);
    return put(metadata, key, text);
}

static int put_real(json_t *metadata, const char *key, double value)
{
    char text[40];
    snprintf(text, sizeof text, "%.17g", value);
    return put(metadata, key, text);
}

static int put_state(json_t *metadata, const struct train_optimizer *optimizer,
                     const struct train_sampler *sampler, const struct train_progress *progress)
{
    char key[KEY_SIZE], text[32];
    int rc = 0;
    TRY(put(metadata, "format", "bitbench-checkpoint-1"));
    TRY(put(metadata, "spec", progress->spec_hash));
    TRY(put_integer(metadata, "step", optimizer->step));
    TRY(put_integer(metadata, "tokens", progress->tokens));
    TRY(put_real(metadata, "best_validation", progress->best_validation));
    TRY(put_real(metadata, "seconds", progress->seconds));
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "rng.%d", i);
        snprintf(text, sizeof text, "%016" PRIx64, sampler->rng.state[i]);
        TRY(put(metadata, key, text));
    }
    TRY(put_integer(metadata, "corpora", sampler->count));
    for (int i = 0; i < sampler->count; i++) {
        snprintf(key, sizeof key, "epoch.%d", i);
        TRY(put_integer(metadata, key, sampler->corpora[i].epoch));
        snprintf(key, sizeof key, "next.%d", i);
        TRY(put_integer(metadata, key, sampler->corpora[i].next));
    }
out:
    return rc;
}

int train_checkpoint_save(const char *path, const struct train_model *model,
                          const struct train_optimizer *optimizer,
                          const struct train_sampler *sampler,
                          const struct train_progress *progress)
{
    const float *const flats[3] = {model->weights, optimizer->first, optimizer->second};
    struct tensor_source *sources = NULL;
    char(*names)[NAME_SIZE] = NULL;
    json_t *metadata = json_object();
    size_t count = 0;
    int rc = 0;
    if (!metadata)
        return err_set(ERR_MEMORY, "out of memory");
    TRY(mem_calloc(&sources, 3 * (size_t)model->tensor_count, sizeof *sources));
    TRY(mem_calloc(&names, 3 * (size_t)model->tensor_count, sizeof *names));
    for (int f = 0; f < 3; f++) {
        for (int t = 0; t < model->tensor_count; t++, count++) {
            snprintf(names[count], NAME_SIZE, "%s%s", prefixes[f], model->tensors[t].name);
            describe(&sources[count], &model->tensors[t], names[count], flats[f]);
        }
    }
    TRY(put_state(metadata, optimizer, sampler, progress));
    TRY(safetensors_write(path, sources, count, metadata));
out:
    json_decref(metadata);
    mem_free(names);
    mem_free(sources);
    return rc;
}

static int get(const struct tensor_table *file, const char *key, const char **text)
{
    *text = tensor_table_metadata(file, key);
    return *text ? 0
                 : err_set(ERR_FORMAT, "%s: not a checkpoint: its metadata lacks '%s'",
                           tensor_table_path(file), key);
}

static int bad_value(const struct tensor_table *file, const char *key, const char *text)
{
    return err_set(ERR_FORMAT, "%s: metadata '%s' is '%s', which is no valid number",
                   tensor_table_path(file), key, text);
}

static int get_integer(const struct tensor_table *file, const char *key, int64_t *value)
{
    const char *text;
    char *end;
    int rc = get(file, key, &text);
    if (rc)
        return rc;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return errno || end == text || *end ? bad_value(file, key, text) : 0;
}

static int get_real(const struct tensor_table *file, const char *key, double *value)
{
    const char *text;
    char *end;
    int rc = get(file, key, &text);
    if (rc)
        return rc;
    *value = strtod(text, &end);
    return end == text || *end || isnan(*value) ? bad_value(file, key, text) : 0;
}

static int get_position(const struct tensor_table *file, struct train_sampler *sampler)
{
    int64_t count, *positions = NULL;
    const char *text;
    char key[KEY_SIZE], *end;
    struct rng rng;
    int rc = 0;
    for (int i = 0; i < 4; i++) {
        snprintf(key, sizeof key, "rng.%d", i);
        TRY(get(file, key, &text));
        rng.state[i] = strtoull(text, &end, 16);
        if (end == text || *end)
            TRY(bad_value(file, key, text));
    }
    TRY(get_integer(file, "corpora", &count));
    if (count != sampler->count)
        TRY(err_set(ERR_USAGE, "%s: the checkpoint has %lld corpora, the spec %d",
                    tensor_table_path(file), (long long)count, sampler->count));
    TRY(mem_calloc(&positions, 2 * (size_t)sampler->count, sizeof *positions));
    for (int i = 0; i < sampler->count; i++) {
        snprintf(key, sizeof key, "epoch.%d", i);
        TRY(get_integer(file, key, &positions[i]));
        snprintf(key, sizeof key, "next.%d", i);
        TRY(get_integer(file, key, &positions[sampler->count + i]));
    }
    TRY(train_sampler_seek(sampler, &rng, positions, positions + sampler->count));
out:
    mem_free(positions);
    return rc;
}

static int read_flat(const struct tensor_table *file, const struct train_model *model,
                     const char *prefix, float *flat)
{
    char name[NAME_SIZE];
    int rc = 0;
    for (int t = 0; rc == 0 && t < model->tensor_count; t++) {
        const struct train_tensor *tensor = &model->tensors[t];
        snprintf(name, sizeof name, "%s%s", prefix, tensor->name);
        rc = tensor_table_read(file, name, (size_t)(tensor->rows ? tensor->rows : tensor->columns),
                               (size_t)(tensor->rows ? tensor->columns : 0), flat + tensor->offset);
    }
    return rc;
}

int train_checkpoint_load(const char *path, struct train_model *model,
                          struct train_optimizer *optimizer, struct train_sampler *sampler,
                          struct train_progress *progress)
{
    struct tensor_table *file = NULL;
    struct train_progress read = *progress;
    const char *spec;
    int64_t step;
    int rc = 0;
    TRY(safetensors_open_file(&file, path));
    TRY(get(file, "spec", &spec));
    if (strcmp(spec, progress->spec_hash))
        TRY(err_set(ERR_USAGE,
                    "%s: was made with another spec (model, corpora, schedule or seed differ); use "
                    "the old spec or "
                    "another output folder",
                    path));
    TRY(get_integer(file, "step", &step));
    TRY(get_integer(file, "tokens", &read.tokens));
    TRY(get_real(file, "best_validation", &read.best_validation));
    TRY(get_real(file, "seconds", &read.seconds));
    TRY(read_flat(file, model, prefixes[0], model->weights));
    TRY(read_flat(file, model, prefixes[1], optimizer->first));
    TRY(read_flat(file, model, prefixes[2], optimizer->second));
    TRY(get_position(file, sampler));
    optimizer->step = step;
    *progress = read;
out:
    tensor_table_free(file);
    return rc;
}

static int write_config(const char *folder, const struct model_config *config)
{
    struct file_writer writer = {0};
    json_t *json = NULL;
    char *path = NULL, *text = NULL;
    int rc = 0;
    TRY(file_join(&path, folder, "config.json"));
    TRY(llama_config_to_json(config, "float16", &json));
    text = json_dumps(json, JSON_INDENT(2));
    if (!text)
        TRY(err_set(ERR_MEMORY, "out of memory"));
    TRY(file_write_begin(&writer, path));
    TRY(file_write(&writer, text, strlen(text)));
    TRY(file_write(&writer, "\n", 1));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    free(text);
    json_decref(json);
    mem_free(path);
    return rc;
}

int train_export(const char *folder, const struct train_model *model)
{
    struct tensor_source *sources = NULL;
    json_t *metadata = NULL;
    char *path = NULL;
    size_t count = 0;
    int rc = 0;
    TRY(mem_calloc(&sources, (size_t)model->tensor_count, sizeof *sources));
    for (int t = 0; t < model->tensor_count; t++) {
        if (model->tensors[t].extra)
            continue;
        describe(&sources[count], &model->tensors[t], model->tensors[t].name, model->weights);
        sources[count++].dtype = DTYPE_F16;
    }
    metadata = json_pack("{s:s}", "format", "pt"); /* transformers asks for this key */
    if (!metadata)
        TRY(err_set(ERR_MEMORY, "out of memory"));
    TRY(file_make_directories(folder));
    TRY(file_join(&path, folder, "model.safetensors"));
    TRY(safetensors_write(path, sources, count, metadata));
    TRY(write_config(folder, &model->config));
out:
    json_decref(metadata);
    mem_free(path);
    mem_free(sources);
    return rc;
}
