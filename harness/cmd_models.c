/* `bitbench models`: model folders, and what one of them holds. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/inspect.h"
#include "harness/model_folder.h"
#include "model/gguf.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    struct model_parts parts = {0};
    int rc = model_folder_open(&model, folder);
    if (rc == 0)
        model_parts_of(&model, &parts);
    double total = model_parts_total(&parts);
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
        return inspect_model(line->arguments[1], line->global.json);
    }
    if (line->argument_count > 1)
        return err_set(ERR_USAGE, "models: unexpected argument '%.80s'", line->arguments[1]);
    if (first && (strcmp(first, "embedded") == 0 || is_model(first)))
        return inspect_model(first, line->global.json);
    return list_models(first, line->global.json);
}

const struct command command_models = {
    .name = "models",
    .summary = "lists models, or inspects one: family, shape, parameters, types, memory, hash",
    .arguments = "[[inspect] PATH]",
    .arguments_max = 2,
    .argument_kind = ARGUMENT_FOLDER,
    .flags = COMMAND_JSON,
    .description =
        "Without an argument the model that comes with bitbench. A model is a folder in Hugging "
        "Face's layout (config.json with model.safetensors or pytorch_model.bin), packed by "
        "`bitbench quantize` or not, a GGUF file, or a checkpoint of llama2.c; a folder of models "
        "is listed. What does not fit together (a family that is not supported, tensors that are "
        "missing or have no place) is said in one line, with exit status 1.",
    .examples = "bitbench models\n"
                "bitbench models inspect embedded\n"
                "bitbench models inspect model.gguf --json\n"
                "bitbench models ~/models\n",
    .run = run_models,
};
