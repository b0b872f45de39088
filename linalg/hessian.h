/* The Hessian of a linear layer's squared output error, H = (2 / n) sum x x^T with n the number of
 * sequences (not tokens), accumulated as the references do, and its factorisations, shared by the
 * layers that share an input. */
#ifndef LINALG_HESSIAN_H
#define LINALG_HESSIAN_H

#include <stdbool.h>

/* The factor that error feedback needs: with dead inputs' diagonal set to 1 and damping added to
 * the diagonal, H^-1 = U^T U, U upper triangular (size x size). */
struct hessian_factor {
    double percdamp; /* as asked for */
    bool ordered;    /* columns sorted by descending diagonal (GPTQ's act-order) */
    int *order;      /* with ordered: column order[i] of W is row and column i of U; else NULL */
    float *upper;
    float *diagonal;  /* of the damped Hessian, in its own order */
    double condition; /* of the damped Hessian: hessian_condition; 0 until it is asked */
    double damping;   /* the share of the diagonal's mean that was added in the end */
    int raised;       /* how often it was raised because H was not positive definite */
    struct hessian_factor *next;
};

struct hessian {
    int size;      /* columns of W */
    int sequences; /* n so far */
    float *matrix; /* size x size, symmetric, both triangles filled by hessian_finish */
    struct hessian_factor *factors; /* cache, keyed by percdamp and order; owned */
};

int hessian_init(struct hessian *hessian, int size);
void hessian_release(struct hessian *hessian);

/* Adds rows of x (rows x size) that make up `sequences` sequences, in float32: H is rescaled by n /
 * (n + sequences) and 2 / (n + sequences) x^T x is added. Tiles of H are computed in parallel, each
 * by one thread; only the upper triangle is kept up to date until hessian_finish. Not from within a
 * pool task. */
int hessian_add(struct hessian *hessian, const float *x, int rows, int sequences);

/* Mirrors the computed triangle. Call once after the last hessian_add. */
void hessian_finish(struct hessian *hessian);

/* *out = the factor for this damping and order, computed once and kept (borrowed). Damping adds
 * percdamp times the mean of the diagonal, as the references do; when H is not positive definite,
 * percdamp is raised to the next of 1e-4, 1e-3, ..., 1e3 that is larger, until it is. ERR_NUMERIC
 * when H has a value that is not finite or nothing helps. */
int hessian_factorize(struct hessian *hessian, double percdamp, bool ordered,
                      const struct hessian_factor **out);

/* *condition = the largest over the smallest eigenvalue of the damped Hessian that the factor, one
 * of hessian's, is of; estimated from below by Lanczos steps on H and on U^T U = H^-1: see
 * linalg/condition.c. NaN where float32 overflows. Computed once and kept. Not from within a pool
 * task. */
int hessian_condition(struct hessian *hessian, const struct hessian_factor *factor,
                      double *condition);

#endif
