#include "core/err.h"
#include "core/mem.h"
#include "harness/evaluation.h"
#include "harness/statistics.h"

#include <math.h>
#include <string.h>

const char *const perplexity_rule_names[] = {"windows", "second-half"};
static const char *const split_names[] = {"train", "validation", "test"};

/* The first token of a window that counts. */
static int first_scored(const struct perplexity_spec *spec)
{
    return spec->rule == RULE_SECOND_HALF ? spec->window / 2 + 1 : 1;
}

/* Bytes of text behind the tokens that are predicted. */
static int count_bytes(struct perplexity_set *set, const struct tokenizer *tokenizer,
                       const int32_t *ids)
{
    const int length = set->spec->window, first = first_scored(set->spec);
    set->bytes = 0;
    for (int w = 0; w < set->windows; w++) {
        size_t size;
        int rc = tokenizer_count_bytes(tokenizer, ids + (size_t)w * (size_t)length + (size_t)first,
                                       (size_t)(length - first), &size);
        if (rc)
            return rc;
        set->bytes += (long)size;
    }
    return 0;
}

/* How many windows of the text are measured; ERR_USAGE when there is none. */
static int count_windows(const struct perplexity_spec *spec, const struct corpus_tokens *text,
                         int *windows)
{
    size_t length = (size_t)spec->window;
    if (first_scored(spec) >= spec->window)
        return err_set(ERR_USAGE,
                       "corpus %s: rule second-half scores nothing of windows of %d tokens: give 3 "
                       "or more",
                       spec->corpus, spec->window);
    size_t count = spec->tokens > 0 && (size_t)spec->tokens < text->count ? (size_t)spec->tokens
                                                                          : text->count;
    size_t found = count / length;
    if (text->row % length)
        return err_set(ERR_USAGE,
                       "corpus %s: it holds rows of %zu tokens, which windows of %d would cross: "
                       "set window: %zu",
                       spec->corpus, text->row, spec->window, text->row);
    if (found == 0)
        return err_set(ERR_USAGE,
                       "corpus %s: its %s split has %zu tokens here, less than one "
                       "window of %d: give a shorter window",
                       spec->corpus, split_names[spec->split], count, spec->window);
    if (text->most_windows && found > text->most_windows)
        found = text->most_windows;
    if (spec->windows > 0 && found > (size_t)spec->windows)
        found = (size_t)spec->windows;
    if (found > INT32_MAX / length)
        return err_set(ERR_USAGE,
                       "corpus %s: %zu tokens are too many for one run: set tokens:", spec->corpus,
                       count);
    *windows = (int)found;
    return 0;
}

/* The windows, as the rule has them, and the hash of their tokens. */
static int add_windows(struct perplexity_set *set, const struct corpus_tokens *text,
                       const struct tokenizer *tokenizer, struct stream *stream)
{
    int rc, length = set->spec->window;
    int32_t *window;
    struct hash hash;
    bool begins = set->spec->rule == RULE_SECOND_HALF && text->is_text &&
                  tokenizer_adds_bos(tokenizer);
    TRY(mem_alloc(&window, (size_t)length, sizeof *window));
    hash_init(&hash);
    for (int w = 0; w < set->windows; w++) {
        memcpy(window, text->ids + (size_t)w * (size_t)length, (size_t)length * sizeof *window);
        if (begins)
            window[0] = tokenizer_bos(tokenizer);
        TRY(stream_add(stream, window, length, first_scored(set->spec)));
        hash_add(&hash, window, (size_t)length * sizeof *window);
    }
    hash_finish(&hash, set->hash);
out:
    mem_free(window);
    return rc;
}

int perplexity_prepare(struct perplexity_set *set, struct stream *stream,
                       struct corpus_cache *cache)
{
    int rc;
    const struct perplexity_spec *spec = set->spec;
    const struct corpus_request request = {
        .name = spec->corpus, .split = spec->split, .use = USE_EVALUATION, .length = spec->window};
    const struct corpus_tokens *text;
    TRY(corpus_cache_get(cache, &request, &text));
    TRY(count_windows(spec, text, &set->windows));
    set->first_sequence = stream->count;
    TRY(add_windows(set, text, cache->tokenizer, stream));
    if (text->is_text)
        TRY(count_bytes(set, cache->tokenizer, text->ids));
out:
    return rc;
}

int perplexity_metric(const struct perplexity_set *set, const struct stream *stream,
                      const struct token_score *scores, struct metric_record *metric)
{
    struct metric_part *parts;
    int rc = mem_calloc(&parts, (size_t)set->windows, sizeof *parts);
    if (rc)
        return rc;
    double total = 0;
    long count = 0;
    for (int w = 0; w < set->windows; w++) {
        int s = set->first_sequence + w;
        parts[w].index = w;
        for (int r = stream->offsets[s]; r < stream->offsets[s + 1]; r++) {
            if (stream->targets[r] < 0)
                continue;
            parts[w].value -= (double)scores[r].log_probability;
            parts[w].count++;
        }
        total += parts[w].value;
        count += parts[w].count;
    }
    *metric = (struct metric_record){
        .kind = "perplexity",
        .dataset = set->spec->corpus,
        .split = split_names[set->spec->split],
        .rule = perplexity_rule_names[set->spec->rule],
        .data_hash = set->hash,
        .window = set->spec->window,
        .count = count,
        .bytes = set->bytes,
        .bits_per_byte = set->bytes > 0 ? total / log(2.0) / (double)set->bytes : NAN,
        .parts = parts,
        .part_count = set->windows};
    rc = statistics_perplexity(parts, set->windows, STATISTICS_SEED, &metric->value,
                               &metric->standard_error, &metric->low, &metric->high);
    if (rc) {
        err_prefix(rc, "perplexity on %s", set->spec->corpus);
        mem_free(parts);
    }
    return rc;
}
