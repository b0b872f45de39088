#include "datasets/data_folder.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char chosen[4096];

int data_folder_set(const char *folder)
{
    size_t length = folder ? strlen(folder) : 0;
    if (length >= sizeof chosen)
        return err_set(ERR_USAGE,
                       "the folder of the data sets has a path of %zu bytes; at most %zu "
                       "are allowed",
                       length, sizeof chosen - 1);
    snprintf(chosen, sizeof chosen, "%s", folder ? folder : "");
    return 0;
}

int data_folder_path(char **path, const char *name, const char *who)
{
    const char *environment = getenv("BITBENCH_DATASETS"),
               *folder = chosen[0] ? chosen : environment;
    char *joined = NULL;
    if (!folder || !*folder)
        return err_set(ERR_MISSING,
                       "%s: no folder of data sets is named: give --data DIR, where DIR/%s is the "
                       "file (docs/datasets.md says where it comes from)",
                       who, name);
    int rc = file_join(&joined, folder, name);
    if (rc)
        return rc;
    if (!file_exists(joined)) {
        rc = err_set(ERR_MISSING,
                     "%s: %s is not there: put it there, or name another folder with --data "
                     "(docs/datasets.md says where it comes from)",
                     who, joined);
        mem_free(joined);
        return rc;
    }
    *path = joined;
    return 0;
}
