/* Calibration data exactly as the papers draw it: n segments of T tokens at
 * random places of a text. */
#ifndef HARNESS_CALIBRATION_H
#define HARNESS_CALIBRATION_H

#include "harness/corpus_tokens.h"
#include "harness/spec.h"
#include "harness/stream.h"

/* Fills an empty stream with spec->samples segments of spec->length tokens. The
 * start of each is uniform in 0 .. n - T - 1, drawn in order from one generator
 * seeded with spec->seed. "a+b" splits the samples evenly between the corpora,
 * the first ones taking the rest. changed (may be NULL): 1 when a corpus's text
 * is not the published one. */
int calibration_draw(const struct calibration_spec *spec, struct corpus_cache *cache,
                     struct stream *stream, int *changed);

#endif
