/* How far a quantized layer is from the original, in float64 sums. */
#ifndef HARNESS_LAYER_LOSS_H
#define HARNESS_LAYER_LOSS_H

#include "core/arena.h"
#include "linalg/hessian.h"

struct layer_loss {
    double hessian_loss;  /* tr(D H D^T), D = W - W_q; NaN without H */
    double relative_loss; /* the same over tr(W H W^T); NaN without H or for a
                           zero W */
    double weight_mse;    /* mean D^2 */
};

/* W and W_q are rows x columns; hessian may be NULL. */
int layer_loss(const float *weight, const float *quantized, int rows, int columns,
               const struct hessian *hessian, struct arena *arena, struct layer_loss *loss);

#endif
