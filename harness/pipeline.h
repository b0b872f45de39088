/* One point on one model: calibrate, quantize and evaluate, block after block,
 * with one block in memory. */
#ifndef HARNESS_PIPELINE_H
#define HARNESS_PIPELINE_H

#include "harness/drift.h"
#include "harness/layer_plan.h"
#include "harness/reference_states.h"
#include "harness/store.h"
#include "harness/stream.h"

enum stage {
    STAGE_LOAD,
    STAGE_CALIBRATE,
    STAGE_QUANTIZE,
    STAGE_DIAGNOSE,
    STAGE_EVALUATE,
    STAGE_COUNT
};

/* Sees each quantized layer once, in the order of the model. packed may be taken over: the receiver
 * then zeroes the struct. */
struct layer_sink {
    int (*take)(void *context, const char *name, const struct layer_choice *choice,
                const struct layer_problem *problem, const struct layer_result *result,
                struct packed *packed);
    void *context;
};

struct shared_work; /* harness/shared_work.h */

struct pipeline_input {
    const struct model *model;
    const struct point *point;
    const struct stream *calibration; /* NULL: no Hessians; then methods that need one fail */
    const struct stream *evaluation;  /* NULL: nothing is evaluated */
    const struct layer_sink *sink;    /* NULL: the packed layers are only counted */
    /* Full precision: filled on the way, when it is not ready. Else, when it is, compared with.
     * Both may be NULL. */
    struct reference_states *keep, *reference;
    /* Work of the run's other points, after shared_begin for this one; NULL: alone. Not together
     * with a sink, which would not see the layers that are taken over. */
    struct shared_work *shared;
    struct drift_kept *drift_kept; /* of the run; NULL: this point is alone */
};

struct pipeline_output {
    struct layer_record *layers; /* owned, names borrowed from the architecture */
    int layer_count;
    struct exception_record *exceptions; /* owned, names borrowed as well */
    int exception_count;
    struct block_record *blocks; /* owned: the drift behind each block, where it is measured */
    int block_count;
    struct token_score *scores;                /* owned: one a row of the evaluation stream */
    struct token_divergence *divergences;      /* owned: the same, or NULL: not compared */
    struct timing_record timings[STAGE_COUNT]; /* with what the work taken over took */
    double saved, saved_cpu;                   /* seconds of it that were not spent anew */
    long weights;                              /* quantized weights */
    double paper_bits, paper_bits_marks, stored_bits; /* per quantized weight; 0 without any */
    double file_bytes, full_bits;
    /* What file_bytes holds beside the quantized layers: linear layers left as they are, embeddings
     * and head, norms and other vectors. */
    double bytes_left, bytes_outer, bytes_vectors;
    double weights_left; /* of the linear layers left as they are */
    int damping_raised;  /* layers whose damping had to be raised */
    int left;            /* layers that the method could not do */
};

/* On failure output is untouched. Interrupted: ERR_INTERRUPTED. */
int pipeline_run(const struct pipeline_input *input, struct pipeline_output *output);
void pipeline_output_release(struct pipeline_output *output);

#endif
