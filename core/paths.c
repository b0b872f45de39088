#include "core/paths.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/version.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int paths_program_folder(char **out)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length < 0)
        return err_set(ERR_IO, "/proc/self/exe: %s; set BITBENCH_DATADIR to the folder with the program's data",
                       strerror(errno));
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        *slash = '\0';
    return mem_strdup(out, path);
}

/* *out = folder/between/relative when that exists, else NULL. */
static int look(char **out, const char *folder, const char *between, const char *relative)
{
    char *path;
    *out = NULL;
    int rc = mem_printf(&path, "%s/%s%s", folder, between, relative);
    if (rc)
        return rc;
    if (file_exists(path))
        *out = path;
    else
        mem_free(path);
    return 0;
}

int paths_find(char **out, const char *relative)
{
    static const char *const between[] = {"../share/bitbench/", "../", "../../", "../../../"};
    char *folder = NULL, *found = NULL;
    int rc = 0;
    const char *given = getenv("BITBENCH_DATADIR");
    if (given && *given) {
        TRY(look(&found, given, "", relative));
        if (!found)
            rc = err_set(ERR_MISSING, "%s/%s is not there, and BITBENCH_DATADIR says to look in that folder", given,
                         relative);
        goto out;
    }
    if (paths_program_folder(&folder) == 0)
        for (size_t i = 0; !found && i < sizeof between / sizeof between[0]; i++)
            TRY(look(&found, folder, between[i], relative));
    if (!found)
        TRY(look(&found, version.datadir, "", relative));
    if (!found)
        rc = err_set(ERR_MISSING,
                     "%s was found neither beside the program (%s) nor in %s; run bitbench from its checkout or install "
                     "it with make install, or set BITBENCH_DATADIR",
                     relative, folder ? folder : "?", version.datadir);
out:
    mem_free(folder);
    if (rc == 0)
        *out = found;
    else
        mem_free(found);
    return rc;
}
