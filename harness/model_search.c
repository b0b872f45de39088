/* Where models lie: one folder, or several, that the user names once. */
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/known_models.h"
#include "harness/model_folder.h"

#include <stdlib.h>
#include <string.h>

/* *out = "a/b" when that exists, else untouched. */
static int try_path(char **out, const char *a, size_t a_length, const char *b)
{
    char *path = NULL;
    int rc = 0;
    if (*out)
        return 0;
    TRY(mem_printf(&path, "%.*s/%s", (int)a_length, a, b));
    if (file_exists(path)) {
        *out = path;
        path = NULL;
    }
out:
    mem_free(path);
    return rc;
}

/* Hugging Face's own cache: models--ORGANISATION--NAME/refs/main names the snapshot. */
static int try_cache(char **out, const char *folder, size_t length, const char *repository)
{
    const char *slash = strchr(repository, '/');
    char *head = NULL, *file = NULL, *text = NULL, *snapshot = NULL;
    int rc = 0;
    if (*out || !slash || strchr(slash + 1, '/'))
        return 0;
    TRY(mem_printf(&head, "%.*s/models--%.*s--%s", (int)length, folder, (int)(slash - repository),
                   repository, slash + 1));
    TRY(mem_printf(&file, "%s/refs/main", head));
    if (!file_exists(file))
        goto out;
    TRY(file_read(file, &text, NULL));
    text[strcspn(text, " \r\n")] = '\0';
    if (*text == '\0' || strchr(text, '/') || strcmp(text, "..") == 0)
        goto out;
    TRY(mem_printf(&snapshot, "%s/snapshots/%s", head, text));
    if (file_exists(snapshot)) {
        *out = snapshot;
        snapshot = NULL;
    }
out:
    mem_free(snapshot);
    mem_free(text);
    mem_free(file);
    mem_free(head);
    return rc;
}

static int search_folder(char **out, const char *folder, size_t length, const char *name,
                         const struct known_model *known)
{
    int rc;
    const char *slash = strrchr(name, '/');
    TRY(try_path(out, folder, length, name));
    if (slash && slash[1])
        TRY(try_path(out, folder, length, slash + 1));
    TRY(try_cache(out, folder, length, name));
    if (known) {
        TRY(try_path(out, folder, length, known->repository));
        TRY(try_path(out, folder, length, strchr(known->repository, '/') + 1));
        TRY(try_path(out, folder, length, known->name));
        TRY(try_cache(out, folder, length, known->repository));
    }
out:
    return rc;
}

const char *model_search_folders(void)
{
    const char *given = getenv("BITBENCH_MODELS");
    return given && *given ? given : "models";
}

int model_search(char **out, const char *name)
{
    int rc = 0;
    char *found = NULL;
    const struct known_model *known = known_model_find(name);
    if (name[0] == '/' || name[0] == '.')
        return 0; /* a path, and none of ours */
    for (const char *at = model_search_folders(); !found;) {
        size_t length = strcspn(at, ":");
        if (length)
            TRY(search_folder(&found, at, length, name, known));
        if (!at[length])
            break;
        at += length + 1;
    }
    if (found)
        *out = found;
    found = NULL;
out:
    mem_free(found);
    return rc;
}
