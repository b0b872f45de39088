/* How far the activations of a quantized model have drifted from the full model's: the calibration
 * stream goes through the full model beside the quantized one, block by block, and behind each the
 * hidden states are compared. The full model's are the same for all points of a run with the same
 * calibration: where memory allows it they are computed for the first and kept. No result depends
 * on any of it. */
#ifndef HARNESS_DRIFT_H
#define HARNESS_DRIFT_H

#include "harness/store.h"
#include "harness/stream.h"

/* The full model's states behind its first blocks, for each calibration of a run. Zero-initialise.
 */
struct drift_kept {
    struct drift_states {
        const int32_t *tokens; /* of the stream, which it is known by: borrowed */
        float **behind;        /* of the first `blocks` blocks: rows x width */
        struct drift_time {
            double wall, cpu; /* what the way through the block took */
        } * times;
        int blocks, most;
    } * streams;
    int count;
};
void drift_kept_release(struct drift_kept *kept);

struct drift {
    bool on;
    struct states full;          /* as large as the calibration's; where nothing is kept */
    struct drift_states *states; /* of kept, or NULL */
};

/* Bytes that the first point with this stream will keep, of the room that there is: half of it at
 * most; else 0. `end`: the number of blocks that will be measured, counted from the first. */
double drift_keeps(const struct drift_kept *kept, const struct model *model,
                   const struct stream *stream, int end, double room);

/* Before block number `begin`. keep: whether states are kept for later points. kept may be NULL; it
 * is borrowed until drift_stop. folder: where the states are spilled to, or NULL. drift_stop of a
 * zeroed struct is legal. */
int drift_start(struct drift *drift, struct drift_kept *kept, const struct model *model,
                const struct stream *stream, int begin, int end, bool keep, const char *folder);
void drift_stop(struct drift *drift);

/* Whether the states behind the first `begin` blocks are kept: then a point can begin there. */
bool drift_can_begin(const struct drift_kept *kept, const struct stream *stream, int begin);

/* Through a block whose layers are as they were loaded. *saved = what that would have taken, where
 * it was kept; else 0. */
int drift_advance(struct drift *drift, const struct model *model, const struct block *block,
                  int number, const struct stream *stream, struct drift_time *saved);

/* *record = how far the quantized states are behind block number `number`. drift: |quantized -
 * full| over |full|, Frobenius norms over all tokens, so that the largest activations weigh most;
 * cosine: the mean over the tokens of the cosine between their two vectors, so that all tokens
 * weigh the same (1 between two zeros). NaN for states that are not finite or all 0. Not from
 * within a pool task. */
int drift_measure(struct drift *drift, struct states *quantized, int number,
                  struct block_record *record);

#endif
