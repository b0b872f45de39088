/* One run a database: a lock file beside it, held by flock(2), which the kernel lets go when the
 * process ends, however it ends. SQLite's own locks are left to SQLite, so that readers work while
 * a run writes. */
#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"
#include "harness/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORDS = 2048 }; /* at most, in the lock file */

/* Somebody else holds it: the file's text is that process's number. */
static int busy(const struct store *store, int file)
{
    char text[32] = "";
    ssize_t length = pread(file, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = '\0';
    long process = strtol(text, NULL, 10);
    if (process <= 0)
        return err_set(ERR_BUSY,
                       "%s: another run is writing to this database; wait for it, or name another "
                       "file with --database",
                       store->path);
    return err_set(
        ERR_BUSY,
        "%s: another run (process %ld) is writing to this database; wait for it, or name "
        "another file with --database",
        store->path, process);
}

/* True when the path still names the open file: its last holder may have removed it before we got
 * the lock. */
static int still_there(const char *path, int file)
{
    struct stat ours, there;
    return fstat(file, &ours) == 0 && stat(path, &there) == 0 && ours.st_ino == there.st_ino &&
           ours.st_dev == there.st_dev;
}

/* The lock's text, line by line: the process, since when, and what it is doing. */
static bool say(int file, const char *since, const char *experiment, const char *label)
{
    char text[WORDS];
    int length = snprintf(text, sizeof text, "%ld\n%s\n%s\n%s\n", (long)getpid(), since, experiment,
                          label);
    if (length >= WORDS)
        length = WORDS - 1;
    return pwrite(file, text, (size_t)length, 0) == length && ftruncate(file, length) == 0;
}

void store_working_on(const struct store *store, const char *experiment, const char *label)
{
    if (store->lock >= 0)
        say(store->lock, store->lock_since, experiment, label);
}

/* *field = the next line, without its end. */
static const char *next_line(const char *text, char *field, size_t size)
{
    size_t length = strcspn(text, "\n");
    snprintf(field, size, "%.*s", (int)length, text);
    return text + length + (text[length] == '\n');
}

void store_find_writer(const char *database, struct store_writer *writer)
{
    char real[PATH_MAX], *path = NULL, text[WORDS], process[32];
    int file = -1;
    *writer = (struct store_writer){0};
    if (!realpath(database, real) || mem_printf(&path, "%s.lock", real) != 0)
        return;
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        ssize_t length = pread(file, text, sizeof text - 1, 0);
        text[length > 0 ? length : 0] = '\0';
        const char *at = next_line(text, process, sizeof process);
        at = next_line(at, writer->since, sizeof writer->since);
        at = next_line(at, writer->experiment, sizeof writer->experiment);
        snprintf(writer->label, sizeof writer->label, "%s", at);
        size_t end = strlen(writer->label);
        if (end > 0 && writer->label[end - 1] == '\n')
            writer->label[end - 1] = '\0';
        writer->process = strtol(process, NULL, 10);
        writer->there = 1;
    }
    if (file >= 0)
        close(file); /* lets a shared lock go */
    mem_free(path);
}

int store_lock(struct store *store)
{
    char *path = NULL;
    int file = -1, rc;
    TRY(mem_printf(&path, "%s.lock", store->path));
    for (;;) {
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (file < 0) {
            rc = err_set(ERR_IO,
                         "%s: cannot write in this folder: %s; name another place with --database",
                         path, strerror(errno));
            goto out;
        }
        if (flock(file, LOCK_EX | LOCK_NB) != 0) {
            rc = errno == EWOULDBLOCK
                     ? busy(store, file)
                     : err_set(ERR_IO, "%s: cannot lock: %s", path, strerror(errno));
            goto out;
        }
        if (still_there(path, file))
            break;
        close(file);
    }
    clock_utc(store->lock_since);
    if (!say(file, store->lock_since, "", "")) {
        rc = err_set(ERR_IO, "%s: cannot write: %s", path, strerror(errno));
        unlink(path);
    }
out:
    if (rc) {
        if (file >= 0)
            close(file);
        mem_free(path);
    } else {
        store->lock = file;
        store->lock_path = path;
    }
    return rc;
}

void store_leave(const struct store *store)
{
    if (store->lock >= 0)
        close(store->lock); /* the lock itself is the parent's, as long as it has it open */
}

void store_unlock(struct store *store)
{
    if (store->lock >= 0) {
        unlink(store->lock_path); /* while it is held: whoever opened it meanwhile sees that it is
                                     gone */
        close(store->lock);
    }
    mem_free(store->lock_path);
    store->lock = -1;
    store->lock_path = NULL;
}
