#include "core/folder.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int not_dots(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static void free_entries(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++)
        free(entries[i]); /* scandir's own allocations */
    free(entries);
}

/* 0 also when there is nothing of that name. */
static int check_free(const char *path)
{
    struct dirent **entries = NULL;
    int count = scandir(path, &entries, not_dots, alphasort);
    if (count < 0 && errno == ENOENT)
        return 0;
    if (count < 0 && errno == ENOTDIR)
        return err_set(ERR_USAGE, "%s: a file of that name is in the way", path);
    if (count < 0)
        return err_set(ERR_IO, "%s: %s", path, strerror(errno));
    free_entries(entries, count);
    if (count > 0)
        return err_set(ERR_USAGE,
                       "%s: the folder is there already and is not empty: remove it, or choose "
                       "another name",
                       path);
    return 0;
}

/* *out = the folder's own name: without a slash at the end, and where it is there already, without
 * links and dots, so that it can be renamed to. */
static int own_name(char **out, const char *path)
{
    char resolved[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0)
        return err_set(ERR_USAGE, "a folder without a name cannot be written");
    if (realpath(path, resolved))
        return mem_strdup(out, resolved);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return mem_printf(out, "%.*s", (int)length, path);
}

int folder_write_begin(struct folder_writer *writer, const char *path)
{
    int rc;
    char *above = NULL;
    struct folder_writer fresh = {0};
    TRY(check_free(path));
    TRY(own_name(&fresh.path, path));
    const char *slash = strrchr(fresh.path, '/');
    if (slash && slash > fresh.path) {
        TRY(mem_printf(&above, "%.*s", (int)(slash - fresh.path), fresh.path));
        TRY(file_make_directories(above));
    }
    TRY(mem_printf(&fresh.temporary, "%s.tmp.%ld", fresh.path, (long)getpid()));
    if (mkdir(fresh.temporary, 0777) != 0) {
        rc = err_set(ERR_IO, "%s: cannot make the folder: %s", fresh.temporary, strerror(errno));
        mem_free(fresh.temporary); /* not ours to remove */
        fresh.temporary = NULL;
        goto out;
    }
    *writer = fresh;
    fresh = (struct folder_writer){0};
out:
    folder_write_abort(&fresh);
    mem_free(above);
    return rc;
}

int folder_write_commit(struct folder_writer *writer)
{
    int rc = 0, handle = open(writer->temporary, O_RDONLY | O_DIRECTORY);
    if (handle < 0 || fsync(handle) != 0)
        rc = err_set(ERR_IO, "%s: cannot write: %s", writer->temporary, strerror(errno));
    if (handle >= 0)
        close(handle);
    if (rc)
        return rc;
    if (rename(writer->temporary, writer->path) != 0) /* an empty folder is replaced */
        return err_set(ERR_IO, "%s: cannot be given its name: %s", writer->path, strerror(errno));
    mem_free(writer->temporary);
    writer->temporary = NULL;
    folder_write_abort(writer);
    return 0;
}

void folder_write_abort(struct folder_writer *writer)
{
    struct dirent **entries = NULL;
    const char *path = writer->temporary;
    int handle = path ? open(path, O_RDONLY | O_DIRECTORY) : -1;
    int count = handle < 0 ? 0 : scandir(path, &entries, not_dots, alphasort);
    for (int i = 0; i < count; i++)
        unlinkat(handle, entries[i]->d_name, 0);
    free_entries(entries, count);
    if (handle >= 0) {
        close(handle);
        rmdir(path);
    }
    mem_free(writer->temporary);
    mem_free(writer->path);
    *writer = (struct folder_writer){0};
}

int folder_copy_file(const char *from, const char *to)
{
    int rc;
    struct file_map map = {0};
    struct file_writer writer = {0};
    TRY(file_map_open(&map, from));
    TRY(file_write_begin(&writer, to));
    TRY(file_write(&writer, map.data, map.size));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    file_unmap(&map);
    return rc;
}
