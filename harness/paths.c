#include "harness/paths.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The source tree lies at most this many folders above the executable:
 * TREE/build/asan/tests/test_x. */
enum { LEVELS = 4, PATH_SIZE = 4096 };

/* text = the folder of the executable; "" when the system does not tell. */
static void executable_folder(char text[PATH_SIZE])
{
    ssize_t length = readlink("/proc/self/exe", text, PATH_SIZE - 1);
    text[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(text, '/');
    if (slash)
        *slash = '\0';
}

/* *out = folder/inner/name when that exists, else untouched. */
static int try_place(char **out, const char *folder, const char *inner, const char *name)
{
    char *path;
    int rc = mem_printf(&path, "%s/%s%s", folder, inner, name);
    if (rc)
        return rc;
    if (file_exists(path)) {
        *out = path;
    } else {
        mem_free(path);
    }
    return 0;
}

int paths_data(char **out, const char *name)
{
    char folder[PATH_SIZE], *found = NULL;
    const char *given = getenv("BITBENCH_DATA");
    int rc = 0;
    executable_folder(folder);
    if (given && *given)
        TRY(try_place(&found, given, "", name));
    if (!found && *folder)
        TRY(try_place(&found, folder, "../share/bitbench/", name));
    for (int level = 0; level < LEVELS && !found; level++) {
        char *slash = strrchr(folder, '/');
        if (!slash)
            break;
        *slash = '\0';
        /* Only a folder that is the source tree: an unrelated plots/ or results/ above us is not
         * ours. */
        char *mark = NULL;
        TRY(try_place(&mark, folder, "", "methods/methods.def"));
        int ours = mark != NULL;
        mem_free(mark);
        if (ours)
            TRY(try_place(&found, folder, "", name));
    }
    if (!found && file_exists(name))
        TRY(mem_strdup(&found, name));
    if (!found)
        rc = err_set(ERR_MISSING,
                     "%s: not found in $BITBENCH_DATA (%s), beside the program, or in the current "
                     "directory; set "
                     "BITBENCH_DATA to the folder that holds it",
                     name, given && *given ? given : "not set");
out:
    if (rc == 0)
        *out = found;
    else
        mem_free(found);
    return rc;
}
