#include "methods/grid.h"

#include "core/err.h"
#include "core/mem.h"
#include "linalg/bitpack.h"
#include "linalg/packed_gemv.h"
#include "model/dtype.h"

#include <math.h>

static bool has_zero(const struct grid *g)
{
    return g->kind == GRID_UNIFORM || g->kind == GRID_TRITS || g->kind == GRID_SYMMETRIC;
}

static int code_bits(const struct grid *g)
{
    return g->kind == GRID_TRITS || g->kind == GRID_TERNARY ? BITPACK_TERNARY
           : g->kind == GRID_SIGN                           ? 1
                                                            : g->bits;
}

int grid_groups(const struct grid *g)
{
    return g->one_scale ? 1 : (g->columns + g->group - 1) / g->group;
}

static size_t scale_rows(const struct grid *g)
{
    return g->one_scale ? 1 : (size_t)g->rows;
}

int grid_add_details(const struct grid *g, struct packed *details, struct grid_arrays *arrays)
{
    size_t rows = (size_t)g->rows, columns = (size_t)g->columns, groups = (size_t)grid_groups(g);
    int rc = 0;
    *arrays = (struct grid_arrays){0};
    TRY(packed_add(details, "codes", ARRAY_U8, BITS_PAYLOAD, rows, columns, &arrays->codes));
    TRY(packed_add(details, "scale", ARRAY_F32, BITS_SCALES, scale_rows(g), groups,
                   &arrays->scale));
    if (has_zero(g))
        TRY(packed_add(details, "zero", ARRAY_F32, BITS_ZEROS, scale_rows(g), groups,
                       &arrays->zero));
    if (g->ordered)
        TRY(packed_add(details, "perm", ARRAY_I32, BITS_INDICES, columns, 1, &arrays->perm));
out:
    return rc;
}

float grid_value(const struct grid *g, int code, float scale, float zero)
{
    switch (g->kind) {
    case GRID_UNIFORM:
    case GRID_SYMMETRIC: return scale * ((float)code - zero);
    case GRID_TRITS: return code == 2 ? scale : code == 0 ? zero : 0;
    case GRID_SIGN: return code ? scale : -scale;
    case GRID_TERNARY: return scale * (float)(code - 1);
    }
    return 0;
}

double grid_paper_bits(const struct grid *g)
{
    double code = g->kind == GRID_TRITS || g->kind == GRID_TERNARY ? log2(3)
                  : g->kind == GRID_SIGN                           ? 1
                                                                   : g->bits;
    double zero = g->kind == GRID_UNIFORM ? code : g->kind == GRID_TRITS ? 16 : 0;
    return code + (g->one_scale || g->group >= g->columns ? 0 : (16 + zero) / g->group);
}

/* ---- pack ---- */

static int pack_floats(const struct grid *g, const struct packed *details, const char *name,
                       enum bit_category category, struct packed *packed)
{
    size_t rows = scale_rows(g), groups = (size_t)grid_groups(g);
    const float *from;
    void *to;
    int rc = packed_get(details, name, ARRAY_F32, rows, groups, &from);
    if (rc == 0)
        rc = packed_add(packed, name, g->half ? ARRAY_F16 : ARRAY_F32, category, rows, groups, &to);
    for (size_t i = 0; rc == 0 && i < rows * groups; i++) {
        if (g->half)
            ((uint16_t *)to)[i] = float_to_half(from[i]);
        else
            ((float *)to)[i] = from[i];
    }
    return rc;
}

static int pack_zeros(const struct grid *g, const struct packed *details, struct packed *packed)
{
    if (g->kind == GRID_TRITS)
        return pack_floats(g, details, "zero", BITS_ZEROS, packed);
    size_t rows = scale_rows(g), groups = (size_t)grid_groups(g);
    const float *from;
    uint8_t *codes = NULL, *to;
    int rc = 0;
    TRY(packed_get(details, "zero", ARRAY_F32, rows, groups, &from));
    TRY(mem_alloc(&codes, rows * groups, 1));
    TRY(packed_add(packed, "zero", ARRAY_U8, BITS_ZEROS, bitpack_row_bytes(g->bits, rows * groups),
                   1, &to));
    for (size_t i = 0; i < rows * groups; i++)
        codes[i] = (uint8_t)(int)from[i];
    bitpack_row(g->bits, codes, rows * groups, to);
out:
    mem_free(codes);
    return rc;
}

