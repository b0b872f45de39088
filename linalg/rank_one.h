/* The best non-negative rank-one approximation of |W|: |W| = a b^T, a (rows) and b (columns) not
 * negative. The values of float32 matrices, computed in float64 on the pool. Not from within a pool
 * task. */
#ifndef LINALG_RANK_ONE_H
#define LINALG_RANK_ONE_H

#include "core/arena.h"
#include "core/rng.h"

/* From the largest singular value s and its vectors u, v: a = sqrt(s) |u|, b = sqrt(s) |v|. By
 * power iteration, since |W| has one singular value far above the others; where that does not
 * settle, by LAPACK's full decomposition. */
int rank_one_svd(const float *weight, int rows, int columns, struct arena *arena, float *a,
                 float *b);

/* By non-negative factorisation with one component: alternating least squares from a random start,
 * until the projected gradient has fallen to 1e-4 of its first value (scikit-learn's coordinate
 * descent does the same for one component). */
int rank_one_nmf(const float *weight, int rows, int columns, struct rng *rng, struct arena *arena,
                 float *a, float *b);

#endif
