#include "harness/stream.h"

#include "core/err.h"
#include "core/mem.h"

#include <limits.h>
#include <string.h>

static int grow(void *inout, int used, int *capacity, int needed, size_t size)
{
    if (needed <= *capacity)
        return 0;
    int fresh = needed > INT_MAX / 2 ? needed : needed * 2;
    int rc = mem_resize(inout, (size_t)used, (size_t)fresh, size);
    if (rc == 0)
        *capacity = fresh;
    return rc;
}

/* Makes room for `rows` more rows and one more sequence. */
static int reserve(struct stream *stream, int rows)
{
    int rc = 0;
    if (rows < 1 || stream->rows > INT_MAX - rows)
        return err_set(ERR_USAGE, "a run cannot take %d more tokens after %d: measure less at once",
                       rows, stream->rows);
    int needed = stream->rows + rows, tokens = stream->row_capacity, targets = tokens,
        ends = stream->capacity;
    TRY(grow(&stream->tokens, stream->rows, &tokens, needed, sizeof *stream->tokens));
    TRY(grow(&stream->targets, stream->rows, &targets, needed, sizeof *stream->targets));
    TRY(grow(&stream->branch, stream->rows, &stream->row_capacity, needed, sizeof *stream->branch));
    TRY(grow(&stream->offsets, stream->count + 1, &ends, stream->count + 2,
             sizeof *stream->offsets));
    stream->capacity = ends;
    if (stream->count == 0)
        stream->offsets[0] = 0;
out:
    return rc;
}

static void append(struct stream *stream, int32_t token, int32_t target, int branch)
{
    stream->tokens[stream->rows] = token;
    stream->targets[stream->rows] = target;
    stream->branch[stream->rows++] = branch;
}

int stream_add(struct stream *stream, const int32_t *tokens, int length, int first_target)
{
    int rc = reserve(stream, length);
    if (rc)
        return rc;
    for (int i = 0; i < length; i++)
        append(stream, tokens[i], i + 1 < length && i + 1 >= first_target ? tokens[i + 1] : -1, 0);
    stream->offsets[++stream->count] = stream->rows;
    return 0;
}

/* Rows that all branches can share: equal tokens before the row that predicts the first scored one.
 */
static int common_beginning(const struct stream_branch *branches, int count)
{
    int common = INT_MAX;
    for (int b = 0; b < count; b++) {
        int most = branches[b].first_target - 1, same = 0;
        while (same < most && same < common && branches[b].tokens[same] == branches[0].tokens[same])
            same++;
        common = same < common ? same : common;
    }
    return common;
}

/* Each on its own: there is nothing to share. The last token predicts nothing, and may lie beyond
 * the model's positions. */
static int add_apart(struct stream *stream, struct stream_branch *branches, int count)
{
    for (int b = 0; b < count; b++) {
        const struct stream_branch *one = &branches[b];
        int rc = reserve(stream, one->length - 1);
        if (rc)
            return rc;
        branches[b].row = stream->rows + one->first_target - 1;
        for (int i = 0; i + 1 < one->length; i++)
            append(stream, one->tokens[i], i + 1 >= one->first_target ? one->tokens[i + 1] : -1, 0);
        stream->offsets[++stream->count] = stream->rows;
    }
    return 0;
}

int stream_add_branches(struct stream *stream, struct stream_branch *branches, int count)
{
    int trunk = common_beginning(branches, count);
    if (count < 2 || trunk < 1)
        return add_apart(stream, branches, count);
    long rows = trunk;
    for (int b = 0; b < count; b++)
        rows += branches[b].length - 1 - trunk; /* the last token predicts nothing */
    int start = stream->rows, rc = reserve(stream, rows > INT_MAX ? INT_MAX : (int)rows);
    if (rc)
        return rc;
    for (int i = 0; i < trunk; i++)
        append(stream, branches[0].tokens[i], -1, 0);
    for (int b = 0; b < count; b++) {
        struct stream_branch *one = &branches[b];
        int begin = stream->rows - start;
        one->row = stream->rows + one->first_target - 1 - trunk;
        for (int i = trunk; i + 1 < one->length; i++)
            append(stream, one->tokens[i], i + 1 >= one->first_target ? one->tokens[i + 1] : -1,
                   begin);
    }
    stream->offsets[++stream->count] = stream->rows;
    return 0;
}

void stream_release(struct stream *stream)
{
    mem_free(stream->tokens);
    mem_free(stream->targets);
    mem_free(stream->branch);
    mem_free(stream->offsets);
    *stream = (struct stream){0};
}

void stream_hash(const struct stream *stream, char hex[HASH_HEX_SIZE])
{
    struct hash hash;
    hash_init(&hash);
    for (int part = 0; part < 2; part++) {
        const int32_t *values = part == 0 ? stream->tokens : stream->offsets;
        int count = part == 0 ? stream->rows : stream->count + 1;
        for (int i = 0; i < count && values; i++) {
            uint32_t v = (uint32_t)values[i];
            uint8_t bytes[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16),
                                (uint8_t)(v >> 24)};
            hash_add(&hash, bytes, sizeof bytes);
        }
    }
    hash_finish(&hash, hex);
}
