/* Layers whose weights lie on a grid of few values: a small code for each weight, and a scale (and
 * a zero point) for each row and group of columns. RTN, GPTQ and BitNet store this; here are its
 * details, packed form and product. */
#ifndef METHODS_GRID_H
#define METHODS_GRID_H

#include "methods/method.h"

#include <stdbool.h>

enum grid_kind {
    GRID_UNIFORM,   /* s (q - z), z a code */
    GRID_SYMMETRIC, /* s (q - 2^(bits - 1)): no zero point is stored */
    GRID_TRITS,     /* 0: zero, 1: 0, 2: scale */
    GRID_SIGN,      /* -s, s */
    GRID_TERNARY    /* s (q - 1) */
};

struct grid {
    enum grid_kind kind;
    int rows, columns;
    int bits;       /* of a code; not used by GRID_TRITS and GRID_TERNARY */
    int group;      /* columns that share a scale; columns: the whole row */
    bool one_scale; /* a single scale for the whole matrix */
    bool half;      /* scales are stored in float16 */
    bool ordered;   /* groups are runs of perm's columns, and codes are stored in that order */
};

/* Groups in a row. */
int grid_groups(const struct grid *grid);

/* Adds "codes" (U8, rows x columns, in W's own order), "scale", "zero" (F32, rows x groups) and,
 * when ordered, "perm" to details and gives their data. */
struct grid_arrays {
    uint8_t *codes;
    float *scale, *zero; /* zero: NULL where the kind has none */
    int *perm;           /* NULL unless ordered */
};
int grid_add_details(const struct grid *grid, struct packed *details, struct grid_arrays *arrays);

/* The value of one code. */
float grid_value(const struct grid *grid, int code, float scale, float zero);

/* Bits per weight as the papers count them: the codes, and for groups a scale of 16 bits and a zero
 * point each (GPTQ, section 4: groups of 128 cost 0.15 bits more at 3 bits). */
double grid_paper_bits(const struct grid *grid);

/* details -> packed; packed -> weight, the same floats that the codes stand for; y (rows) = W_q x.
 */
int grid_pack(const struct grid *grid, const struct packed *details, struct packed *packed);
int grid_unpack(const struct grid *grid, const struct packed *packed, float *weight);
int grid_matvec(const struct grid *grid, const struct packed *packed, const float *x, float *y);

/* NAME_pack, NAME_unpack and NAME_matvec of a method that stores the grid which NAME_grid(options,
 * rows, columns) describes. */
#define GRID_METHOD(NAME)                                                                          \
    static int NAME##_pack(const void *options, const struct layer_problem *problem,               \
                           const struct layer_result *result, struct packed *packed)               \
    {                                                                                              \
        struct grid grid = NAME##_grid(options, problem->rows, problem->columns);                  \
        return grid_pack(&grid, &result->details, packed);                                         \
    }                                                                                              \
    static int NAME##_unpack(const void *options, const struct packed *packed, int rows,           \
                             int columns, float *weight)                                           \
    {                                                                                              \
        struct grid grid = NAME##_grid(options, rows, columns);                                    \
        return grid_unpack(&grid, packed, weight);                                                 \
    }                                                                                              \
    static int NAME##_matvec(const void *options, const struct packed *packed, int rows,           \
                             int columns, const float *x, float *y)                                \
    {                                                                                              \
        struct grid grid = NAME##_grid(options, rows, columns);                                    \
        return grid_matvec(&grid, packed, x, y);                                                   \
    }

#endif
