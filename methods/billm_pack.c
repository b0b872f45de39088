/* BiLLM's packed form: planes of one bit a weight, a bitmap of the salient columns, and the scales
 * and means of each row and block. With the paper's orders two planes hold everything: a weight
 * that is not salient needs a sign and a group, a salient one two signs. */
#include "methods/billm.h"

#include "core/err.h"
#include "core/mem.h"
#include "linalg/bitpack.h"
#include "linalg/packed_gemv.h"
#include "linalg/simd.h"
#include "methods/floats.h"
#include "methods/grid.h"

#include <stdio.h>
#include <string.h>

enum { MAX_PLANES = BILLM_MAX_ORDER + 2 };

/* Bits of a weight that is not salient: its signs, then the number of its group. */
static int sign_bits(const struct billm_form *form)
{
    int most = 0;
    for (int g = 0; g < form->groups - 1; g++)
        most = form->orders[g] > most ? form->orders[g] : most;
    return most;
}

static int group_bits(const struct billm_form *form)
{
    return form->groups <= 2 ? 0 : form->groups == 3 ? 1 : 2;
}

static int planes(const struct billm_form *form)
{
    int plain = sign_bits(form) + group_bits(form), salient = form->orders[form->groups - 1];
    return plain > salient ? plain : salient;
}

static void plane_name(int plane, char name[24])
{
    snprintf(name, 24, plane == 0 ? "signs" : "plane%d", plane);
}

static struct grid grid_of(const struct billm_form *form)
{
    return (struct grid){.kind = GRID_UNIFORM,
                         .rows = form->rows,
                         .columns = form->columns,
                         .bits = form->options->low_method == BILLM_2BIT ? 2 : 4,
                         .group = form->block,
                         .half = form->half};
}

/* ---- pack ---- */

static int pack_values(const struct billm_form *form, const float *quantized, struct packed *packed)
{
    float *values;
    int rc = packed_add(packed, "values", ARRAY_F32, BITS_PAYLOAD, (size_t)form->rows,
                        (size_t)form->columns, &values);
    if (rc == 0)
        memcpy(values, quantized, sizeof *values * (size_t)form->rows * (size_t)form->columns);
    return rc;
}

/* The bits that the planes store for one weight; group counts from 0. */
static unsigned plane_bits(const struct billm_form *form, int group, int code)
{
    unsigned signs = (unsigned)code & 15;
    return group == form->groups - 1 ? signs : signs | (unsigned)group << sign_bits(form);
}

static int pack_planes(const struct billm_form *form, const uint8_t *partition,
                       const uint8_t *codes, struct packed *packed)
{
    size_t rows = (size_t)form->rows, columns = (size_t)form->columns,
           bytes = bitpack_row_bytes(1, columns);
    uint8_t *plane[MAX_PLANES], *salient, *bits = NULL;
    int rc = 0, count = planes(form);
    for (int p = 0; p < count; p++) {
        char name[24];
        plane_name(p, name);
        TRY(packed_add(packed, name, ARRAY_U8, p == 0 ? BITS_PAYLOAD : BITS_MASKS, rows, bytes,
                       &plane[p]));
    }
    TRY(packed_add(packed, "salient_cols", ARRAY_U8, BITS_MASKS, bytes, 1, &salient));
    TRY(mem_alloc(&bits, columns, 1));
    for (size_t i = 0; i < columns; i++)
        bits[i] = partition[i] == form->groups;
    bitpack_row(1, bits, columns, salient);
    for (size_t r = 0; r < rows; r++)
        for (int p = 0; p < count; p++) {
            for (size_t i = 0; i < columns; i++)
                bits[i] =
                    plane_bits(form, partition[r * columns + i] - 1, codes[r * columns + i]) >> p &
                    1;
            bitpack_row(1, bits, columns, plane[p] + r * bytes);
        }
out:
    mem_free(bits);
    return rc;
}

/* Weights with a sign of 0, which one bit cannot tell: row, column and code of each. A zero scale
 * needs none. */
