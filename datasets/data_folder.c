#include "datasets/data_folder.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"

#include <dirent.h>
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

/* A line of Python, since what reads parquet is at hand wherever such a file comes from. The first
 * `length` bytes of `to` are the name without .jsonl. */
static int refuse_parquet(const char *path, const char *to, size_t length, const char *who)
{
    return err_set(ERR_FORMAT,
                   "%s: %s: parquet is not read here; convert it: python3 -c \"import pandas; "
                   "pandas.read_parquet('%s').to_json('%.*s.jsonl', orient='records', "
                   "lines=True)\"",
                   who, path, path, (int)length, to);
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
            rc = refuse_parquet(joined, joined, strlen(joined) - strlen(".parquet"), who);
        mem_free(joined);
        if (rc)
            return rc;
    }
    return missing(names[0], who);
}

/* ---- parquet files in the place of a task's file ---- */

struct parquet_search {
    const char *wanted; /* "ARC-Easy-Test.jsonl" */
    const char *split;  /* what the parquet file's name has to contain */
    char *best;         /* owned; NULL: none yet */
    size_t alike;       /* bytes in which its place begins as `wanted` does */
};

static size_t common_beginning(const char *a, const char *b)
{
    size_t length = 0;
    while (a[length] && a[length] == b[length])
        length++;
    return length;
}

/* Equal ones by name, so that the answer does not hang on the folder's order. */
static void consider(struct parquet_search *search, const char *place, char *path)
{
    size_t alike = common_beginning(place, search->wanted);
    if (search->best &&
        (alike < search->alike || (alike == search->alike && strcmp(path, search->best) > 0))) {
        mem_free(path);
        return;
    }
    mem_free(search->best);
    search->best = path;
    search->alike = alike;
}

/* Hugging Face's layout has the files in the data set's folder or, where it has several
 * configurations, one deeper. What cannot be read is as if it were not there. */
static int search_parquet(struct parquet_search *search, const char *folder, const char *place)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    int rc = 0;
    while (dir && rc == 0 && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        char *path;
        if (name[0] == '.')
            continue;
        rc = file_join(&path, folder, name);
        if (rc)
            break;
        if (is_parquet(name) && strstr(name, search->split)) {
            consider(search, place ? place : name, path);
            continue;
        }
        if (!place && !strchr(name, '.'))
            rc = search_parquet(search, path, name);
        mem_free(path);
    }
    if (dir)
        closedir(dir);
    return rc;
}

/* The error of a file that is not there: parquet files that hold it are told, too. */
static int explain_missing(const char *name, const char *who)
{
    const char *base = strrchr(name, '/'), *end = strrchr(name, '.');
    struct parquet_search search = {.wanted = base + 1};
    char *folder = NULL, *target = NULL;
    int rc;
    search.split = strstr(base, "est.") ? "test" : "valid";
    TRY(file_join(&target, data_folder(), name));
    TRY(mem_printf(&folder, "%.*s", (int)(strlen(target) - strlen(base)), target));
    TRY(search_parquet(&search, folder, NULL));
    rc = search.best ? refuse_parquet(search.best, target, strlen(target) - strlen(end), who)
                     : missing(name, who);
out:
    mem_free(search.best);
    mem_free(folder);
    mem_free(target);
    return rc;
}

int data_folder_path(char **path, const char *name, const char *who)
{
    const char *names[] = {name, NULL};
    int rc = data_folder_first(path, names, who, NULL);
    return rc == ERR_MISSING && data_folder() ? explain_missing(name, who) : rc;
}
