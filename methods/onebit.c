/* OneBit (Xu et al., arXiv:2402.11295) as a post-training method: W = sign(W) (a b^T), the value
 * vectors a and b from a rank-one approximation of |W| (SVID, equation 5 and proposition 1), and
 * the layer y = ((x * b) sign(W)^T) * a. */
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "linalg/bitpack.h"
#include "linalg/matmul.h"
#include "linalg/rank_one.h"
#include "linalg/simd.h"
#include "methods/floats.h"
#include "methods/method.h"
#include "methods/uniform.h"

#include <math.h>
#include <string.h>

enum { INIT_NMF, INIT_SVD };

struct onebit_options {
    int init, scale_bits;
    bool layer_norm;
};

#define FIELD(field) offsetof(struct onebit_options, field)
static const struct option onebit_options[] = {
    {.name = "init",
     .type = OPTION_CHOICE,
     .offset = FIELD(init),
     .fallback = "nmf",
     .choices = "nmf|svd",
     .help = "the rank-one approximation of |W|: non-negative factorisation from a random start, "
             "the paper's choice, or SVD"},
    {.name = "layer_norm",
     .type = OPTION_BOOL,
     .offset = FIELD(layer_norm),
     .fallback = "false",
     .help = "normalize each layer's outputs, as the authors' trained layers do"},
    {.name = "scale_bits",
     .type = OPTION_CHOICE,
     .offset = FIELD(scale_bits),
     .fallback = "32",
     .choices = "32|16",
     .help = "bits of a stored value: 32 as the references compute, 16 as the papers count"},
    {0}};

struct work {
    const struct layer_problem *problem;
    float *quantized, *a, *b;
    uint8_t *sign; /* 0: -1, 1: 1, 2: 0 */
};

enum { ROWS_A_TASK = 16 };

static float sign_value(int sign)
{
    return sign == 2 ? 0.0f : sign == 1 ? 1.0f : -1.0f;
}

static int quantize_rows(void *context, long first, long end, int worker)
{
    const struct work *work = context;
    long n = work->problem->columns;
    for (long r = first; r < end; r++)
        for (long i = 0; i < n; i++) {
            float w = work->problem->weight[r * n + i], size = work->a[r] * work->b[i];
            int sign = w > 0 ? 1 : w < 0 ? 0 : 2;
            if (size == 0)
                sign = 1; /* any sign does, and this one needs no exception */
            work->sign[r * n + i] = (uint8_t)sign;
            work->quantized[r * n + i] = sign_value(sign) * size;
        }
    return 0;
}

static void round_halves(float *values, int count)
{
    for (int i = 0; i < count; i++)
        values[i] = uniform_half(values[i]);
}

static int onebit_quantize(const void *options, const struct layer_problem *problem,
                           struct layer_result *result)
{
    const struct onebit_options *o = options;
    struct work work = {.problem = problem, .quantized = result->quantized};
    size_t rows = (size_t)problem->rows, columns = (size_t)problem->columns;
    struct rng rng;
    int rc = 0;
    TRY(layer_check(problem, false));
    TRY(packed_add(&result->details, "sign", ARRAY_U8, BITS_PAYLOAD, rows, columns, &work.sign));
    TRY(packed_add(&result->details, "weight_scale", ARRAY_F32, BITS_SCALES, rows, 1, &work.a));
    TRY(packed_add(&result->details, "input_factor", ARRAY_F32, BITS_SCALES, columns, 1, &work.b));
    rng_seed(&rng, problem->seed);
    if (o->init == INIT_SVD)
        TRY(rank_one_svd(problem->weight, problem->rows, problem->columns, problem->arena, work.a,
                         work.b));
    else
        TRY(rank_one_nmf(problem->weight, problem->rows, problem->columns, &rng, problem->arena,
                         work.a, work.b));
    if (o->scale_bits == 1) {
        round_halves(work.a, problem->rows);
        round_halves(work.b, problem->columns);
    }
    TRY(pool_run_rows(quantize_rows, &work, problem->rows, ROWS_A_TASK));
    result->paper_bits = 1 + 16.0 / problem->columns + 16.0 / problem->rows;
out:
    if (rc)
        packed_release(&result->details);
    return rc;
}

/* ---- packed: one bit a weight, two vectors, and the rare weights that are exactly 0 ---- */

static int pack_zeros(const uint8_t *sign, size_t rows, size_t columns, struct packed *packed)
{
    size_t count = 0;
    int32_t *pairs;
    for (size_t i = 0; i < rows * columns; i++)
        count += sign[i] == 2;
    if (count == 0)
        return 0;
    int rc = packed_add(packed, "exact", ARRAY_I32, BITS_INDICES, count, 2, &pairs);
    for (size_t i = 0; rc == 0 && i < rows * columns; i++)
        if (sign[i] == 2) {
            *pairs++ = (int32_t)(i / columns);
            *pairs++ = (int32_t)(i % columns);
        }
    return rc;
}

