/* PB-LLM's packed form. Each row has a mask (bit 1: not salient), its low codes and its high codes
 * one behind the other without gaps; a row's codes start on a byte, where they start follows from
 * the masks before. */
#include "methods/pbllm.h"

#include "core/err.h"
#include "core/mem.h"
#include "linalg/bitpack.h"
#include "linalg/packed_gemv.h"
#include "linalg/simd.h"
#include "methods/floats.h"

#include <string.h>

static int shape_error(const char *name)
{
    return err_set(ERR_FORMAT, "packed array '%s' does not fit the mask", name);
}

/* ---- pack ---- */

/* One row's codes sorted out: low ones first in low, high ones in high. */
static size_t sort_row(const uint8_t *mask, const uint8_t *codes, size_t columns, uint8_t *low,
                       uint8_t *high)
{
    size_t lows = 0, highs = 0;
    for (size_t i = 0; i < columns; i++) {
        if (mask[i])
            low[lows++] = codes[i];
        else
            high[highs++] = codes[i];
    }
    return lows;
}

struct source {
    const struct pbllm_options *options;
    size_t rows, columns;
    const uint8_t *mask, *codes;
    const float *quantized;
};

static size_t count_low(const struct source *s, size_t row)
{
    size_t count = 0;
    for (size_t i = 0; i < s->columns; i++)
        count += s->mask[row * s->columns + i];
    return count;
}

/* The xnor weights that equal their mean, as pairs of row and column: one bit cannot tell them. */
static int pack_exact(const struct source *s, struct packed *packed)
{
    size_t count = 0, total = s->rows * s->columns;
    int32_t *pairs;
    for (size_t i = 0; i < total; i++)
        count += s->mask[i] && s->codes[i] == 2;
    if (s->options->low_method != LOW_XNOR || count == 0)
        return 0;
    int rc = packed_add(packed, "low_exact", ARRAY_I32, BITS_INDICES, count, 2, &pairs);
    for (size_t i = 0; rc == 0 && i < total; i++)
        if (s->mask[i] && s->codes[i] == 2) {
            *pairs++ = (int32_t)(i / s->columns);
            *pairs++ = (int32_t)(i % s->columns);
        }
    return rc;
}

static int pack_low_values(const struct source *s, struct packed *packed, size_t count)
{
    float *values;
    int rc = packed_add(packed, "low_values", ARRAY_F32, BITS_PAYLOAD, count, 1, &values);
    for (size_t i = 0; rc == 0 && i < s->rows * s->columns; i++)
        if (s->mask[i])
            *values++ = s->quantized[i];
    return rc;
}

static int pack_codes(const struct source *s, struct packed *packed)
{
    int low_bits = pbllm_low_bits(s->options), high_bits = s->options->high_bits, rc = 0;
    size_t low_bytes = 0, high_bytes = 0, lows = 0;
    uint8_t *mask, *low_to = NULL, *high_to, *buffer = NULL;
    TRY(packed_add(packed, "mask_low", ARRAY_U8, BITS_MASKS, s->rows,
                   bitpack_row_bytes(1, s->columns), &mask));
    for (size_t r = 0; r < s->rows; r++) {
        size_t low = count_low(s, r);
        bitpack_row(1, s->mask + r * s->columns, s->columns,
                    mask + r * bitpack_row_bytes(1, s->columns));
        lows += low;
        low_bytes += low_bits ? bitpack_row_bytes(low_bits, low) : 0;
        high_bytes += bitpack_row_bytes(high_bits, s->columns - low);
    }
    if (low_bits)
        TRY(packed_add(packed, "low_codes", ARRAY_U8, BITS_PAYLOAD, low_bytes, 1, &low_to));
    TRY(packed_add(packed, "high_codes", ARRAY_U8, BITS_SALIENT, high_bytes, 1, &high_to));
    if (s->options->low_method == LOW_NO)
        TRY(pack_low_values(s, packed, lows));
    TRY(mem_alloc(&buffer, 2 * s->columns, 1));
    for (size_t r = 0; r < s->rows; r++) {
        uint8_t *low = buffer, *high = buffer + s->columns;
        size_t count = sort_row(s->mask + r * s->columns, s->codes + r * s->columns, s->columns,
                                low, high);
        for (size_t i = 0; low_bits == 1 && i < count; i++)
            low[i] = low[i] != 0;
        if (low_bits) {
            bitpack_row(low_bits, low, count, low_to);
            low_to += bitpack_row_bytes(low_bits, count);
        }
        bitpack_row(high_bits, high, s->columns - count, high_to);
        high_to += bitpack_row_bytes(high_bits, s->columns - count);
    }
    TRY(pack_exact(s, packed));
out:
    mem_free(buffer);
    return rc;
}