static int pack_order(const struct grid *g, const int *perm, struct packed *packed)
{
    void *to;
    bool wide = g->columns > 65536;
    int rc = packed_add(packed, "perm", wide ? ARRAY_I32 : ARRAY_U16, BITS_INDICES,
                        (size_t)g->columns, 1, &to);
    for (int i = 0; rc == 0 && i < g->columns; i++) {
        if (wide)
            ((int32_t *)to)[i] = perm[i];
        else
            ((uint16_t *)to)[i] = (uint16_t)perm[i];
    }
    return rc;
}

int grid_pack(const struct grid *g, const struct packed *details, struct packed *packed)
{
    size_t rows = (size_t)g->rows, columns = (size_t)g->columns,
           row_bytes = bitpack_row_bytes(code_bits(g), columns);
    const uint8_t *codes;
    const int *perm = NULL;
    uint8_t *sorted = NULL, *to;
    int rc = 0;
    TRY(packed_get(details, "codes", ARRAY_U8, rows, columns, &codes));
    TRY(packed_add(packed, "codes", ARRAY_U8, BITS_PAYLOAD, rows, row_bytes, &to));
    TRY(pack_floats(g, details, "scale", BITS_SCALES, packed));
    if (has_zero(g) && g->kind != GRID_SYMMETRIC)
        TRY(pack_zeros(g, details, packed));
    if (g->ordered) {
        TRY(packed_get(details, "perm", ARRAY_I32, columns, 1, &perm));
        TRY(mem_alloc(&sorted, columns, 1));
        TRY(pack_order(g, perm, packed));
    }
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *row = codes + r * columns;
        for (size_t i = 0; perm && i < columns; i++)
            sorted[i] = row[perm[i]];
        bitpack_row(code_bits(g), perm ? sorted : row, columns, to + r * row_bytes);
    }
out:
    mem_free(sorted);
    return rc;
}

/* ---- unpack ---- */

/* What the packed form holds, ready to read: floats for scales and zeros, checked indices. */
struct opened {
    const uint8_t *codes;
    size_t row_bytes;
    float *scale, *zero; /* scale rows x groups */
    int *perm;           /* or NULL */
};

static void close_packed(struct opened *o)
{
    mem_free(o->scale);
    mem_free(o->zero);
    mem_free(o->perm);
}

static int open_floats(const struct grid *g, const struct packed *packed, const char *name,
                       float *to)
{
    size_t rows = scale_rows(g), groups = (size_t)grid_groups(g);
    const void *from;
    int rc = packed_get(packed, name, g->half ? ARRAY_F16 : ARRAY_F32, rows, groups, &from);
    if (rc == 0)
        rc = dtype_to_float(g->half ? DTYPE_F16 : DTYPE_F32, from, rows * groups, to);
    return rc;
}

static int open_zeros(const struct grid *g, const struct packed *packed, float *to)
{
    size_t count = scale_rows(g) * (size_t)grid_groups(g);
    const uint8_t *from;
    uint8_t *codes = NULL;
    int rc = 0;
    if (g->kind == GRID_TRITS)
        return open_floats(g, packed, "zero", to);
    if (g->kind != GRID_UNIFORM) {
        for (size_t i = 0; i < count; i++)
            to[i] = g->kind == GRID_SYMMETRIC ? (float)(1 << (g->bits - 1)) : 0;
        return 0;
    }
    TRY(packed_get(packed, "zero", ARRAY_U8, bitpack_row_bytes(g->bits, count), 1, &from));
    TRY(mem_alloc(&codes, count, 1));
    bitunpack_row(g->bits, from, count, codes);
    for (size_t i = 0; i < count; i++)
        to[i] = (float)codes[i];
out:
    mem_free(codes);
    return rc;
}

static int open_order(const struct grid *g, const struct packed *packed, int *to)
{
    const void *from;
    bool wide = g->columns > 65536;
    int rc = packed_get(packed, "perm", wide ? ARRAY_I32 : ARRAY_U16, (size_t)g->columns, 1, &from);
    for (int i = 0; rc == 0 && i < g->columns; i++) {
        to[i] = wide ? ((const int32_t *)from)[i] : ((const uint16_t *)from)[i];
        if (to[i] < 0 || to[i] >= g->columns)
            rc = err_set(ERR_FORMAT, "packed array 'perm': entry %d is %d, outside 0..%d", i, to[i],
                         g->columns - 1);
    }
    return rc;
}

