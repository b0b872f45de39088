/* The lines of a text file one after another, plain or compressed by gzip, whatever its size. */
#ifndef DATASETS_TEXTLINES_H
#define DATASETS_TEXTLINES_H

#include <stdbool.h>
#include <stddef.h>

enum { TEXT_LINE_MAX = 256 << 20 }; /* bytes of a line */

/* Zero-initialise. */
struct text_lines {
    void *file; /* zlib's */
    char *path; /* owned, for messages */
    char *bytes;
    size_t start, end, capacity; /* what is read ahead: bytes[start .. end) */
    size_t number;               /* of the line that text_lines_next gave last, from 1 */
};

/* ERR_MISSING when there is no such file, ERR_IO when it is no regular file or cannot be read. */
int text_lines_open(struct text_lines *lines, const char *path);

/* *line = the next line without its line feed, borrowed until the next call; NULL behind the last.
 * *ended (may be NULL) = whether a line feed was there. ERR_FORMAT: compressed data that are
 * damaged or cut short, a line longer than TEXT_LINE_MAX. */
int text_lines_next(struct text_lines *lines, const char **line, size_t *length, bool *ended);

void text_lines_close(struct text_lines *lines);

#endif