static int pack_exact(const struct billm_form *form, const uint8_t *codes, struct packed *packed)
{
    size_t total = (size_t)form->rows * (size_t)form->columns, count = 0;
    int32_t *entries;
    for (size_t i = 0; i < total; i++)
        count += codes[i] > 15;
    if (count == 0 || billm_one_sided(form))
        return 0;
    int rc = packed_add(packed, "exact", ARRAY_I32, BITS_INDICES, count, 3, &entries);
    for (size_t i = 0; rc == 0 && i < total; i++)
        if (codes[i] > 15) {
            *entries++ = (int32_t)(i / (size_t)form->columns);
            *entries++ = (int32_t)(i % (size_t)form->columns);
            *entries++ = codes[i];
        }
    return rc;
}

int billm_pack(const void *options, const struct layer_problem *problem,
               const struct layer_result *result, struct packed *packed)
{
    const struct packed *details = &result->details;
    struct billm_form form;
    const uint8_t *partition, *codes;
    size_t rows = (size_t)problem->rows, columns = (size_t)problem->columns;
    int rc = 0;
    TRY(billm_form_init(&form, options, problem->rows, problem->columns));
    if (billm_is_grid(&form)) {
        struct grid grid = grid_of(&form);
        return grid_pack(&grid, details, packed);
    }
    if (form.options->low_method == BILLM_NO)
        return pack_values(&form, result->quantized, packed);
    if (form.options->low_method == BILLM_PRUNE)
        return 0;
    TRY(packed_get(details, "partition", ARRAY_U8, rows, columns, &partition));
    TRY(packed_get(details, "codes", ARRAY_U8, rows, columns, &codes));
    TRY(pack_planes(&form, partition, codes, packed));
    TRY(floats_pack(details, "scale", BITS_SCALES, form.half, packed));
    if (!billm_one_sided(&form))
        TRY(floats_pack(details, "mean", BITS_SCALES, form.half, packed));
    TRY(pack_exact(&form, codes, packed));
out:
    return rc;
}

/* ---- reading ---- */

struct opened {
    struct billm_form form;
    size_t columns, bytes;
    int planes, sign_bits;
    const uint8_t *plane[MAX_PLANES], *salient;
    float *scale, *mean;
    const int32_t *exact;
    size_t exacts;
};

static void close_packed(struct opened *o)
{
    mem_free(o->scale);
    mem_free(o->mean);
}

static int open_exact(struct opened *o, const struct packed *packed)
{
    const struct packed_array *array = packed_find(packed, "exact");
    if (!array)
        return 0;
    o->exacts = array->shape[0];
    int rc = packed_get(packed, "exact", ARRAY_I32, o->exacts, 3, &o->exact);
    for (size_t i = 0; rc == 0 && i < o->exacts; i++) {
        const int32_t *e = o->exact + 3 * i;
        if (e[0] < 0 || e[0] >= o->form.rows || e[1] < 0 || e[1] >= o->form.columns || e[2] < 0 ||
            e[2] > 255)
            return err_set(ERR_FORMAT, "packed array 'exact': entry %zu lies outside the matrix",
                           i);
    }
    return rc;
}

static int open_packed(struct opened *o, const struct packed *packed)
{
    size_t rows = (size_t)o->form.rows,
           scales = (size_t)o->form.blocks * (size_t)o->form.first[o->form.groups];
    int rc = 0;
    o->columns = (size_t)o->form.columns;
    o->bytes = bitpack_row_bytes(1, o->columns);
    o->planes = planes(&o->form);
    o->sign_bits = sign_bits(&o->form);
    for (int p = 0; p < o->planes; p++) {
        char name[24];
        plane_name(p, name);
        TRY(packed_get(packed, name, ARRAY_U8, rows, o->bytes, &o->plane[p]));
    }
    TRY(packed_get(packed, "salient_cols", ARRAY_U8, o->bytes, 1, &o->salient));
    TRY(floats_open(packed, "scale", rows, scales, true, &o->scale));
    TRY(floats_open(packed, "mean", rows, scales, !billm_one_sided(&o->form), &o->mean));
    TRY(open_exact(o, packed));
out:
    return rc;
}

