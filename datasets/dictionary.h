/* Dictionaries in the form of dictd: an entry starts at column 0, paragraphs stand between blank
 * lines. */
#ifndef DATASETS_DICTIONARY_H
#define DATASETS_DICTIONARY_H

#include "core/mem.h"

#include <stddef.h>

struct dictionary_reader {
    const char *bytes;
    size_t size, at;
};
struct dictionary_paragraph {
    size_t indent;    /* of the first line; 0: it starts an entry */
    const char *text; /* of the first line's first byte that is not a blank, to the last line's end
                       */
    size_t length;
};
/* 0 at the end. */
int dictionary_next(struct dictionary_reader *reader, struct dictionary_paragraph *out);

/* The offset behind the group that starts at bytes[0], one of ([{<, with groups of its own kind
 * within; 0 when it does not end. */
size_t dictionary_group(const char *bytes, size_t count);

#endif
