/* Quantizing column by column with error feedback (GPTQ, arXiv:2210.17323, algorithm 1; OBQ's
 * update with the rows' common order): after column i is quantized, err = (w_i - q_i) / U_ii, and
 * each later column j of the row gets w_j -= err U_ij, at once within a block of columns, and in
 * one product per block for the columns behind it. */
#ifndef METHODS_FEEDBACK_H
#define METHODS_FEEDBACK_H

#include "core/arena.h"

#include <stdbool.h>
#include <stdint.h>

enum { FEEDBACK_LANES = 32 };

/* Quantizes one column for the rows row .. row + count - 1 (count <= FEEDBACK_LANES): q[l] for
 * w[l]; lanes from count on hold zeros and may be written. column counts in the order of
 * processing. `later`, valid only when the column starts a block or a group, is the row tile's
 * weights from this column on, row l at later + l * stride, as they were when the block began: what
 * the references fit a group's scales to. */
struct feedback_column {
    int worker, row, count, column;
    const float *w, *later;
    long stride;
    float *q;
    uint8_t *codes;       /* the codes of w, which feedback stores */
    const uint8_t *marks; /* of the column's weights; valid when there are any */
};
typedef void feedback_quantize(void *context, const struct feedback_column *column);

struct feedback {
    int rows, columns, block;
    const float *weight;  /* rows x columns */
    float *quantized;     /* rows x columns */
    uint8_t *codes;       /* rows x columns: what the columns' codes are, in W's order */
    const uint8_t *marks; /* rows x columns, in W's order, or NULL: a mask that quantize wants to
                             see; not with order */
    const float *upper;   /* columns x columns: U with H^-1 = U^T U; NULL: no feedback */
    const int *order;     /* processing order of the columns, or NULL */
    const uint8_t *kept;  /* rows x columns, in W's order: 0 where the weight becomes 0 whatever
                             quantize says, its error included; or NULL */
    const bool *dead;     /* columns whose weights are taken as 0, in W's order; or NULL */
    bool dynamic; /* quantize looks at `later`: then all columns must be up to date with every block
                   */
    feedback_quantize *quantize;
    void *context;
    struct arena *arena; /* scratch */
    double loss;         /* out: half the sum of err^2, what the references print */
};

/* The columns of a block, of an option in which -1 is the whole row. */
static inline int feedback_block(int size, int columns)
{
    return size < 0 || size > columns ? columns : size;
}

/* Row tiles run in parallel; a row's result does not depend on the others. Not from within a pool
 * task. */
int feedback_run(struct feedback *feedback);

#endif
