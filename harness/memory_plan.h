/* What a point will hold in memory at its peak, and what of it goes to a file so that the limit is
 * kept. One block is in memory at a time; where the hidden states of a stream lie does not change
 * any result. */
#ifndef HARNESS_MEMORY_PLAN_H
#define HARNESS_MEMORY_PLAN_H

#include "harness/layer_plan.h"
#include "harness/stream.h"

enum memory_part {
    MEMORY_HELD,        /* the program as it is: weights outside the blocks, texts, tokens */
    MEMORY_BLOCK,       /* a block in float32 */
    MEMORY_PASS,        /* the forward pass of a chunk of rows, and scoring */
    MEMORY_HESSIANS,    /* of all inputs of a block */
    MEMORY_METHOD,      /* quantizing one linear layer: factorization, scratch, packed arrays */
    MEMORY_CALIBRATION, /* hidden states, or the chunk in hand of spilled ones */
    MEMORY_EVALUATION,
    MEMORY_REFERENCE, /* the full model's last hidden states: harness/reference_states.h */
    MEMORY_PARTS
};

struct memory_plan {
    double bytes[MEMORY_PARTS];
    double peak; /* of bytes: not all parts are there at once */
    double calibration_file, evaluation_file, reference_file; /* bytes spilled; 0: in memory */
    double limit;
    const char *folder; /* of what is spilled; borrowed, NULL when nothing is */
};

/* Rows of a stream, and of its largest chunk (see stream_largest_chunk). */
struct memory_stream {
    double rows, chunk;
};
struct memory_stream memory_stream_of(const struct stream *stream); /* NULL: none */

/* What the plan is made of: shapes alone. */
struct memory_needs {
    const struct model_config *config;
    const struct block *block; /* any block of the model; its weights are not looked at */
    double held;               /* bytes that are in memory already: machine_held() */
    struct memory_stream calibration, evaluation;
    struct memory_stream reference; /* states that are still to be placed; the chunk is there also
                                       when they are placed, for the scoring */
    bool quantizes, factorizes;     /* a method works, and reads the inverse Hessian */
    bool drifts; /* the full model's calibration states are there beside the quantized one's */
};
/* held, block and reference are left to the caller. */
void memory_needs_of(const struct model *model, const struct point *point,
                     const struct stream *calibration, const struct stream *evaluation,
                     struct memory_needs *needs);

/* Puts the streams' states where they fit: all in memory if possible, else the reference's, which
 * are read once a point, then the evaluation's, the calibration's, or all in files. ERR_MEMORY,
 * with how much is needed, when the limit is too small for what has to be in memory; ERR_IO when
 * the folder has no room. */
int memory_plan_make(const struct memory_needs *needs, struct memory_plan *plan);

/* A table of the parts for --dry-run, to stdout. */
void memory_plan_print(const struct memory_plan *plan);

#endif
