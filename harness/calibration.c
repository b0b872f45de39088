#include "harness/calibration.h"

#include "core/err.h"
#include "core/rng.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Copies the index-th '+'-separated part of list; returns the number of parts.
 */
static int list_part(const char *list, int index, char *part, size_t size)
{
    int count = 0;
    for (const char *at = list;; at++) {
        size_t length = strcspn(at, "+");
        if (count++ == index)
            snprintf(part, size, "%.*s", (int)length, at);
        at += length;
        if (*at == '\0')
            return count;
    }
}

static int draw_from(const struct corpus_tokens *text, int samples, int length, struct rng *rng,
                     struct stream *stream)
{
    if (text->count < (size_t)length + 1)
        return err_set(ERR_USAGE,
                       "calibration: corpus %s has %zu tokens, fewer than one "
                       "segment of %d: set a shorter length",
                       text->name, text->count, length);
    for (int i = 0; i < samples; i++) {
        uint64_t start = rng_below(rng, text->count - (size_t)length);
        int rc = stream_add(stream, text->ids + start, length, length);
        if (rc)
            return rc;
    }
    return 0;
}

int calibration_draw(const struct calibration_spec *spec, struct corpus_cache *cache,
                     struct stream *stream, int *changed)
{
    char name[OPTION_TEXT_SIZE];
    int parts = list_part(spec->corpus, -1, name, sizeof name), rc = 0;
    struct rng rng;
    if (spec->samples > INT_MAX / spec->length)
        return err_set(ERR_USAGE,
                       "calibration: %d segments of %d tokens are more than %d tokens: take fewer "
                       "or shorter ones",
                       spec->samples, spec->length, INT_MAX);
    rng_seed(&rng, (uint64_t)spec->seed);
    for (int part = 0; part < parts; part++) {
        const struct corpus_tokens *text;
        int samples = spec->samples / parts + (part < spec->samples % parts);
        list_part(spec->corpus, part, name, sizeof name);
        TRY(corpus_cache_get(cache, name, spec->split, &text));
        TRY(draw_from(text, samples, spec->length, &rng, stream));
        if (changed && text->changed)
            *changed = 1;
    }
out:
    return rc;
}
