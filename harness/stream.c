#include "harness/stream.h"

#include "core/err.h"
#include "core/interrupt.h"
#include "core/mem.h"
#include "core/progress.h"

#include <limits.h>
#include <string.h>

enum { CHUNK_ROWS = 4096 };

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

int stream_add(struct stream *stream, const int32_t *tokens, int length, int first_target)
{
    int rc = 0;
    if (length < 1 || stream->rows > INT_MAX - length)
        return err_set(ERR_INTERNAL, "a stream cannot take %d more tokens after %d", length,
                       stream->rows);
    int capacity = stream->row_capacity, ends = stream->capacity;
    TRY(grow(&stream->tokens, stream->rows, &capacity, stream->rows + length, sizeof *tokens));
    TRY(grow(&stream->targets, stream->rows, &stream->row_capacity, stream->rows + length,
             sizeof *tokens));
    TRY(grow(&stream->offsets, stream->count + 1, &ends, stream->count + 2,
             sizeof *stream->offsets));
    stream->capacity = ends;
    memcpy(stream->tokens + stream->rows, tokens, (size_t)length * sizeof *tokens);
    for (int i = 0; i < length; i++)
        stream->targets[stream->rows + i] = i + 1 < length && i + 1 >= first_target ? tokens[i + 1]
                                                                                    : -1;
    if (stream->count == 0)
        stream->offsets[0] = 0;
    stream->rows += length;
    stream->offsets[++stream->count] = stream->rows;
out:
    return rc;
}

void stream_release(struct stream *stream)
{
    mem_free(stream->tokens);
    mem_free(stream->targets);
    mem_free(stream->offsets);
    *stream = (struct stream){0};
}

/* The sequences first..*end-1 that fit into a chunk (one sequence at least), as
 * a batch with offsets from 0. */
static struct batch chunk_at(const struct stream *stream, int first, int *offsets)
{
    int count = 0, start = stream->offsets[first];
    offsets[0] = 0;
    while (first + count < stream->count &&
           (count == 0 || stream->offsets[first + count + 1] - start <= CHUNK_ROWS)) {
        count++;
        offsets[count] = stream->offsets[first + count] - start;
    }
    return (struct batch){.tokens = stream->tokens + start, .offsets = offsets, .count = count};
}

struct chunk_tap {
    const struct stream_tap *tap;
    int sequences;
};

static int forward_tap(void *context, int input, const float *x, int rows, int width)
{
    const struct chunk_tap *chunk = context;
    return chunk->tap->see(chunk->tap->context, input, x, rows, width, chunk->sequences);
}

/* The longest run of rows that chunk_at can give: the size of the scratch copy.
 */
static int largest_chunk(const struct stream *stream)
{
    int most = CHUNK_ROWS < stream->rows ? CHUNK_ROWS : stream->rows;
    for (int s = 0; s < stream->count; s++) {
        int length = stream->offsets[s + 1] - stream->offsets[s];
        most = length > most ? length : most;
    }
    return most;
}

int stream_block(const struct model *model, const struct block *block, const struct stream *stream,
                 float *x, const struct stream_tap *tap, const char *stage)
{
    int rc, *offsets = NULL;
    size_t width = (size_t)model->config.width;
    float *copy = NULL;
    TRY(mem_alloc(&offsets, (size_t)stream->count + 1, sizeof *offsets));
    if (tap)
        TRY(mem_alloc(&copy, (size_t)largest_chunk(stream) * width, sizeof *copy));
    for (int first = 0; first < stream->count;) {
        struct batch batch = chunk_at(stream, first, offsets);
        float *rows = x + (size_t)stream->offsets[first] * width;
        struct chunk_tap chunk = {.tap = tap, .sequences = batch.count};
        if (tap) {
            memcpy(copy, rows, (size_t)offsets[batch.count] * width * sizeof *copy);
            rows = copy;
        }
        TRY(model->architecture->block_forward(model, block, &batch, rows, tap ? forward_tap : NULL,
                                               &chunk));
        first += batch.count;
        progress_stage(stage, stream->offsets[first], stream->rows, stream->offsets[first]);
        TRY(interrupt_check());
    }
out:
    mem_free(offsets);
    mem_free(copy);
    return rc;
}

int stream_embed(const struct model *model, const struct stream *stream, float *x)
{
    struct batch batch = {
        .tokens = stream->tokens, .offsets = stream->offsets, .count = stream->count};
    return model->architecture->embed(model, &batch, x);
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
