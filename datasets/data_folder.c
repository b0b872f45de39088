#include "datasets/data_folder.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOLDER_SIZE = 4096 };

static char chosen[FOLDER_SIZE], suggested[FOLDER_SIZE];

static int keep(const char *folder, char out[FOLDER_SIZE])
{
    size_t length = folder ? strlen(folder) : 0;
    if (length >= FOLDER_SIZE)
        return err_set(ERR_USAGE,
                       "the folder of the data sets has a path of %zu bytes; at most %d "
                       "are allowed",
                       length, FOLDER_SIZE - 1);
    snprintf(out, FOLDER_SIZE, "%s", folder ? folder : "");
    return 0;
}

int data_folder_set(const char *folder)
{
    return keep(folder, chosen);
}

int data_folder_suggest(const char *folder)
{
    return keep(folder, suggested);
}

const char *data_folder(void)
{
    const char *environment = getenv("BITBENCH_DATASETS");
    if (chosen[0] || suggested[0])
        return chosen[0] ? chosen : suggested;
    return environment && *environment ? environment : NULL;
}

static int missing(const char *name, const char *who)
{
    if (!data_folder())
        return err_set(ERR_MISSING,
                       "%s: no folder of data sets is named: give --data DIR, where DIR/%s is the "
                       "file (docs/datasets.md says where it comes from)",
                       who, name);
    return err_set(ERR_MISSING,
                   "%s: %s/%s is not there: put it there, or name another folder with --data "
                   "(docs/datasets.md says where it comes from)",
                   who, data_folder(), name);
}

/* A line of Python, since what reads parquet is at hand wherever such a file comes from. */
static int refuse_parquet(const char *path, const char *who)
{
    int base = (int)(strlen(path) - strlen(".parquet"));
    return err_set(ERR_FORMAT,
                   "%s: %s: parquet is not read here; convert it: python3 -c \"import pandas; "
                   "pandas.read_parquet('%s').to_json('%.*s.jsonl', orient='records', "
                   "lines=True)\"",
                   who, path, path, base, path);
}

static int is_parquet(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && strcmp(dot, ".parquet") == 0;
}

int data_folder_first(char **path, const char *const *names, const char *who, int *found)
{
    const char *folder = data_folder();
    for (int i = 0; folder && names[i]; i++) {
        char *joined;
        int rc = file_join(&joined, folder, names[i]);
        if (rc)
            return rc;
        if (file_exists(joined) && !is_parquet(joined)) {
            *path = joined;
            if (found)
                *found = i;
            return 0;
        }
        if (file_exists(joined))
            rc = refuse_parquet(joined, who);
        mem_free(joined);
        if (rc)
            return rc;
    }
    return missing(names[0], who);
}

int data_folder_path(char **path, const char *name, const char *who)
{
    const char *names[] = {name, NULL};
    return data_folder_first(path, names, who, NULL);
}
