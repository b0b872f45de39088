#include "datasets/documents.h"

#include "core/err.h"

#include <string.h>

size_t documents_open_size(const struct documents_builder *builder)
{
    return builder->text.length - (builder->count ? builder->offsets[builder->count] : 0);
}

int documents_add(struct documents_builder *builder, const char *bytes, size_t count)
{
    return strbuf_add(&builder->text, bytes, count);
}

int documents_add_line(struct documents_builder *builder, const char *bytes, size_t count)
{
    int rc = documents_open_size(builder) ? strbuf_add(&builder->text, "\n", 1) : 0;
    return rc ? rc : strbuf_add(&builder->text, bytes, count);
}

int documents_close(struct documents_builder *builder)
{
    if (documents_open_size(builder) == 0)
        return 0;
    if (builder->count + 2 > builder->capacity) {
        size_t capacity = builder->capacity ? builder->capacity * 2 : 1024;
        int rc = mem_resize(&builder->offsets, builder->capacity, capacity,
                            sizeof *builder->offsets);
        if (rc)
            return rc;
        if (builder->capacity == 0)
            builder->offsets[0] = 0;
        builder->capacity = capacity;
    }
    builder->offsets[++builder->count] = builder->text.length;
    return 0;
}

/* Text first, then the offsets as eight little-endian bytes each, so that moved borders are a
 * difference, too. */
static void hash_documents(struct documents *documents)
{
    struct hash hash;
    hash_init(&hash);
    hash_add(&hash, documents->text, documents->offsets[documents->count]);
    for (size_t i = 0; i <= documents->count; i++) {
        uint8_t bytes[8];
        for (int k = 0; k < 8; k++)
            bytes[k] = (uint8_t)((uint64_t)documents->offsets[i] >> (8 * k));
        hash_add(&hash, bytes, sizeof bytes);
    }
    hash_finish(&hash, documents->hash);
}

int documents_finish(struct documents_builder *builder, const char *what, struct documents *out)
{
    int rc = documents_close(builder);
    if (rc)
        return rc;
    if (builder->count == 0)
        return err_set(ERR_FORMAT, "%s: there is no text in it", what);
    struct documents fresh = {
        .text = builder->text.data, .offsets = builder->offsets, .count = builder->count};
    hash_documents(&fresh);
    *builder = (struct documents_builder){0};
    *out = fresh;
    return 0;
}

void documents_builder_release(struct documents_builder *builder)
{
    strbuf_release(&builder->text);
    mem_free(builder->offsets);
    *builder = (struct documents_builder){0};
}

void documents_release(struct documents *documents)
{
    mem_free(documents->text);
    mem_free(documents->offsets);
    *documents = (struct documents){0};
}

size_t documents_words(const struct documents *documents)
{
    size_t words = 0; /* by document: the last word of one does not run into the first of the next
                       */
    for (size_t d = 0; d < documents->count; d++)
        words += text_words(documents->text + documents->offsets[d],
                            documents->offsets[d + 1] - documents->offsets[d]);
    return words;
}

int documents_join(const struct documents *documents, const char *joiner, char **text, size_t *size)
{
    struct strbuf joined = {0};
    int rc = 0;
    for (size_t d = 0; d < documents->count; d++) {
        if (d)
            TRY(strbuf_puts(&joined, joiner));
        TRY(strbuf_add(&joined, documents->text + documents->offsets[d],
                       documents->offsets[d + 1] - documents->offsets[d]));
    }
    if (!joined.data)
        TRY(strbuf_add(&joined, "", 0));
    *text = joined.data;
    if (size)
        *size = joined.length;
    joined = (struct strbuf){0};
out:
    strbuf_release(&joined);
    return rc;
}
