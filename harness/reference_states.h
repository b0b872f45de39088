/* The last hidden states of the full model on the texts that perplexity is measured on: from them
 * and the head come its distributions, which quantized points are compared with. Made once a run,
 * by the point of full precision on its way or by a pass of their own, in memory or spilled. */
#ifndef HARNESS_REFERENCE_STATES_H
#define HARNESS_REFERENCE_STATES_H

#include "harness/evaluation.h"
#include "harness/memory_plan.h"

struct reference_states {
    const struct model *model;        /* borrowed; NULL: nothing is compared */
    struct stream texts;              /* the evaluation's first sequences, borrowed */
    int rows;                         /* of texts, with a target */
    struct memory_stream calibration; /* the longest: where the states may stay depends on it */
    bool placed, ready;
    struct states x; /* one a row */
};

/* Nothing is computed yet. Without a text nothing will be. calibration: of the point that needs the
 * most memory. */
void reference_states_begin(struct reference_states *reference, const struct model *model,
                            const struct evaluation *evaluation, struct memory_stream calibration);
void reference_states_release(struct reference_states *reference);

/* What is still to be placed, for memory_plan_make; rows 0 when it is placed, all zeros when there
 * is nothing to compare with. reference may be NULL. */
struct memory_stream reference_states_needs(const struct reference_states *reference);

/* Finds a place for the states: memory if a point that quantizes has everything else there as well.
 * needs: of the point that is about to make them; needs->held grows by what they will take. */
int reference_states_place(struct reference_states *reference, struct memory_needs *needs);

/* Takes them over from the last hidden states x of a stream that begins with the texts. */
int reference_states_take(struct reference_states *reference, const struct stream *stream,
                          struct states *x);

/* Makes them, if they are not ready, by a pass of the texts through the full model: as long as
 * evaluating a point. The bytes are the same whichever way they were made. */
int reference_states_make(struct reference_states *reference);

#endif
