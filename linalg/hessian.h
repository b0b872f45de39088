/* The Hessian of a linear layer's squared output error, H = (2 / n) sum x x^T with n the number of sequences (not
 * tokens), accumulated as the references do, and its factorisations, shared by the layers that share an input. */
#ifndef LINALG_HESSIAN_H
#define LINALG_HESSIAN_H

#include <stdbool.h>

struct hessian {
    int size;          /* columns of W */
    int sequences;     /* n so far */
    float *matrix;     /* size x size, symmetric, both triangles filled by hessian_finish */
    struct hessian_factor *factors; /* cache, keyed by percdamp and permutation; owned */
};

int hessian_init(struct hessian *hessian, int size);
void hessian_release(struct hessian *hessian);

/* Adds rows of x (rows x size) that make up `sequences` sequences, in float32: H is rescaled by n / (n + sequences) and
 * sqrt(2 / (n + sequences)) x is added, one syrk a call. Tiles of H are computed in parallel, each by one thread. */
int hessian_add(struct hessian *hessian, const float *x, int rows, int sequences);

/* Mirrors the computed triangle. Call once after the last hessian_add. */
void hessian_finish(struct hessian *hessian);

#endif
