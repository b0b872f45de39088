/* How much of what a point is measured on its calibration text holds: the share of the 13-grams of
 * tokens of the evaluation that occur in a calibration segment. By content, so that it shows
 * whatever the files are called. */
#ifndef HARNESS_CALIBRATION_OVERLAP_H
#define HARNESS_CALIBRATION_OVERLAP_H

#include "harness/stream.h"

enum { OVERLAP_TOKENS = 13 };
extern const double overlap_limit; /* above this share a point is refused */

/* The different 13-grams of a stream's sequences: none crosses from one to the next. */
struct overlap_index {
    const struct stream *stream; /* borrowed */
    uint32_t *slots;             /* 1 + the row at which a 13-gram begins; 0: free */
    size_t mask;                 /* slots are a power of two, this + 1 */
};

int overlap_index_make(struct overlap_index *index, const struct stream *calibration);
void overlap_index_release(struct overlap_index *index);

/* *share = of the 13-grams of `count` sequences of the stream, from number `first` on, those that
 * the index holds, compared token by token; NaN when the sequences have none. A question's choices
 * are read behind its context; what they share is counted once. */
int overlap_share(const struct overlap_index *index, const struct stream *stream, int first,
                  int count, double *share);

#endif