int pbllm_pack(const void *options, const struct layer_problem *problem,
               const struct layer_result *result, struct packed *packed)
{
    const struct pbllm_options *o = options;
    struct source s = {.options = o,
                       .rows = (size_t)problem->rows,
                       .columns = (size_t)problem->columns,
                       .quantized = result->quantized};
    const struct packed *details = &result->details;
    bool half = o->scale_bits == 1;
    int rc = 0;
    TRY(packed_get(details, "mask_low", ARRAY_U8, s.rows, s.columns, &s.mask));
    TRY(packed_get(details, "codes", ARRAY_U8, s.rows, s.columns, &s.codes));
    TRY(pack_codes(&s, packed));
    if (pbllm_low_bits(o))
        TRY(floats_pack(details, "low_scale", BITS_SCALES, half, packed));
    if (o->low_method == LOW_XNOR)
        TRY(floats_pack(details, "low_mean", BITS_SCALES, half, packed));
    if (o->low_method == LOW_2BIT || o->low_method == LOW_4BIT)
        TRY(floats_pack_codes(details, "low_zero", packed));
    TRY(floats_pack(details, "high_scale", BITS_SCALES, half, packed));
    TRY(floats_pack_codes(details, "high_zero", packed));
out:
    return rc;
}

/* ---- reading ---- */

struct opened {
    const struct pbllm_options *options;
    size_t rows, columns, group, groups, mask_bytes;
    const uint8_t *mask, *low_codes, *high_codes;
    const float *low_values;
    const int32_t *exact;
    size_t exacts;
    float *low_scale, *low_mean, *low_zero, *high_scale, *high_zero; /* groups x rows, rows */
    size_t *starts; /* per row, twice: offsets of its low codes (or values) and of its high codes */
    uint8_t *codes; /* scratch: 2 x columns */
    float *x;       /* scratch: 2 x columns */
};

static void close_packed(struct opened *p)
{
    mem_free(p->low_scale);
    mem_free(p->low_mean);
    mem_free(p->low_zero);
    mem_free(p->high_scale);
    mem_free(p->high_zero);
    mem_free(p->starts);
    mem_free(p->codes);
    mem_free(p->x);
}

static size_t count_bits(const uint8_t *mask, size_t count)
{
    size_t bits = 0;
    for (size_t i = 0; i < count / 8; i++)
        bits += (size_t)__builtin_popcount(mask[i]);
    if (count % 8)
        bits += (size_t)__builtin_popcount(mask[count / 8] & ((1u << count % 8) - 1));
    return bits;
}

/* Where each row's codes start, and that the arrays are as long as the masks say. */
static int find_starts(struct opened *p, const struct packed *packed)
{
    int low_bits = pbllm_low_bits(p->options), rc = 0;
    size_t low = 0, high = 0;
    for (size_t r = 0; r < p->rows; r++) {
        size_t lows = count_bits(p->mask + r * p->mask_bytes, p->columns);
        p->starts[2 * r] = low;
        p->starts[2 * r + 1] = high;
        low += low_bits ? bitpack_row_bytes(low_bits, lows) : lows;
        high += bitpack_row_bytes(p->options->high_bits, p->columns - lows);
    }
    if (low_bits)
        TRY(packed_get(packed, "low_codes", ARRAY_U8, low, 1, &p->low_codes));
    if (p->options->low_method == LOW_NO)
        TRY(packed_get(packed, "low_values", ARRAY_F32, low, 1, &p->low_values));
    TRY(packed_get(packed, "high_codes", ARRAY_U8, high, 1, &p->high_codes));
out:
    return rc;
}

static int open_exact(struct opened *p, const struct packed *packed)
{
    const struct packed_array *array = packed_find(packed, "low_exact");
    if (!array)
        return 0;
    p->exacts = array->shape[0];
    int rc = packed_get(packed, "low_exact", ARRAY_I32, p->exacts, 2, &p->exact);
    for (size_t i = 0; rc == 0 && i < p->exacts; i++)
        if (p->exact[2 * i] < 0 || (size_t)p->exact[2 * i] >= p->rows || p->exact[2 * i + 1] < 0 ||
            (size_t)p->exact[2 * i + 1] >= p->columns)
            return shape_error("low_exact");
    return rc;
}

static int open_packed(struct opened *p, const struct packed *packed)
{
    const struct pbllm_options *o = p->options;
    int rc = 0;
    p->group = (size_t)pbllm_group(o, (int)p->columns);
    p->groups = (p->columns + p->group - 1) / p->group;
    p->mask_bytes = bitpack_row_bytes(1, p->columns);
    TRY(mem_alloc(&p->starts, 2 * p->rows, sizeof *p->starts));
    TRY(mem_alloc(&p->codes, 2 * p->columns, 1));
    TRY(mem_alloc(&p->x, 2 * p->columns, sizeof *p->x));
    TRY(packed_get(packed, "mask_low", ARRAY_U8, p->rows, p->mask_bytes, &p->mask));
    TRY(find_starts(p, packed));
    TRY(floats_open(packed, "low_scale", p->groups, p->rows, pbllm_low_bits(o) > 0, &p->low_scale));
    TRY(floats_open(packed, "low_mean", p->groups, p->rows, o->low_method == LOW_XNOR,
                    &p->low_mean));
    TRY(floats_open(packed, "low_zero", p->groups, p->rows,
                    o->low_method == LOW_2BIT || o->low_method == LOW_4BIT, &p->low_zero));
    TRY(floats_open(packed, "high_scale", p->rows, 1, true, &p->high_scale));
    TRY(floats_open(packed, "high_zero", p->rows, 1, true, &p->high_zero));
    TRY(open_exact(p, packed));
out:
    return rc;
}

