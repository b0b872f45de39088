#include "harness/calibration.h"

#include "core/err.h"
#include "core/python_random.h"
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

const char *const calibration_draw_names[] = {"own", "python", "given"};

/* What "auto" means for a corpus. */
static int draw_of(const struct calibration_spec *spec, const struct corpus_tokens *text)
{
    if (spec->draw >= 0)
        return spec->draw;
    if (text->brought)
        return DRAW_PYTHON;
    return text->row ? DRAW_GIVEN : DRAW_OWN;
}

/* The corpus holds segments already: of this length, and as they are. */
static int check_rows(const struct calibration_spec *spec, const struct corpus_tokens *text)
{
    if (text->row && text->row != (size_t)spec->length)
        return err_set(ERR_USAGE,
                       "calibration: corpus %s holds segments of %zu tokens: set length: %zu",
                       text->name, text->row, text->row);
    if (text->row && text->brought && spec->draw >= 0 && spec->draw != DRAW_PYTHON)
        return err_set(ERR_USAGE,
                       "calibration: corpus %s is drawn document by document, by Python's "
                       "generator: set draw: python",
                       text->name);
    if (text->row && !text->brought && spec->draw >= 0 && spec->draw != DRAW_GIVEN)
        return err_set(ERR_USAGE,
                       "calibration: corpus %s holds segments, which nothing is drawn from: set "
                       "draw: given",
                       text->name);
    return 0;
}

/* The first segments, one behind the other. */
static int take_given(const struct corpus_tokens *text, int samples, int length,
                      struct stream *stream)
{
    size_t there = text->count / (size_t)length;
    if (there < (size_t)samples)
        return err_set(ERR_USAGE,
                       "calibration: corpus %s has %zu segments of %d tokens, %d are asked for: "
                       "set fewer samples",
                       text->name, there, length, samples);
    for (int i = 0; i < samples; i++) {
        int rc = stream_add(stream, text->ids + (size_t)i * (size_t)length, length, length);
        if (rc)
            return rc;
    }
    return 0;
}

/* At places that are drawn: from rng, or from Python's generator where rng is NULL. */
static int draw_from(const struct corpus_tokens *text, const struct calibration_spec *spec,
                     int samples, struct rng *rng, struct stream *stream)
{
    size_t length = (size_t)spec->length;
    struct python_random random;
    if (text->count < length + 1)
        return err_set(ERR_USAGE,
                       "calibration: corpus %s has %zu tokens, fewer than one segment of %d: "
                       "set a shorter length",
                       text->name, text->count, spec->length);
    if (text->count - length > UINT32_MAX)
        return err_set(ERR_USAGE, "calibration: corpus %s has %zu tokens, too many to draw from",
                       text->name, text->count);
    python_random_seed(&random, (uint64_t)spec->seed);
    for (int i = 0; i < samples; i++) {
        size_t start = rng ? rng_below(rng, text->count - length)
                           : python_random_below(&random, (uint32_t)(text->count - length));
        int rc = stream_add(stream, text->ids + start, spec->length, spec->length);
        if (rc)
            return rc;
    }
    return 0;
}

static int take_part(const struct calibration_spec *spec, const struct corpus_request *request,
                     struct corpus_cache *cache, struct rng *rng, struct stream *stream,
                     struct calibration_facts *facts)
{
    const struct corpus_tokens *text;
    int rc;
    TRY(corpus_cache_get(cache, request, &text));
    TRY(check_rows(spec, text));
    facts->draw = draw_of(spec, text);
    facts->changed |= text->changed;
    if (text->row || facts->draw == DRAW_GIVEN)
        TRY(take_given(text, request->samples, spec->length, stream));
    else
        TRY(draw_from(text, spec, request->samples, facts->draw == DRAW_OWN ? rng : NULL, stream));
out:
    return rc;
}

int calibration_draw(const struct calibration_spec *spec, struct corpus_cache *cache,
                     struct stream *stream, struct calibration_facts *facts)
{
    char name[OPTION_TEXT_SIZE];
    int parts = list_part(spec->corpus, -1, name, sizeof name), rc = 0;
    struct calibration_facts sum = {0}, fact;
    struct rng rng;
    if (spec->samples > INT_MAX / spec->length)
        return err_set(ERR_USAGE,
                       "calibration: %d segments of %d tokens are more than %d tokens: take fewer "
                       "or shorter ones",
                       spec->samples, spec->length, INT_MAX);
    rng_seed(&rng, (uint64_t)spec->seed);
    for (int part = 0; part < parts; part++) {
        const struct corpus_request request = {.name = name,
                                               .split = spec->split,
                                               .use = USE_CALIBRATION,
                                               .length = spec->length,
                                               .samples = spec->samples / parts +
                                                          (part < spec->samples % parts),
                                               .seed = spec->seed};
        fact = (struct calibration_facts){0};
        list_part(spec->corpus, part, name, sizeof name);
        if (request.samples == 0)
            break;
        TRY(take_part(spec, &request, cache, &rng, stream, &fact));
        sum.changed |= fact.changed;
        sum.draw = part == 0 ? fact.draw : sum.draw;
    }
    if (facts)
        *facts = sum;
out:
    return rc;
}
