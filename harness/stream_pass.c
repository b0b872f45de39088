/* A stream's way through the blocks, chunk by chunk. */
#include "core/err.h"
#include "core/interrupt.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/stream.h"

#include <string.h>

enum { CHUNK_ROWS = 4096 };

/* The sequences from number `first` on that fit into a chunk (one sequence at least), as a batch
 * with offsets from 0. */
static struct batch chunk_at(const struct stream *stream, int first, int *offsets)
{
    int count = 0, start = stream->offsets[first];
    offsets[0] = 0;
    while (first + count < stream->count &&
           (count == 0 || stream->offsets[first + count + 1] - start <= CHUNK_ROWS)) {
        count++;
        offsets[count] = stream->offsets[first + count] - start;
    }
    return (struct batch){.tokens = stream->tokens + start,
                          .offsets = offsets,
                          .count = count,
                          .branch = stream->branch + start};
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

int stream_largest_chunk(const struct stream *stream)
{
    int most = CHUNK_ROWS < stream->rows ? CHUNK_ROWS : stream->rows;
    for (int s = 0; s < stream->count; s++) {
        int length = stream->offsets[s + 1] - stream->offsets[s];
        most = length > most ? length : most;
    }
    return most;
}

/* One chunk, in place or, for a tap, on a copy. */
static int pass_chunk(const struct model *model, const struct block *block,
                      const struct batch *batch, int first, struct states *x, float *copy,
                      const struct stream_tap *tap)
{
    int rc, count = batch->offsets[batch->count];
    float *rows;
    struct chunk_tap chunk = {.tap = tap, .sequences = batch->count};
    TRY(states_take(x, first, count, true, &rows));
    states_expect(x, first + count, count);
    if (tap) {
        memcpy(copy, rows, (size_t)count * (size_t)model->config.width * sizeof *copy);
        rows = copy;
    }
    TRY(model->architecture->block_forward(model, block, batch, rows, tap ? forward_tap : NULL,
                                           &chunk));
    if (!tap)
        TRY(states_put(x, first, count));
out:
    return rc;
}

static int pass_stream(const struct model *model, const struct block *block,
                       const struct stream *stream, bool targets_only, struct states *x,
                       const struct stream_tap *tap, const char *stage)
{
    int rc, *offsets = NULL;
    float *copy = NULL;
    TRY(mem_alloc(&offsets, (size_t)stream->count + 1, sizeof *offsets));
    if (tap)
        TRY(mem_alloc(&copy, (size_t)stream_largest_chunk(stream) * (size_t)model->config.width,
                      sizeof *copy));
    for (int first = 0; first < stream->count;) {
        struct batch batch = chunk_at(stream, first, offsets);
        batch.targets = targets_only ? stream->targets + stream->offsets[first] : NULL;
        TRY(pass_chunk(model, block, &batch, stream->offsets[first], x, copy, tap));
        first += batch.count;
        progress_stage(stage, stream->offsets[first], stream->rows, stream->offsets[first]);
        TRY(interrupt_check());
    }
out:
    mem_free(offsets);
    mem_free(copy);
    return rc;
}

int stream_block(const struct model *model, const struct block *block, const struct stream *stream,
                 struct states *x, const struct stream_tap *tap, const char *stage)
{
    return pass_stream(model, block, stream, false, x, tap, stage);
}

int stream_last_block(const struct model *model, const struct block *block,
                      const struct stream *stream, struct states *x, const char *stage)
{
    return pass_stream(model, block, stream, true, x, NULL, stage);
}

int stream_embed(const struct model *model, const struct stream *stream, struct states *x)
{
    int rc, *offsets = NULL;
    float *rows;
    TRY(mem_alloc(&offsets, (size_t)stream->count + 1, sizeof *offsets));
    for (int first = 0; first < stream->count;) {
        struct batch batch = chunk_at(stream, first, offsets);
        int row = stream->offsets[first], count = offsets[batch.count];
        TRY(states_take(x, row, count, false, &rows));
        TRY(model->architecture->embed(model, &batch, rows));
        TRY(states_put(x, row, count));
        first += batch.count;
        TRY(interrupt_check());
    }
out:
    mem_free(offsets);
    return rc;
}

/* Rows with a target, brought together until the head goes over them. */
struct gathering {
    const struct model *model;
    const struct stream_reference *reference; /* or NULL */
    float *x;
    int32_t *targets;
    int *places; /* in the stream */
    struct token_score *said;
    struct token_divergence *differ;
    int count;
    int before;                 /* rows that the head has gone over */
    struct token_score *scores; /* a row of the stream */
    struct token_divergence *divergences;
};

static int score_rows(const struct gathering *g, int first, int count, const float *reference_x)
{
    const float *x = g->x + (size_t)first * (size_t)g->model->config.width;
    if (count == 0)
        return 0;
    return model_score_against(g->model, x, reference_x ? g->reference->model : NULL, reference_x,
                               g->targets + first, count, g->said + first, g->differ + first);
}

/* The rows that the reference has come first. */
static int score_gathered(struct gathering *g)
{
    int rc = 0, compared = 0;
    float *reference_x = NULL;
    if (g->reference && g->before < g->reference->x->rows) {
        int left = g->reference->x->rows - g->before;
        compared = left < g->count ? left : g->count;
        TRY(states_take(g->reference->x, g->before, compared, true, &reference_x));
    }
    TRY(score_rows(g, 0, compared, reference_x));
    TRY(score_rows(g, compared, g->count - compared, NULL));
    for (int i = 0; i < g->count; i++) {
        g->scores[g->places[i]] = g->said[i];
        if (i < compared)
            g->divergences[g->places[i]] = g->differ[i];
    }
    g->before += g->count;
    g->count = 0;
out:
    return rc;
}

static int gather_rows(struct gathering *g, const struct stream *stream, int first, int count,
                       const float *rows)
{
    size_t width = (size_t)g->model->config.width;
    for (int i = 0; i < count; i++) {
        g->scores[first + i] = (struct token_score){0};
        if (g->reference)
            g->divergences[first + i] = (struct token_divergence){0};
        if (stream->targets[first + i] < 0)
            continue;
        memcpy(g->x + (size_t)g->count * width, rows + (size_t)i * width, width * sizeof *rows);
        g->targets[g->count] = stream->targets[first + i];
        g->places[g->count++] = first + i;
        int rc = g->count == STREAM_SCORED_ROWS ? score_gathered(g) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

int stream_score(const struct model *model, const struct stream *stream, struct states *x,
                 const struct stream_reference *reference, struct token_score *scores,
                 struct token_divergence *divergences)
{
    int rc;
    float *rows;
    struct gathering g = {
        .model = model, .reference = reference, .scores = scores, .divergences = divergences};
    size_t scored = (size_t)(stream->rows < STREAM_SCORED_ROWS ? stream->rows : STREAM_SCORED_ROWS);
    TRY(mem_alloc(&g.x, scored * (size_t)model->config.width, sizeof *g.x));
    TRY(mem_alloc(&g.targets, scored, sizeof *g.targets));
    TRY(mem_alloc(&g.places, scored, sizeof *g.places));
    TRY(mem_alloc(&g.said, scored, sizeof *g.said));
    TRY(mem_alloc(&g.differ, scored, sizeof *g.differ));
    for (int first = 0; first < stream->rows; first += CHUNK_ROWS) {
        int count = stream->rows - first < CHUNK_ROWS ? stream->rows - first : CHUNK_ROWS;
        TRY(states_take(x, first, count, true, &rows));
        states_expect(x, first + count, count);
        TRY(gather_rows(&g, stream, first, count, rows));
        progress_stage("score", first + count, stream->rows, 0);
        TRY(interrupt_check());
    }
    TRY(score_gathered(&g));
out:
    mem_free(g.x);
    mem_free(g.targets);
    mem_free(g.places);
    mem_free(g.said);
    mem_free(g.differ);
    return rc;
}

int stream_keep(const struct stream *stream, struct states *x, struct states *kept)
{
    int rc = 0, used = 0;
    size_t width = (size_t)x->width;
    for (int first = 0; first < stream->rows && used < kept->rows; first += CHUNK_ROWS) {
        int count = stream->rows - first < CHUNK_ROWS ? stream->rows - first : CHUNK_ROWS,
            taken = 0;
        float *from, *to;
        TRY(states_take(x, first, count, true, &from));
        TRY(states_take(kept, used, count, false, &to));
        for (int i = 0; i < count && used + taken < kept->rows; i++)
            if (stream->targets[first + i] >= 0)
                memcpy(to + (size_t)taken++ * width, from + (size_t)i * width, width * sizeof *to);
        TRY(states_put(kept, used, taken));
        used += taken;
        TRY(interrupt_check());
    }
out:
    return rc;
}
