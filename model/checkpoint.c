#include "model/checkpoint.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "model/gguf_model.h"
#include "model/llama2c.h"
#include "model/torch.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int read_config(json_t **config, const char *path)
{
    int rc;
    char *text = NULL;
    size_t size;
    json_t *json = NULL;
    json_error_t where;
    TRY(file_read(path, &text, &size));
    json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
    if (!json) {
        rc = err_set(ERR_FORMAT, "%s:%d: not valid JSON: %s", path, where.line, where.text);
        goto out;
    }
    if (!json_is_object(json)) {
        rc = err_set(ERR_FORMAT, "%s: not a JSON object", path);
        goto out;
    }
    *config = json;
    json = NULL;
out:
    json_decref(json);
    mem_free(text);
    return rc;
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static int open_file(struct checkpoint *checkpoint, const char *path)
{
    int rc;
    struct gguf *file;
    if (ends_with(path, ".safetensors") || ends_with(path, ".json") || torch_is(path))
        return err_set(ERR_USAGE,
                       "%s: a model is the folder that this file lies in, with config.json and "
                       "the weights",
                       path);
    TRY(mem_strdup(&checkpoint->where, path));
    if (gguf_is(path) || ends_with(path, ".gguf")) {
        TRY(gguf_open(&file, path));
        TRY(gguf_model(file, &checkpoint->config, &checkpoint->tensors));
    } else {
        TRY(llama2c_open(path, &checkpoint->config, &checkpoint->tensors));
    }
out:
    return rc;
}

int checkpoint_resolve(char **out, const char *path)
{
    int rc;
    char *config = NULL, *found = NULL;
    const struct dirent *entry;
    DIR *folder = NULL;
    TRY(file_join(&config, path, "config.json"));
    if (!file_exists(config))
        folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        if (entry->d_name[0] == '.' || !ends_with(entry->d_name, ".gguf"))
            continue;
        if (found) {
            rc = err_set(ERR_USAGE, "%s: no config.json, and several GGUF files: name one of them",
                         path);
            goto out;
        }
        TRY(file_join(&found, path, entry->d_name));
    }
    if (!found)
        TRY(mem_strdup(&found, path));
    *out = found;
    found = NULL;
out:
    if (folder)
        closedir(folder);
    mem_free(found);
    mem_free(config);
    return rc;
}

int checkpoint_open(struct checkpoint *out, const char *path)
{
    int rc;
    struct stat info;
    struct checkpoint fresh = {0};
    TRY(mem_strdup(&fresh.path, path));
    if (stat(path, &info) == 0 && !S_ISDIR(info.st_mode)) {
        TRY(open_file(&fresh, path));
    } else {
        TRY(file_join(&fresh.where, path, "config.json"));
        TRY(read_config(&fresh.config, fresh.where));
    }
    *out = fresh;
    fresh = (struct checkpoint){0};
out:
    checkpoint_close(&fresh);
    return rc;
}

int checkpoint_tensors(struct checkpoint *checkpoint, struct tensor_table **out)
{
    if (!checkpoint->tensors)
        return tensor_table_open_folder(out, checkpoint->path);
    *out = checkpoint->tensors;
    checkpoint->tensors = NULL;
    return 0;
}

int checkpoint_config_text(const char *path, char **out, size_t *size)
{
    int rc;
    char *dump = NULL;
    struct checkpoint found = {0};
    TRY(checkpoint_open(&found, path));
    if (!found.tensors) {
        TRY(file_read(found.where, out, size));
        goto out;
    }
    dump = json_dumps(found.config, JSON_INDENT(2));
    if (!dump) {
        rc = err_set(ERR_MEMORY, "%s: out of memory for the configuration", path);
        goto out;
    }
    TRY(mem_strdup(out, dump));
    *size = strlen(dump);
out:
    free(dump); /* jansson's own allocation */
    checkpoint_close(&found);
    return rc;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    json_decref(checkpoint->config);
    mem_free(checkpoint->where);
    mem_free(checkpoint->path);
    tensor_table_free(checkpoint->tensors);
    *checkpoint = (struct checkpoint){0};
}
