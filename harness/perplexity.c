#include "core/err.h"
#include "core/mem.h"
#include "harness/evaluation.h"
#include "harness/statistics.h"

#include <math.h>

static const char *const split_names[] = {"train", "validation", "test"};

/* Bytes of text behind the tokens that are predicted: all but each window's
 * first. */
static int scored_bytes(const struct tokenizer *tokenizer, const int32_t *ids, int windows,
                        int length, long *bytes)
{
    *bytes = 0;
    for (int w = 0; w < windows; w++) {
        size_t size;
        int rc = tokenizer_count_bytes(tokenizer, ids + (size_t)w * (size_t)length + 1,
                                       (size_t)length - 1, &size);
        if (rc)
            return rc;
        *bytes += (long)size;
    }
    return 0;
}

/* How many windows of the text are measured; ERR_USAGE when there is none. */
static int count_windows(const struct perplexity_spec *spec, const struct corpus_tokens *text,
                         int *windows)
{
    size_t length = (size_t)spec->window;
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

int perplexity_prepare(struct perplexity_set *set, struct stream *stream,
                       struct corpus_cache *cache)
{
    int rc;
    const struct perplexity_spec *spec = set->spec;
    const struct corpus_request request = {
        .name = spec->corpus, .split = spec->split, .use = USE_EVALUATION, .length = spec->window};
    const struct corpus_tokens *text;
    struct hash hash;
    TRY(corpus_cache_get(cache, &request, &text));
    TRY(count_windows(spec, text, &set->windows));
    set->first_sequence = stream->count;
    for (int w = 0; w < set->windows; w++)
        TRY(stream_add(stream, text->ids + (size_t)w * (size_t)spec->window, spec->window, 1));
    if (text->is_text)
        TRY(scored_bytes(cache->tokenizer, text->ids, set->windows, spec->window, &set->bytes));
    hash_init(&hash);
    hash_add(&hash, text->ids, (size_t)set->windows * (size_t)spec->window * sizeof *text->ids);
    hash_finish(&hash, set->hash);
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
        .rule = "windows",
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
