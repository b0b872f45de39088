/* A text file of the user's own as a corpus. */
#include "datasets/own.h"

#include "core/err.h"
#include "core/file.h"
#include "core/text.h"
#include "datasets/documents.h"

#include <string.h>

/* What the first bytes say about a file that is not UTF-8. */
static const char *remedy(const struct file_map *map)
{
    static const unsigned char gzip[] = {0x1f, 0x8b}, low[] = {0xff, 0xfe}, high[] = {0xfe, 0xff};
    if (map->size >= 2 && memcmp(map->data, gzip, 2) == 0)
        return "it is compressed: gunzip it";
    if (map->size >= 2 && (memcmp(map->data, low, 2) == 0 || memcmp(map->data, high, 2) == 0))
        return "it looks like UTF-16: convert it with iconv -f utf16 -t utf8";
    return "convert it, for instance with iconv -f latin1 -t utf8";
}

static int read_text(const struct corpus *corpus, struct file_map *map)
{
    struct file_map fresh = {0};
    size_t bad = 0;
    int rc = file_map_open(&fresh, corpus->path);
    if (rc)
        return rc;
    if (text_words((const char *)fresh.data, fresh.size) == 0)
        rc = err_set(ERR_FORMAT, "%s: there is no text in it (%zu bytes)", corpus->path,
                     fresh.size);
    else if (!text_is_utf8((const char *)fresh.data, fresh.size, &bad))
        rc = err_set(ERR_FORMAT, "%s: not UTF-8: byte %zu is 0x%02x; %s", corpus->path, bad,
                     fresh.data[bad], remedy(&fresh));
    if (rc)
        file_unmap(&fresh);
    else
        *map = fresh;
    return rc;
}

static int extract_whole(const struct corpus *corpus, struct documents *all)
{
    struct documents_builder builder = {0};
    struct file_map map = {0};
    int rc;
    TRY(read_text(corpus, &map));
    TRY(documents_add(&builder, (const char *)map.data, map.size));
    TRY(documents_finish(&builder, corpus->path, all));
out:
    file_unmap(&map);
    documents_builder_release(&builder);
    return rc;
}

static int extract_documents(const struct corpus *corpus, struct documents *all)
{
    struct documents_builder builder = {0};
    struct file_map map = {0};
    int rc;
    TRY(read_text(corpus, &map));
    const char *text = (const char *)map.data;
    for (size_t at = 0; at < map.size;) {
        const char *newline = memchr(text + at, '\n', map.size - at);
        size_t length = newline ? (size_t)(newline - text) - at : map.size - at,
               next = at + length + 1;
        if (length && text[at + length - 1] == '\r')
            length--;
        if (text_words(text + at, length) == 0)
            TRY(documents_close(&builder));
        else
            TRY(documents_add_line(&builder, text + at, length));
        at = next;
    }
    TRY(documents_finish(&builder, corpus->path, all));
out:
    file_unmap(&map);
    documents_builder_release(&builder);
    return rc;
}

/* The joiner of a single document is never seen. */
const struct corpus corpus_own_file = {.source = "a text of your own",
                                       .joiner = "",
                                       .version = 1,
                                       .whole = 1,
                                       .extract = extract_whole};

const struct corpus corpus_own_documents = {.source = "a text of your own, divided at blank lines",
                                            .joiner = "\n\n",
                                            .version = 1,
                                            .extract = extract_documents};
