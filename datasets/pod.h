/* Perl's documentation format: what is prose in it. */
#ifndef DATASETS_POD_H
#define DATASETS_POD_H

#include "core/mem.h"

#include <stddef.h>

/* Appends the paragraph with its formatting codes (C<...>, L<text|name>, E<lt>, ...) resolved and
 * spaces made single. */
int pod_plain(struct strbuf *out, const char *bytes, size_t count);

enum pod_kind { POD_HEAD1, POD_HEAD2, POD_ITEM, POD_TEXT };
struct pod_paragraph {
    enum pod_kind kind;
    int depth;        /* of lists: 0 outside any */
    const char *text; /* for headings and items behind the command; still with formatting codes */
    size_t length;
};
/* Finds the next paragraph at or behind *at, 0 at the end. Code (indented paragraphs), blocks from
 * =begin to =end, =for, everything outside pod (behind =cut) and other commands are passed over;
 * =head3 and =head4 count as POD_HEAD2. */
struct pod_reader {
    const char *bytes;
    size_t size, at;
    int depth, begun, cut;
};
int pod_next(struct pod_reader *reader, struct pod_paragraph *out);

#endif