static int bit(const uint8_t *bits, size_t i)
{
    return bits[i / 8] >> (i % 8) & 1;
}

/* The group and the signs of one weight. */
static int read_code(const struct opened *o, size_t row, size_t column, int *group)
{
    unsigned bits = 0;
    for (int p = 0; p < o->planes; p++)
        bits |= (unsigned)bit(o->plane[p] + row * o->bytes, column) << p;
    if (bit(o->salient, column)) {
        *group = o->form.groups - 1;
        return (int)bits;
    }
    int g = (int)(bits >> o->sign_bits);
    *group = g < o->form.groups - 1 ? g : o->form.groups - 2; /* a damaged file, perhaps: stay
                                                                 within the groups */
    return (int)(bits & ((1u << o->sign_bits) - 1));
}

static float value_at(const struct opened *o, size_t row, size_t column, int group, int code)
{
    const struct billm_form *form = &o->form;
    size_t at = (row * (size_t)form->blocks + column / (size_t)form->block) *
                    (size_t)form->first[form->groups] +
                (size_t)form->first[group];
    return billm_value(form, group, code, o->scale + at, o->mean + at);
}

static int unpack_planes(struct opened *o, const struct packed *packed, float *weight)
{
    int rc = 0, group;
    TRY(open_packed(o, packed));
    for (size_t r = 0; r < (size_t)o->form.rows; r++)
        for (size_t i = 0; i < o->columns; i++) {
            int code = read_code(o, r, i, &group);
            weight[r * o->columns + i] = value_at(o, r, i, group, code);
        }
    for (size_t k = 0; k < o->exacts; k++) {
        size_t row = (size_t)o->exact[3 * k], column = (size_t)o->exact[3 * k + 1];
        read_code(o, row, column, &group);
        weight[row * o->columns + column] = value_at(o, row, column, group, o->exact[3 * k + 2]);
    }
out:
    close_packed(o);
    return rc;
}

int billm_unpack(const void *options, const struct packed *packed, int rows, int columns,
                 float *weight)
{
    struct opened o = {0};
    const float *values;
    size_t count = (size_t)rows * (size_t)columns;
    int rc = billm_form_init(&o.form, options, rows, columns);
    if (rc)
        return rc;
    if (billm_is_grid(&o.form)) {
        struct grid grid = grid_of(&o.form);
        return grid_unpack(&grid, packed, weight);
    }
    if (o.form.options->low_method == BILLM_PRUNE) {
        memset(weight, 0, sizeof *weight * count);
        return 0;
    }
    if (o.form.options->low_method == BILLM_NO) {
        rc = packed_get(packed, "values", ARRAY_F32, (size_t)rows, (size_t)columns, &values);
        if (rc == 0)
            memcpy(weight, values, sizeof *weight * count);
        return rc;
    }
    return unpack_planes(&o, packed, weight);
}

/* ---- product ---- */

/* Room for the product: x where columns are not salient and where they are, zeros elsewhere, their
 * sums by block, and the bits of one row's planes combined. */
struct product {
    float *plain, *salient, *plain_sums, *salient_sums;
    uint8_t *both;
};

/* One row's block with the default planes: signs, and groups or second signs. */
static float block_product(const struct opened *o, const struct product *p, size_t row, int block)
{
    const struct billm_form *form = &o->form;
    size_t start = (size_t)block * (size_t)form->block, at = start / 8;
    int width = (int)(o->columns - start) < form->block ? (int)(o->columns - start) : form->block;
    const uint8_t *signs = o->plane[0] + row * o->bytes + at,
                  *marks = o->plane[1] + row * o->bytes + at;
    const float *s = o->scale + (row * (size_t)form->blocks + (size_t)block) * 4;
    const float *m = o->mean + (row * (size_t)form->blocks + (size_t)block) * 4;
    float all = p->plain_sums[block], outer = simd.mask_dot(marks, p->plain + start, width);
    float up = simd.mask_dot(signs, p->plain + start, width),
          up_outer = simd.mask_dot(p->both + at, p->plain + start, width);
    float sum = s[0] * (2 * (up - up_outer) - (all - outer)) + m[0] * (all - outer);
    sum += s[1] * (2 * up_outer - outer) + m[1] * outer;
    float first = simd.mask_dot(signs, p->salient + start, width),
          second = simd.mask_dot(marks, p->salient + start, width);
    all = p->salient_sums[block];
    return sum + s[2] * (2 * first - all) + s[3] * (2 * second - all) + (m[2] + m[3]) * all;
}