static int open_packed(const struct grid *g, const struct packed *packed, struct opened *o)
{
    size_t count = scale_rows(g) * (size_t)grid_groups(g);
    int rc = 0;
    o->row_bytes = bitpack_row_bytes(code_bits(g), (size_t)g->columns);
    TRY(packed_get(packed, "codes", ARRAY_U8, (size_t)g->rows, o->row_bytes, &o->codes));
    TRY(mem_alloc(&o->scale, count, sizeof *o->scale));
    TRY(mem_alloc(&o->zero, count, sizeof *o->zero));
    TRY(open_floats(g, packed, "scale", o->scale));
    TRY(open_zeros(g, packed, o->zero));
    if (g->ordered) {
        TRY(mem_alloc(&o->perm, (size_t)g->columns, sizeof *o->perm));
        TRY(open_order(g, packed, o->perm));
    }
out:
    return rc;
}

int grid_unpack(const struct grid *g, const struct packed *packed, float *weight)
{
    struct opened o = {0};
    uint8_t *codes = NULL;
    int rc = 0, groups = grid_groups(g);
    TRY(open_packed(g, packed, &o));
    TRY(mem_alloc(&codes, (size_t)g->columns, 1));
    for (long r = 0; r < g->rows; r++) {
        long first = g->one_scale ? 0 : r * groups;
        bitunpack_row(code_bits(g), o.codes + (size_t)r * o.row_bytes, (size_t)g->columns, codes);
        for (long i = 0; i < g->columns; i++) {
            long scale = first + (g->one_scale ? 0 : i / g->group), column = o.perm ? o.perm[i] : i;
            weight[r * g->columns + column] = grid_value(g, codes[i], o.scale[scale],
                                                         o.zero[scale]);
        }
    }
out:
    mem_free(codes);
    close_packed(&o);
    return rc;
}

/* ---- product ---- */

/* The sum over one group of value(code) x, given sum code x and sum x; trits need the codes one by
 * one. */
static float group_product(const struct grid *g, const uint8_t *row, size_t first, size_t count,
                           const float *x, float x_sum, float scale, float zero)
{
    float sum = packed_dot(code_bits(g), row, first, count, x);
    switch (g->kind) {
    case GRID_UNIFORM:
    case GRID_SYMMETRIC: return scale * (sum - zero * x_sum);
    case GRID_SIGN: return scale * (2 * sum - x_sum);
    case GRID_TERNARY: return scale * (sum - x_sum);
    case GRID_TRITS: break;
    }
    double product = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t digits[5];
        bitunpack_row(BITPACK_TERNARY, row + (first + i) / 5, 5, digits);
        product += (double)grid_value(g, digits[(first + i) % 5], scale, zero) * (double)x[i];
    }
    return (float)product;
}

int grid_matvec(const struct grid *g, const struct packed *packed, const float *x, float *y)
{
    struct opened o = {0};
    float *sorted = NULL, *sums = NULL;
    int rc = 0, groups = grid_groups(g), width = g->one_scale ? g->columns : g->group;
    TRY(open_packed(g, packed, &o));
    TRY(mem_alloc(&sums, (size_t)groups, sizeof *sums));
    if (o.perm) {
        TRY(mem_alloc(&sorted, (size_t)g->columns, sizeof *sorted));
        for (int i = 0; i < g->columns; i++)
            sorted[i] = x[o.perm[i]];
        x = sorted;
    }
    for (int k = 0; k < groups; k++)
        sums[k] = plain_sum(x + (long)k * width,
                            (size_t)(k == groups - 1 ? g->columns - k * width : width));
    for (long r = 0; r < g->rows; r++) {
        float sum = 0;
        for (long k = 0; k < groups; k++) {
            size_t first = (size_t)(k * width),
                   count = (size_t)(k == groups - 1 ? g->columns - k * width : width);
            long scale = g->one_scale ? 0 : r * groups + k;
            sum += group_product(g, o.codes + (size_t)r * o.row_bytes, first, count, x + first,
                                 sums[k], o.scale[scale], o.zero[scale]);
        }
        y[r] = sum;
    }
out:
    mem_free(sorted);
    mem_free(sums);
    close_packed(&o);
    return rc;
}
