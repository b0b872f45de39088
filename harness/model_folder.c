#include "harness/model_folder.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/known_models.h"
#include "harness/packed_model.h"
#include "harness/paths.h"
#include "model/checkpoint.h"

#include <string.h>

/* otherwise: what is said of a name that is no known model's. */
static int not_found(const char *name, const char *otherwise)
{
    const struct known_model *known = known_model_find(name);
    if (known)
        return err_set(ERR_MISSING,
                       "%s: no such model, here or in %s (BITBENCH_MODELS); to get it: hf download "
                       "%s --include '*.json' '*.txt' '*.model' '%s' --local-dir models/%s",
                       name, model_search_folders(), known->repository, known->files,
                       strchr(known->repository, '/') + 1);
    return err_set(ERR_MISSING, "%s: %s; also looked for in %s (BITBENCH_MODELS)", name, otherwise,
                   model_search_folders());
}

static int find(char **out, const char *name, const char *otherwise)
{
    char *found = NULL;
    if (strcmp(name, "embedded") == 0)
        return paths_data(out, "model/embedded");
    if (!*name)
        return err_set(ERR_USAGE, "the model's name is empty: a folder is expected, or embedded");
    if (file_exists(name))
        return checkpoint_resolve(out, name);
    int rc = model_search(&found, name);
    if (rc == 0)
        rc = found ? checkpoint_resolve(out, found) : not_found(name, otherwise);
    mem_free(found);
    return rc;
}

int model_folder(char **out, const char *name)
{
    return find(out, name,
                "no such model; a model is a folder with config.json and weights, a GGUF file, a "
                "checkpoint of llama2.c, or the word embedded");
}

int tokenizer_folder(char **out, const char *name)
{
    return find(out, name,
                "no such tokenizer; a model (its folder, a GGUF file, the word embedded), "
                "tokenizer.json, tokenizer.model or vocab.json is expected");
}

int model_folder_open(struct model *model, const char *folder)
{
    int rc;
    struct linear_source source;
    struct model fresh = {0};
    TRY(packed_model_source(&source, folder));
    TRY(model_open_source(&fresh, folder, &source));
    source = (struct linear_source){0};
    TRY(packed_model_check(&fresh));
    *model = fresh;
    fresh = (struct model){0};
out:
    model_close(&fresh);
    if (source.release)
        source.release(source.context);
    return rc;
}

int model_check_tokenizer(const struct model *model, const struct tokenizer *tokenizer)
{
    int ids = tokenizer_vocabulary(tokenizer);
    if (ids > model->config.vocabulary)
        return err_set(ERR_FORMAT,
                       "%s: the tokenizer has %d ids, but the model has only %d "
                       "embeddings: they do not belong together",
                       model->folder, ids, model->config.vocabulary);
    return 0;
}
