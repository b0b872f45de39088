/* Segments as the papers' scripts draw them from C4: each comes out of a single document. */
#ifndef HARNESS_ROW_DRAW_H
#define HARNESS_ROW_DRAW_H

#include "datasets/dataset.h"
#include "model/tokenizer.h"

/* *ids (samples x length, owned by the caller): Python's random.seed(seed); for each segment
 * random.randint(0, documents - 1) until that document has more than `length` tokens (by itself,
 * with its beginning-of-text token where the tokenizer puts one), then random.randint(0, tokens -
 * length - 1) for the place in it. The split is read as a stream, twice or more. `changed` as in
 * corpus_text. ERR_USAGE when no document is long enough. */
int row_draw(const struct corpus *corpus, enum split split, const struct tokenizer *tokenizer,
             int samples, int length, int seed, int32_t **ids, int *changed);

#endif
