#include "core/file.h"

#include "core/err.h"
#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int file_open(const char *path, int *file, size_t *size)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer must not hold
                                                            us up */
    if (fd < 0)
        return err_set(errno == ENOENT ? ERR_MISSING : ERR_IO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        close(fd);
        return err_set(ERR_IO, "%s: not a regular file", path);
    }
    *file = fd;
    *size = (size_t)info.st_size;
    return 0;
}

int file_read_at(int file, const char *path, size_t at, void *bytes, size_t count)
{
    for (size_t done = 0; done < count;) {
        ssize_t got = pread(file, (char *)bytes + done, count - done, (off_t)(at + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(ERR_IO, "%s: read stopped at byte %zu of %zu", path, at + done,
                           at + count);
        done += (size_t)got;
    }
    return 0;
}

/* What a repository holds in place of a large file until `git lfs` fetches it. */
static int check_pointer(const struct file_map *map, const char *path)
{
    static const char begin[] = "version https://git-lfs.github.com/";
    if (map->size < sizeof begin || memcmp(map->data, begin, sizeof begin - 1) != 0)
        return 0;
    return err_set(
        ERR_FORMAT,
        "%s: only Git's pointer to the file is here, not the file: fetch it with `git lfs "
        "pull`",
        path);
}

int file_map_open(struct file_map *map, const char *path)
{
    int fd;
    size_t size;
    int rc = file_open(path, &fd, &size);
    if (rc)
        return rc;
    void *data = NULL;
    if (size > 0) {
        data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            rc = err_set(ERR_IO, "%s: cannot map %zu bytes: %s", path, size, strerror(errno));
    }
    close(fd);
    struct file_map fresh = {data, size};
    if (rc == 0 && (rc = check_pointer(&fresh, path)) != 0)
        file_unmap(&fresh);
    if (rc == 0)
        *map = fresh;
    /* cppcheck-suppress memleak ; it does not see that the map holds data */
    return rc;
}

void file_unmap(struct file_map *map)
{
    if (map->data)
        munmap((void *)(uintptr_t)map->data, map->size);
    *map = (struct file_map){0};
}

int file_read(const char *path, char **out, size_t *size)
{
    int fd, rc;
    size_t length;
    char *text = NULL;
    if ((rc = file_open(path, &fd, &length)) != 0)
        return rc;
    TRY(mem_alloc(&text, length + 1, 1));
    TRY(file_read_at(fd, path, 0, text, length));
    text[length] = '\0';
    *out = text;
    text = NULL;
    if (size)
        *size = length;
out:
    close(fd);
    mem_free(text);
    return rc;
}

int file_write_begin(struct file_writer *writer, const char *path)
{
    int rc;
    struct stat there;
    struct file_writer fresh = {0};
    if (!*path)
        return err_set(ERR_USAGE, "a file without a name cannot be written");
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode)) /* renaming would replace a device */
        return err_set(ERR_IO, "%s: cannot write: %s is in the way", path,
                       S_ISDIR(there.st_mode) ? "a folder of that name"
                                              : "something that is no file");
    TRY(mem_strdup(&fresh.path, path));
    TRY(mem_printf(&fresh.temporary, "%s.tmp.%ld", path, (long)getpid()));
    fresh.stream = fopen(fresh.temporary, "wbe");
    if (!fresh.stream)
        rc = err_set(ERR_IO, "%s: cannot write: %s", path, strerror(errno));
out:
    if (rc) {
        mem_free(fresh.path);
        mem_free(fresh.temporary);
    } else {
        *writer = fresh;
    }
    return rc;
}

static int write_failed(const struct file_writer *writer)
{
    return err_set(ERR_IO, "%s: cannot write: %s; nothing was changed", writer->path,
                   strerror(errno));
}

int file_write(struct file_writer *writer, const void *bytes, size_t count)
{
    if (count && fwrite(bytes, 1, count, writer->stream) != count)
        return write_failed(writer);
    return 0;
}

int file_write_hole(struct file_writer *writer, size_t count)
{
    if (count == 0)
        return 0;
    if (fseeko(writer->stream, (off_t)(count - 1), SEEK_CUR) != 0)
        return write_failed(writer);
    return file_write(writer, "", 1); /* the last byte makes the file as long as it is */
}

int file_write_commit(struct file_writer *writer)
{
    int rc = 0;
    if (fflush(writer->stream) != 0 || fsync(fileno(writer->stream)) != 0)
        rc = write_failed(writer);
    if (fclose(writer->stream) != 0 && rc == 0)
        rc = write_failed(writer);
    writer->stream = NULL;
    if (rc == 0 && rename(writer->temporary, writer->path) != 0)
        rc = write_failed(writer);
    if (rc == 0) {
        mem_free(writer->temporary);
        writer->temporary = NULL;
    }
    file_write_abort(writer);
    return rc;
}

void file_write_abort(struct file_writer *writer)
{
    if (writer->stream)
        fclose(writer->stream);
    if (writer->temporary)
        unlink(writer->temporary);
    mem_free(writer->temporary);
    mem_free(writer->path);
    *writer = (struct file_writer){0};
}

int file_make_directories(const char *path)
{
    char *copy;
    int rc = mem_strdup(&copy, path);
    if (rc)
        return rc;
    for (char *at = copy; rc == 0 && *at; at++) {
        if (at[1] != '/' && at[1] != '\0')
            continue;
        char kept = at[1];
        struct stat entry;
        at[1] = '\0';
        if (mkdir(copy, 0777) != 0 && errno != EEXIST)
            rc = err_set(ERR_IO, "%s: cannot make the folder: %s", copy, strerror(errno));
        else if (stat(copy, &entry) != 0 || !S_ISDIR(entry.st_mode))
            rc = err_set(ERR_IO, "%s: cannot make the folder: a file of that name is in the way",
                         copy);
        at[1] = kept;
    }
    mem_free(copy);
    return rc;
}

int file_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

int file_join(char **out, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    return mem_printf(out, "%s%s%s", folder, length && folder[length - 1] == '/' ? "" : "/", name);
}
