/* A quantization method is a constant descriptor, listed in methods.def. It sees one linear layer
 * at a time; the harness owns the layer-by-layer loop, the calibration, the timing and the storage.
 */
#ifndef METHODS_METHOD_H
#define METHODS_METHOD_H

#include "core/arena.h"
#include "core/options.h"
#include "linalg/hessian.h"
#include "methods/packed.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

enum method_caps {
    QM_NEEDS_HESSIAN = 1 << 0, /* quantize_layer reads problem->hessian */
    QM_PACKS = 1 << 1,         /* pack, unpack are there */
    QM_MATVEC = 1 << 2,        /* matvec multiplies the packed form */
    QM_PRUNES = 1 << 3         /* some weights become 0, and another method may follow */
};

/* One layer to quantize: everything is borrowed. */
struct layer_problem {
    const char *name;    /* for messages: "model.layers.0.self_attn.q_proj" */
    const float *weight; /* W, rows x columns (out x in) */
    int rows, columns;
    struct hessian *hessian; /* of the layer's input, columns x columns, with cached factorisations;
                                NULL when not needed */
    const uint8_t *kept;     /* rows x columns: 0 where the weight was pruned and is 0 in the end,
                                whatever the method makes of it; NULL: none was */
    uint64_t seed;
    struct arena *arena; /* scratch; reset by the caller after the call */
};

/* What a layer did not get as it was asked: rows of the table `exceptions`. */
enum layer_exception {
    EXCEPTION_METHOD,  /* the method could not do it: left in full precision */
    EXCEPTION_GROUP,   /* fewer columns share a scale than asked for */
    EXCEPTION_DAMPING, /* more was added to the Hessian's diagonal than asked for */
    EXCEPTION_NAN,     /* weights or Hessian are not finite: left in full precision */
    EXCEPTION_KINDS
};
extern const char *const layer_exception_names[]; /* "method", "group", ... */
enum { LAYER_EXCEPTION_SIZE = 256 };

/* What came out. quantized is the caller's; the rest is filled by the method and released by
 * layer_result_release. The caller begins with LAYER_RESULT_NONE where it reads the diagnostics. */
struct layer_result {
    float *quantized;      /* W_q, rows x columns */
    struct packed details; /* named arrays: codes, scale, zero, perm, mask_low, partition, ...: what
                              pack needs, what `bitbench layer` writes, what tests compare */
    double damping;     /* what was added to the diagonal in the end, as a share of its mean; 0 when
                           unused */
    int damping_raised; /* how often it had to be raised */
    double paper_bits;  /* bits per weight by the paper's own formula */
    double paper_bits_marks; /* what the paper counts apart (masks, marks); 0 when nothing */
    /* Diagnostics; what does not apply stays as it was. */
    const struct hessian_factor *factor; /* what layer_factor gave, borrowed from the Hessian */
    double salient;                      /* share of the weights that are treated as salient */
    double split; /* where the split between small and large weights fell, see docs/methods */
    char exceptions[EXCEPTION_KINDS][LAYER_EXCEPTION_SIZE]; /* one line each; "": none */
};
/* Before the method: no diagnostic applies. */
#define LAYER_RESULT_NONE .salient = NAN, .split = NAN
void layer_result_release(struct layer_result *result);

/* What every method does first: sizes, finite weights, a Hessian of the right size where one is
 * needed. The text names the layer. */
int layer_check(const struct layer_problem *problem, bool needs_hessian);

/* hessian_factorize for the layer; records the damping in result. */
int layer_factor(const struct layer_problem *problem, double percdamp, bool ordered,
                 struct layer_result *result, const struct hessian_factor **factor);

/* Notes that the layer did not get what was asked, in one line. */
__attribute__((format(printf, 3, 4))) void layer_exception(struct layer_result *result,
                                                           enum layer_exception kind,
                                                           const char *format, ...);

/* The same where `asked` columns (-1: the whole row) share something and the width is no multiple
 * of it. option: "group_size". */
void layer_check_group(struct layer_result *result, const char *option, int asked, int columns);

struct quant_method {
    const char *name, *title, *paper;
    int version; /* part of every point's id: raise it when results change */
    unsigned caps;
    const struct option *options;
    size_t options_size;
    /* Checks that options agree with each other; may be NULL. */
    int (*check)(const void *options);
    int (*quantize_layer)(const void *options, const struct layer_problem *problem,
                          struct layer_result *result);
    /* packed = the arrays that really store the layer; unpack gives quantized back bit for bit. */
    int (*pack)(const void *options, const struct layer_problem *problem,
                const struct layer_result *result, struct packed *packed);
    int (*unpack)(const void *options, const struct packed *packed, int rows, int columns,
                  float *weight);
    /* y (rows) = W_q x (columns) from the packed form, without unpacking it first. */
    int (*matvec)(const void *options, const struct packed *packed, int rows, int columns,
                  const float *x, float *y);
    /* The layer as an operator where it is more than y = x W_q^T (quantized activations, a norm
     * behind it). operates tells whether these options make it so; both NULL: never. x is tokens x
     * columns, y tokens x rows, weight is W_q. */
    bool (*operates)(const void *options);
    int (*operate)(const void *options, const float *weight, int rows, int columns, const float *x,
                   int tokens, float *y);
};

extern const struct quant_method *const methods[];        /* ends with NULL */
const struct quant_method *method_find(const char *name); /* NULL with err_set naming the nearest */

#endif