static int onebit_pack(const void *options, const struct layer_problem *problem,
                       const struct layer_result *result, struct packed *packed)
{
    const struct onebit_options *o = options;
    size_t rows = (size_t)problem->rows, columns = (size_t)problem->columns,
           bytes = bitpack_row_bytes(1, columns);
    const uint8_t *sign;
    uint8_t *to, *bits = NULL;
    int rc = 0;
    TRY(packed_get(&result->details, "sign", ARRAY_U8, rows, columns, &sign));
    TRY(packed_add(packed, "signs", ARRAY_U8, BITS_PAYLOAD, rows, bytes, &to));
    TRY(mem_alloc(&bits, columns, 1));
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < columns; i++)
            bits[i] = sign[r * columns + i] != 0;
        bitpack_row(1, bits, columns, to + r * bytes);
    }
    TRY(floats_pack(&result->details, "weight_scale", BITS_SCALES, o->scale_bits == 1, packed));
    TRY(floats_pack(&result->details, "input_factor", BITS_SCALES, o->scale_bits == 1, packed));
    TRY(pack_zeros(sign, rows, columns, packed));
out:
    mem_free(bits);
    return rc;
}

struct opened {
    size_t rows, columns, bytes, exacts;
    const uint8_t *signs;
    const int32_t *exact;
    float *a, *b;
};

static void close_packed(struct opened *p)
{
    mem_free(p->a);
    mem_free(p->b);
}

static int open_packed(struct opened *p, const struct packed *packed)
{
    const struct packed_array *exact = packed_find(packed, "exact");
    int rc = 0;
    p->bytes = bitpack_row_bytes(1, p->columns);
    TRY(packed_get(packed, "signs", ARRAY_U8, p->rows, p->bytes, &p->signs));
    TRY(floats_open(packed, "weight_scale", p->rows, 1, true, &p->a));
    TRY(floats_open(packed, "input_factor", p->columns, 1, true, &p->b));
    p->exacts = exact ? exact->shape[0] : 0;
    if (exact)
        TRY(packed_get(packed, "exact", ARRAY_I32, p->exacts, 2, &p->exact));
    for (size_t i = 0; i < p->exacts; i++)
        if (p->exact[2 * i] < 0 || (size_t)p->exact[2 * i] >= p->rows || p->exact[2 * i + 1] < 0 ||
            (size_t)p->exact[2 * i + 1] >= p->columns)
            return err_set(ERR_FORMAT, "packed array 'exact': entry %zu lies outside the matrix",
                           i);
out:
    return rc;
}

static int onebit_unpack(const void *options, const struct packed *packed, int rows, int columns,
                         float *weight)
{
    struct opened p = {.rows = (size_t)rows, .columns = (size_t)columns};
    int rc = 0;
    TRY(open_packed(&p, packed));
    for (size_t r = 0; r < p.rows; r++)
        for (size_t i = 0; i < p.columns; i++) {
            int bit = p.signs[r * p.bytes + i / 8] >> (i % 8) & 1;
            weight[r * p.columns + i] = sign_value(bit) * (p.a[r] * p.b[i]);
        }
    for (size_t k = 0; k < p.exacts; k++)
        weight[(size_t)p.exact[2 * k] * p.columns + (size_t)p.exact[2 * k + 1]] = 0;
out:
    close_packed(&p);
    return rc;
}

static int onebit_matvec(const void *options, const struct packed *packed, int rows, int columns,
                         const float *x, float *y)
{
    struct opened p = {.rows = (size_t)rows, .columns = (size_t)columns};
    float *scaled = NULL, sum = 0;
    int rc = 0;
    TRY(open_packed(&p, packed));
    TRY(mem_alloc(&scaled, p.columns, sizeof *scaled));
    for (size_t i = 0; i < p.columns; i++) {
        scaled[i] = x[i] * p.b[i];
        sum += scaled[i];
    }
    for (size_t r = 0; r < p.rows; r++)
        y[r] = p.a[r] * (2 * simd.mask_dot(p.signs + r * p.bytes, scaled, columns) - sum);
    for (size_t k = 0; k < p.exacts; k++) /* stored as 1 */
        y[p.exact[2 * k]] -= p.a[p.exact[2 * k]] * scaled[p.exact[2 * k + 1]];
out:
    mem_free(scaled);
    close_packed(&p);
    return rc;
}

/* ---- the operator with LayerNorm, which has no weights of its own ---- */

static bool onebit_operates(const void *options)
{
    return ((const struct onebit_options *)options)->layer_norm;
}

static int onebit_operate(const void *options, const float *weight, int rows, int columns,
                          const float *x, int tokens, float *y)
{
    int rc = matmul_nt(x, weight, tokens, rows, columns, 0, y);
    for (long t = 0; rc == 0 && t < tokens; t++) {
        float *row = y + t * rows;
        double mean = 0, variance = 0;
        for (int i = 0; i < rows; i++)
            mean += (double)row[i] / rows;
        for (int i = 0; i < rows; i++)
            variance += ((double)row[i] - mean) * ((double)row[i] - mean) / rows;
        double factor = 1 / sqrt(variance + 1e-5);
        for (int i = 0; i < rows; i++)
            row[i] = (float)(((double)row[i] - mean) * factor);
    }
    return rc;
}

const struct quant_method method_onebit = {
    .name = "onebit",
    .title = "OneBit (SVID)",
    .paper = "arXiv:2402.11295",
    .version = 1,
    .caps = QM_PACKS | QM_MATVEC,
    .options = onebit_options,
    .options_size = sizeof(struct onebit_options),
    .quantize_layer = onebit_quantize,
    .pack = onebit_pack,
    .unpack = onebit_unpack,
    .matvec = onebit_matvec,
    .operates = onebit_operates,
    .operate = onebit_operate,
};
