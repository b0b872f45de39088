#include "datasets/textlines.h"

#include "core/err.h"
#include "core/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { PIECE = 1 << 18 }; /* bytes of one read */

int text_lines_open(struct text_lines *lines, const char *path)
{
    struct text_lines fresh = {0};
    struct stat info;
    int rc, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not hold us up */
    if (fd < 0)
        return err_set(errno == ENOENT ? ERR_MISSING : ERR_IO, "%s: %s", path, strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        TRY(err_set(ERR_IO, "%s: not a regular file", path));
    TRY(mem_strdup(&fresh.path, path));
    TRY(mem_alloc(&fresh.bytes, PIECE, 1));
    fresh.capacity = PIECE;
    if (!(fresh.file = gzdopen(fd, "r")))
        TRY(err_set(ERR_MEMORY, "out of memory: reading %s", path));
    gzbuffer(fresh.file, PIECE);
    fd = -1; /* the stream closes it */
    *lines = fresh;
    fresh = (struct text_lines){0};
out:
    if (fd >= 0)
        close(fd);
    text_lines_close(&fresh);
    return rc;
}

void text_lines_close(struct text_lines *lines)
{
    if (lines->file)
        gzclose_r(lines->file);
    mem_free(lines->path);
    mem_free(lines->bytes);
    *lines = (struct text_lines){0};
}

/* Makes room behind what is read ahead: moves it to the front, or doubles the memory. */
static int make_room(struct text_lines *lines)
{
    if (lines->start > 0) {
        lines->end -= lines->start;
        memmove(lines->bytes, lines->bytes + lines->start, lines->end);
        lines->start = 0;
    }
    if (lines->capacity - lines->end >= PIECE)
        return 0;
    if (lines->end > TEXT_LINE_MAX)
        return err_set(ERR_FORMAT, "%s:%zu: the line is longer than %d bytes", lines->path,
                       lines->number, TEXT_LINE_MAX);
    int rc = mem_resize(&lines->bytes, lines->capacity, 2 * lines->capacity, 1);
    if (rc == 0)
        lines->capacity *= 2;
    return rc;
}

/* zlib's text begins with a name that it made up, "<fd:3>: ". */
static int read_error(const struct text_lines *lines, int code, const char *text)
{
    const char *colon = strstr(text, ">: ");
    if (code == Z_ERRNO)
        return err_set(ERR_IO, "%s: cannot read on behind line %zu: %s", lines->path,
                       lines->number - 1, strerror(errno));
    return err_set(ERR_FORMAT,
                   "%s: cannot read on behind line %zu: %s: the compressed file is cut or damaged, "
                   "get it again",
                   lines->path, lines->number - 1, colon ? colon + 3 : text);
}

/* *got = bytes that were added; 0 at the end of the file. */
static int read_more(struct text_lines *lines, size_t *got)
{
    int code = Z_OK, rc = make_room(lines);
    if (rc)
        return rc;
    int count = gzread(lines->file, lines->bytes + lines->end, PIECE);
    if (count <= 0) {
        const char *text = gzerror(lines->file, &code);
        if (count < 0 || code != Z_OK)
            return read_error(lines, code, text);
    }
    *got = count > 0 ? (size_t)count : 0;
    lines->end += *got;
    return 0;
}

int text_lines_next(struct text_lines *lines, const char **line, size_t *length, bool *ended)
{
    size_t seen = 0, got = 1;
    const char *newline = NULL;
    lines->number++;
    while (!newline) {
        size_t ahead = lines->end - lines->start;
        const char *start = lines->bytes + lines->start;
        if (ahead > seen && (newline = memchr(start + seen, '\n', ahead - seen)) != NULL)
            break;
        seen = ahead;
        int rc = read_more(lines, &got);
        if (rc)
            return rc;
        if (got == 0)
            break;
    }
    const char *start = lines->bytes + lines->start;
    size_t ahead = lines->end - lines->start;
    *line = newline || ahead ? start : NULL;
    *length = newline ? (size_t)(newline - start) : ahead;
    lines->start += *length + (newline != NULL);
    if (ended)
        *ended = newline != NULL;
    return 0;
}
