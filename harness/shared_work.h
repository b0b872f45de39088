/* Work that points of a run have in common is done once. Two points that do the same with the
 * blocks 0 .. k - 1 have the same hidden states before block k, and the same Hessians in it: the
 * first of them keeps copies, as long as they fit into what its memory plan leaves, and later ones
 * go on from there. Copies are of what was computed, bit for bit, so no result depends on them. */
#ifndef HARNESS_SHARED_WORK_H
#define HARNESS_SHARED_WORK_H

#include "harness/pipeline.h"

enum shared_kind {
    SHARED_EVALUATION,  /* hidden states before a block: float[rows x width] */
    SHARED_CALIBRATION, /* the same of the calibration */
    SHARED_HESSIANS,    /* of a block's inputs: struct hessian[MODEL_MAX_INPUTS] */
    SHARED_LAYERS,      /* what is recorded of the blocks before: the pipeline's own */
    SHARED_KINDS
};

struct shared_item {
    enum shared_kind kind;
    int owner, block; /* set by shared_keep */
    size_t bytes;
    struct timing_record times[STAGE_COUNT]; /* what it took when it was computed */
    void *data;
    void (*release)(void *data);
};

struct shared_work; /* opaque */

/* calibrations[i] is the stream of point i, or NULL; equal pointers are equal streams. All is
 * borrowed until shared_close. */
int shared_open(struct shared_work **out, const struct model *model, const struct point *points,
                const struct stream *const *calibrations, int count);
void shared_close(struct shared_work *work); /* NULL is legal */

/* order = the numbers of all points, so that those with much in common follow each other; else as
 * they are listed. group[i] tells which places of the order hang together: neighbours with the same
 * number have at least a block in common. */
void shared_order(const struct shared_work *work, int *order, int *group);

/* Nobody needs what only this point would have taken. */
void shared_skip(struct shared_work *work, int point);

/* ---- for the pipeline; all functions may be called with NULL: there is nothing to share ---- */

/* What follows is for this point, which is not needed by others' accounts any more. */
void shared_begin(struct shared_work *work, int point);

/* Bytes that are kept now. */
size_t shared_bytes(const struct shared_work *work);
/* No more than this is kept from now on. */
void shared_limit(struct shared_work *work, double bytes);

/* The item of the kind that stands for this point before `block`, borrowed until shared_keep or
 * shared_begin; or NULL. */
const struct shared_item *shared_find(const struct shared_work *work, enum shared_kind kind,
                                      int block);

/* True when a later point could use such an item of this point, and there is room for it. */
bool shared_wanted(const struct shared_work *work, enum shared_kind kind, int block, size_t bytes);
/* Takes the data over, whatever it returns. */
int shared_keep(struct shared_work *work, const struct shared_item *item, int block);

#endif
