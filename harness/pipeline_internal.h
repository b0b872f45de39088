/* Between the pipeline's own files. */
#ifndef HARNESS_PIPELINE_INTERNAL_H
#define HARNESS_PIPELINE_INTERNAL_H

#include "core/arena.h"
#include "harness/operator.h"
#include "harness/pipeline.h"
#include "harness/readahead.h"
#include "harness/shared_work.h"
#include "harness/states.h"

/* Everything that lives while a point is computed. */
struct pipeline {
    const struct pipeline_input *input;
    struct pipeline_output out;
    struct arena arena;
    struct block block;
    struct hessian hessians[MODEL_MAX_INPUTS];
    bool have_hessians;
    struct layer_operator *ops; /* of the point's method, and of each rule's */
    struct states calibration_x, evaluation_x;
    struct drift drift;
    bool drifts; /* it is measured */
    struct readahead ahead;
    double held;        /* bytes in memory before the first block */
    int last_quantized; /* the last block with a layer to quantize; -1: none */
    double wall, cpu;   /* when the present stage began */
    double packed_bytes, replaced_bytes;
    /* harness/pipeline_shared.c */
    int begin, evaluation_begin;  /* the first blocks to work on: before them all is taken over */
    bool borrowed_hessians;       /* their matrices belong to input->shared */
    struct timing_record advance; /* of the calibration's way through the blocks, without taps */
};

/* ---- pipeline_layer.c ---- */

/* What happens between the two counts for the stage. */
void pipeline_stage_begin(struct pipeline *p);
void pipeline_stage_end(struct pipeline *p, enum stage stage, double tokens);
/* Quantizes one linear layer in place and appends its record. */
int pipeline_quantize_linear(struct pipeline *p, int block, struct linear *linear,
                             const struct layer_choice *choice);
/* What was recorded of blocks, with room for those of all `blocks`; no scores. */
int pipeline_output_copy(const struct pipeline_output *from, int blocks,
                         struct pipeline_output *to);

/* ---- pipeline.c ---- */

/* A method that reads no Hessian is calibrated for its layer errors alone. */
enum stage pipeline_calibration_stage(const struct pipeline *p);

/* Whether the point quantizes a layer of the block. p->block is some block of the model. */
bool pipeline_quantizes(const struct pipeline *p, int block);

/* ---- pipeline_shared.c: what other points of the run computed already, and will need ---- */

/* Finds where the work begins, and copies what was recorded of the blocks before. */
int pipeline_take_over(struct pipeline *p);
/* x = the states before the block that the work begins with: taken over, or embedded. */
int pipeline_first_states(struct pipeline *p, enum shared_kind kind, const struct stream *stream,
                          int block, struct states *x);
/* What stands before this block is kept for those that need it. */
int pipeline_hand_on(struct pipeline *p, int block);
/* *found = the Hessians of the block's inputs are there, borrowed. */
void pipeline_take_hessians(struct pipeline *p, int block, bool *found);
/* They have just been computed, and took so long. */
int pipeline_keep_hessians(struct pipeline *p, int block, const struct timing_record *took);
void pipeline_release_hessian(struct pipeline *p, int input);

#endif
