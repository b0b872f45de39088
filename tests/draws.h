/* Calibration draws and perplexity windows as single calls. */
#ifndef TESTS_DRAWS_H
#define TESTS_DRAWS_H

#include "harness/calibration.h"
#include "harness/evaluation.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline int draw(const struct tokenizer *with, int vocabulary,
                       const struct calibration_spec *spec, struct stream *stream,
                       struct calibration_facts *facts)
{
    struct corpus_cache cache = {.tokenizer = with, .vocabulary = vocabulary};
    int rc = calibration_draw(spec, &cache, stream, facts);
    corpus_cache_release(&cache);
    return rc;
}

static inline struct calibration_spec spec_of(const char *corpus, int samples, int length, int how)
{
    struct calibration_spec spec = {
        .samples = samples, .length = length, .split = SPLIT_VALIDATION, .draw = how};
    snprintf(spec.corpus, sizeof spec.corpus, "%s", corpus);
    return spec;
}

/* The draw is refused, with this text. */
static inline void assert_no_draw(const struct tokenizer *with, const char *corpus, int samples,
                                  int length, int how, const char *part)
{
    struct stream stream = {0};
    struct calibration_spec spec = spec_of(corpus, samples, length, how);
    assert_int_equal(draw(with, 1 << 24, &spec, &stream, NULL), ERR_USAGE);
    if (!strstr(err_text(), part))
        fail_msg("'%s' is not in: %s", part, err_text());
    stream_release(&stream);
}

static inline int prepare(const struct tokenizer *with, const struct perplexity_spec *spec,
                          struct perplexity_set *set, struct stream *stream)
{
    struct corpus_cache cache = {.tokenizer = with, .vocabulary = 1 << 24};
    *set = (struct perplexity_set){.spec = spec};
    int rc = perplexity_prepare(set, stream, &cache);
    corpus_cache_release(&cache);
    return rc;
}

/* How many windows a text gives; the error code, negative, when it is refused. */
static inline int windows_of(const struct tokenizer *with, const char *corpus, int tokens,
                             int window, int windows, long *bytes)
{
    struct perplexity_spec spec = {
        .tokens = tokens, .window = window, .windows = windows, .split = SPLIT_VALIDATION};
    struct perplexity_set set;
    struct stream stream = {0};
    snprintf(spec.corpus, sizeof spec.corpus, "%s", corpus);
    int rc = prepare(with, &spec, &set, &stream);
    assert_int_equal(stream.rows, rc ? 0 : set.windows * window);
    stream_release(&stream);
    if (bytes)
        *bytes = set.bytes;
    return rc ? -rc : set.windows;
}

#endif
