/* Windows of tokens for training: see struct train_sampler. */
#include "core/err.h"
#include "core/mem.h"
#include "model/train.h"

#include <string.h>

static void shuffle(struct rng *rng, int32_t *order, size_t count)
{
    for (size_t i = 0; i < count; i++)
        order[i] = (int32_t)i;
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)rng_below(rng, i);
        int32_t swap = order[i - 1];
        order[i - 1] = order[j];
        order[j] = swap;
    }
}

/* What lays an epoch out depends on seed, corpus and epoch alone, so that a position can be reached
 * again. */
static void epoch_rng(struct rng *rng, uint64_t seed, int corpus, int64_t epoch)
{
    rng_seed(rng, seed + (uint64_t)corpus * 0x9e3779b97f4a7c15u +
                      (uint64_t)epoch * 0xd1342543de82ef95u + 1);
}

static void append(struct train_sampler_corpus *c, const int32_t *tokens, size_t count)
{
    if (count)
        memcpy(c->line + c->line_count, tokens, count * sizeof *tokens);
    c->line_count += count;
}

static int lay_out(struct train_sampler *s, int index, int64_t epoch)
{
    struct train_sampler_corpus *c = &s->corpora[index];
    const struct train_stream *stream = &c->stream;
    struct rng rng;
    int32_t *documents = NULL;
    int rc = 0;
    TRY(mem_alloc(&documents, stream->count, sizeof *documents));
    epoch_rng(&rng, s->seed, index, epoch);
    shuffle(&rng, documents, stream->count);
    c->line_count = 0;
    for (size_t d = 0; d < stream->count; d++) {
        size_t at = stream->offsets[documents[d]], end = stream->offsets[documents[d] + 1];
        if (s->end_id >= 0 && (d == 0 || rng_below(&rng, 2) == 0))
            append(c, &s->end_id, 1);
        else
            append(c, stream->joiner, stream->joiner_count);
        append(c, stream->tokens + at, end - at);
    }
    c->phase = (int64_t)rng_below(&rng, (uint64_t)s->context);
    if ((int64_t)c->line_count - 1 - c->phase < s->context)
        c->phase = 0;
    c->windows = ((int64_t)c->line_count - 1 - c->phase) / s->context;
    shuffle(&rng, c->order, (size_t)c->windows);
    c->epoch = epoch;
    c->next = 0;
out:
    mem_free(documents);
    return rc;
}

static int corpus_init(struct train_sampler *s, int index, const struct train_stream *stream)
{
    struct train_sampler_corpus *c = &s->corpora[index];
    size_t total = stream->count ? stream->offsets[stream->count] : 0;
    size_t separator = stream->joiner_count > 1 ? stream->joiner_count : 1;
    int rc = 0;
    if (total < (size_t)s->context + 1)
        return err_set(
            ERR_USAGE,
            "corpus %s: its train split has %zu tokens, fewer than one window of %d and its target",
            stream->name, total, s->context);
    if (!(stream->weight > 0.0))
        return err_set(ERR_USAGE, "corpus %s: weight must be positive, not %g", stream->name,
                       stream->weight);
    c->stream = *stream;
    c->epoch = -1;
    c->line_capacity = total + stream->count * separator;
    TRY(mem_alloc(&c->line, c->line_capacity, sizeof *c->line));
    TRY(mem_alloc(&c->order, c->line_capacity / (size_t)s->context + 1, sizeof *c->order));
out:
    return rc;
}

int train_sampler_init(struct train_sampler *sampler, const struct train_stream *streams, int count,
                       int context, int32_t end_id, uint64_t seed)
{
    int rc = 0;
    *sampler = (struct train_sampler){.context = context, .end_id = end_id, .seed = seed};
    if (count < 1)
        return err_set(ERR_USAGE, "training needs at least one corpus");
    rng_seed(&sampler->rng, seed);
    TRY(mem_calloc(&sampler->corpora, (size_t)count, sizeof *sampler->corpora));
    sampler->count = count;
    for (int i = 0; i < count; i++)
        TRY(corpus_init(sampler, i, &streams[i]));
out:
    if (rc)
        train_sampler_release(sampler);
    return rc;
}

void train_sampler_release(struct train_sampler *sampler)
{
    for (int i = 0; i < sampler->count; i++) {
        mem_free(sampler->corpora[i].line);
        mem_free(sampler->corpora[i].order);
    }
    mem_free(sampler->corpora);
    memset(sampler, 0, sizeof *sampler);
}

static int pick_corpus(struct train_sampler *s)
{
    double total = 0.0;
    for (int i = 0; i < s->count; i++)
        total += s->corpora[i].stream.weight;
    double at = rng_uniform(&s->rng) * total;
    for (int i = 0; i < s->count - 1; i++) {
        at -= s->corpora[i].stream.weight;
        if (at < 0.0)
            return i;
    }
    return s->count - 1;
}

int train_sampler_draw(struct train_sampler *sampler, int sequences, int32_t *tokens,
                       int32_t *targets)
{
    size_t context = (size_t)sampler->context;
    int rc = 0;
    for (int i = 0; i < sequences; i++) {
        int index = pick_corpus(sampler);
        struct train_sampler_corpus *c = &sampler->corpora[index];
        if (c->epoch < 0 || c->next >= c->windows)
            TRY(lay_out(sampler, index, c->epoch + 1));
        const int32_t *window = c->line + c->phase + (int64_t)c->order[c->next] * sampler->context;
        c->next++;
        memcpy(tokens + (size_t)i * context, window, context * sizeof *tokens);
        memcpy(targets + (size_t)i * context, window + 1, context * sizeof *targets);
    }
out:
    return rc;
}

int train_sampler_seek(struct train_sampler *sampler, const struct rng *rng, const int64_t *epochs,
                       const int64_t *nexts)
{
    int rc = 0;
    for (int i = 0; i < sampler->count; i++) {
        struct train_sampler_corpus *c = &sampler->corpora[i];
        if (epochs[i] < 0)
            continue;
        TRY(lay_out(sampler, i, epochs[i]));
        if (nexts[i] < 0 || nexts[i] > c->windows)
            return err_set(ERR_FORMAT, "checkpoint: corpus %s has no window %lld in epoch %lld",
                           c->stream.name, (long long)nexts[i], (long long)epochs[i]);
        c->next = nexts[i];
    }
    sampler->rng = *rng;
out:
    return rc;
}