/* The value of low code number `index` of the row, in the column's group. */
static float low_value(const struct opened *p, size_t row, size_t column, size_t index, int code)
{
    size_t at = column / p->group * p->rows + row;
    if (p->options->low_method == LOW_NO)
        return p->low_values[p->starts[2 * row] + index];
    return pbllm_low_value(p->options->low_method, code, p->low_scale[at], p->low_mean[at],
                           p->low_zero[at]);
}

int pbllm_unpack(const void *options, const struct packed *packed, int rows, int columns,
                 float *weight)
{
    struct opened p = {.options = options, .rows = (size_t)rows, .columns = (size_t)columns};
    int low_bits = pbllm_low_bits(options), rc = 0;
    TRY(open_packed(&p, packed));
    for (size_t r = 0; r < p.rows; r++) {
        const uint8_t *mask = p.mask + r * p.mask_bytes;
        uint8_t *low = p.codes, *high = p.codes + p.columns;
        size_t lows = count_bits(mask, p.columns), l = 0, h = 0;
        if (low_bits)
            bitunpack_row(low_bits, p.low_codes + p.starts[2 * r], lows, low);
        else
            memset(low, 0, lows);
        bitunpack_row(p.options->high_bits, p.high_codes + p.starts[2 * r + 1], p.columns - lows,
                      high);
        for (size_t i = 0; i < p.columns; i++) {
            if (mask[i / 8] >> (i % 8) & 1) {
                weight[r * p.columns + i] = p.options->low_method == LOW_PRUNE
                                                ? 0
                                                : low_value(&p, r, i, l, low[l]);
                l++;
            } else {
                weight[r * p.columns + i] = p.high_scale[r] * ((float)high[h++] - p.high_zero[r]);
            }
        }
    }
    for (size_t i = 0; i < p.exacts; i++) {
        size_t row = (size_t)p.exact[2 * i], column = (size_t)p.exact[2 * i + 1];
        weight[row * p.columns + column] = low_value(&p, row, column, 0, 2);
    }
out:
    close_packed(&p);
    return rc;
}

/* ---- product ---- */

/* The low part of one row in one group, for the `count` low inputs x that start at code number
 * `first`. */
static float low_product(const struct opened *p, size_t row, size_t group, size_t first,
                         size_t count, const float *x)
{
    int low = p->options->low_method, bits = pbllm_low_bits(p->options);
    double exact = 0;
    if (low == LOW_PRUNE || count == 0)
        return 0;
    if (low == LOW_NO) {
        for (size_t i = 0; i < count; i++)
            exact += (double)p->low_values[p->starts[2 * row] + first + i] * (double)x[i];
        return (float)exact;
    }
    size_t at = group * p->rows + row;
    float sum = packed_dot(bits, p->low_codes + p->starts[2 * row], first, count, x);
    if (low == LOW_SIGN || low == LOW_RTN)
        return p->low_scale[at] * sum;
    float all = plain_sum(x, count);
    if (low == LOW_XNOR)
        return p->low_scale[at] * (2 * sum - all) + p->low_mean[at] * all;
    return p->low_scale[at] * (sum - p->low_zero[at] * all);
}

int pbllm_matvec(const void *options, const struct packed *packed, int rows, int columns,
                 const float *x, float *y)
{
    struct opened p = {.options = options, .rows = (size_t)rows, .columns = (size_t)columns};
    int rc = 0;
    TRY(open_packed(&p, packed));
    for (size_t r = 0; r < p.rows; r++) {
        const uint8_t *mask = p.mask + r * p.mask_bytes;
        float *low = p.x, *high = p.x + p.columns, sum = 0;
        size_t lows = (size_t)simd.mask_split(mask, x, (int)p.columns, low, high), first = 0,
               highs = p.columns - lows;
        for (size_t g = 0; g < p.groups; g++) {
            size_t end = g == p.groups - 1 ? p.columns : (g + 1) * p.group;
            size_t count = (p.groups == 1 ? lows : count_bits(mask, end)) - first;
            sum += low_product(&p, r, g, first, count, low + first);
            first += count;
        }
        float coded = packed_dot(p.options->high_bits, p.high_codes + p.starts[2 * r + 1], 0, highs,
                                 high);
        y[r] = sum + p.high_scale[r] * (coded - p.high_zero[r] * plain_sum(high, highs));
    }
    for (size_t i = 0; i < p.exacts; i++) { /* stored as mean + scale */
        size_t row = (size_t)p.exact[2 * i], column = (size_t)p.exact[2 * i + 1];
        y[row] -= p.low_scale[column / p.group * p.rows + row] * x[column];
    }
out:
    close_packed(&p);
    return rc;
}
