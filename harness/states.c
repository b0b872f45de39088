#include "harness/states.h"

#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/size.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static size_t row_bytes(const struct states *states)
{
    return (size_t)states->width * sizeof(float);
}

static int cannot_spill(const struct states *states, int code)
{
    char size[SIZE_TEXT];
    size_text((double)states->rows * (double)row_bytes(states), size);
    return err_set(ERR_IO,
                   "%s: cannot spill %s of hidden states to %s: %s; name a folder with more room "
                   "by --spill-dir, or allow more by --memory",
                   states->what, size, states->folder, strerror(code));
}

/* A file without a name: where the file system cannot make one, a name that is taken away at once.
 */
static int open_unnamed(const struct states *states, int *out)
{
    char *path = NULL;
    int rc = 0, file = open(states->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        TRY(file_join(&path, states->folder, "bitbench.XXXXXX"));
        file = mkostemp(path, O_CLOEXEC);
        if (file >= 0)
            unlink(path);
    }
    if (file < 0)
        rc = cannot_spill(states, errno);
    else
        *out = file;
out:
    mem_free(path);
    return rc;
}

static int spill(struct states *states)
{
    int file = -1, rc = open_unnamed(states, &file);
    if (rc)
        return rc;
    off_t bytes = (off_t)((size_t)states->rows * row_bytes(states));
    int code = fallocate(file, 0, 0, bytes) == 0 ? 0 : errno;
    if (code == EOPNOTSUPP) /* then a full disk shows at the first write that it has no room for */
        code = ftruncate(file, bytes) == 0 ? 0 : errno;
    if (code) {
        close(file);
        return cannot_spill(states, code);
    }
    states->file = file;
    return 0;
}

int states_open(struct states *states, const char *what, int rows, int width, int most,
                const char *folder)
{
    int rc = 0;
    struct states fresh = {
        .what = what, .folder = folder, .rows = rows, .width = width, .most = most, .file = -1};
    if (folder && rows > 0)
        TRY(spill(&fresh));
    TRY(mem_alloc(&fresh.memory, (size_t)(folder ? most : rows) * (size_t)width,
                  sizeof *fresh.memory));
    *states = fresh;
out:
    if (rc && fresh.file >= 0)
        close(fresh.file);
    return rc;
}

void states_close(struct states *states)
{
    if (states->folder && states->memory && states->file >= 0)
        close(states->file);
    mem_free(states->memory);
    *states = (struct states){0};
}

int states_take(struct states *states, int first, int count, bool load, float **x)
{
    int rc = 0;
    if (!states->folder) {
        *x = states->memory + (size_t)first * (size_t)states->width;
        return 0;
    }
    if (load)
        rc = file_read_at(states->file, states->folder, (size_t)first * row_bytes(states),
                          states->memory, (size_t)count * row_bytes(states));
    if (rc == 0)
        *x = states->memory;
    return rc;
}

int states_put(struct states *states, int first, int count)
{
    const char *bytes = (const char *)states->memory;
    size_t size = (size_t)count * row_bytes(states), at = (size_t)first * row_bytes(states);
    for (size_t done = 0; states->folder && done < size;) {
        ssize_t put = pwrite(states->file, bytes + done, size - done, (off_t)(at + done));
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return cannot_spill(states, put < 0 ? errno : ENOSPC);
        done += (size_t)put;
    }
    return 0;
}

int states_copy(struct states *states, float *out)
{
    int rc = 0;
    for (int first = 0; rc == 0 && first < states->rows; first += states->most) {
        int left = states->rows - first, count = left < states->most ? left : states->most;
        float *rows;
        rc = states_take(states, first, count, true, &rows);
        if (rc == 0)
            memcpy(out + (size_t)first * (size_t)states->width, rows,
                   (size_t)count * row_bytes(states));
    }
    return rc;
}

int states_restore(struct states *states, const float *in)
{
    int rc = 0;
    for (int first = 0; rc == 0 && first < states->rows; first += states->most) {
        int left = states->rows - first, count = left < states->most ? left : states->most;
        float *rows;
        rc = states_take(states, first, count, false, &rows);
        if (rc)
            break;
        memcpy(rows, in + (size_t)first * (size_t)states->width, (size_t)count * row_bytes(states));
        rc = states_put(states, first, count);
    }
    return rc;
}

void states_expect(const struct states *states, int first, int count)
{
    if (states->folder)
        (void)posix_fadvise(states->file, (off_t)((size_t)first * row_bytes(states)),
                            (off_t)((size_t)count * row_bytes(states)), POSIX_FADV_WILLNEED);
}
