/* Calibration data as the papers draw it: n segments of T tokens at random places of a text. */
#ifndef HARNESS_CALIBRATION_H
#define HARNESS_CALIBRATION_H

#include "harness/corpus_tokens.h"
#include "harness/spec.h"
#include "harness/stream.h"

/* What there is to say of a draw. */
struct calibration_facts {
    int changed; /* a corpus's text is not the published one */
    int draw;    /* enum calibration_draw: who drew from the first corpus */
};

/* Fills an empty stream with spec->samples segments of spec->length tokens. The start of each is
 * uniform in 0 .. n - length - 1 of a text of n tokens, drawn in order from one generator seeded
 * with spec->seed: bitbench's, which goes on from one corpus to the next, or Python's, which every
 * corpus starts anew (random.seed(seed), random.randint(0, n - length - 1)). C4 is drawn as
 * harness/row_draw.h says. "a+b" splits the samples evenly between the corpora, the first ones
 * taking the rest. facts may be NULL. */
int calibration_draw(const struct calibration_spec *spec, struct corpus_cache *cache,
                     struct stream *stream, struct calibration_facts *facts);

/* "own", "python", "given" */
extern const char *const calibration_draw_names[];

#endif