static int fast_product(const struct opened *o, const float *x, float *y)
{
    const struct billm_form *form = &o->form;
    struct product p = {0};
    float *room = NULL;
    int rc = 0;
    TRY(mem_calloc(&room, 2 * o->columns + 2 * (size_t)form->blocks, sizeof *room));
    TRY(mem_alloc(&p.both, o->bytes, 1));
    p.plain = room;
    p.salient = room + o->columns;
    p.plain_sums = p.salient + o->columns;
    p.salient_sums = p.plain_sums + form->blocks;
    for (size_t i = 0; i < o->columns; i++) {
        bool salient = bit(o->salient, i);
        (salient ? p.salient : p.plain)[i] = x[i];
        (salient ? p.salient_sums : p.plain_sums)[i / (size_t)form->block] += x[i];
    }
    for (size_t r = 0; r < (size_t)form->rows; r++) {
        for (size_t i = 0; i < o->bytes; i++)
            p.both[i] = o->plane[0][r * o->bytes + i] & o->plane[1][r * o->bytes + i];
        y[r] = 0;
        for (int block = 0; block < form->blocks; block++)
            y[r] += block_product(o, &p, r, block);
    }
out:
    mem_free(room);
    mem_free(p.both);
    return rc;
}

static void plain_product(const struct opened *o, const float *x, float *y)
{
    int group;
    for (size_t r = 0; r < (size_t)o->form.rows; r++) {
        double sum = 0;
        for (size_t i = 0; i < o->columns; i++) {
            int code = read_code(o, r, i, &group);
            sum += (double)value_at(o, r, i, group, code) * (double)x[i];
        }
        y[r] = (float)sum;
    }
}

static void values_product(const float *values, int rows, int columns, const float *x, float *y)
{
    for (long r = 0; r < rows; r++)
        y[r] = values ? simd.dot(values + r * columns, x, columns) : 0;
}

int billm_matvec(const void *options, const struct packed *packed, int rows, int columns,
                 const float *x, float *y)
{
    struct opened o = {0};
    const float *values = NULL;
    int rc = billm_form_init(&o.form, options, rows, columns), group;
    if (rc)
        return rc;
    if (billm_is_grid(&o.form)) {
        struct grid grid = grid_of(&o.form);
        return grid_matvec(&grid, packed, x, y);
    }
    if (o.form.options->low_method == BILLM_NO)
        rc = packed_get(packed, "values", ARRAY_F32, (size_t)rows, (size_t)columns, &values);
    if (o.form.options->low_method == BILLM_NO || o.form.options->low_method == BILLM_PRUNE) {
        if (rc == 0)
            values_product(values, rows, columns, x, y);
        return rc;
    }
    TRY(open_packed(&o, packed));
    bool usual = o.form.options->low_method == BILLM_BRAQ && o.form.groups == 3 &&
                 o.sign_bits == 1 && o.form.orders[2] == 2 &&
                 (o.form.block % 8 == 0 || o.form.blocks == 1);
    if (usual)
        TRY(fast_product(&o, x, y));
    else
        plain_product(&o, x, y);
    for (size_t k = 0; k < o.exacts; k++) {
        size_t row = (size_t)o.exact[3 * k], column = (size_t)o.exact[3 * k + 1];
        int code = read_code(&o, row, column, &group);
        y[row] += (value_at(&o, row, column, group, o.exact[3 * k + 2]) -
                   value_at(&o, row, column, group, code)) *
                  x[column];
    }
out:
    close_packed(&o);
    return rc;
}
