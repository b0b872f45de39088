/* BiLLM's parts: billm.c (options, the loop over blocks), billm_search.c (salient columns and
 * splits), billm_group.c (what a group of weights becomes), billm_pack.c (the packed form). */
#ifndef METHODS_BILLM_H
#define METHODS_BILLM_H

#include "methods/feedback.h"
#include "methods/method.h"

#include <stdbool.h>

enum billm_low {
    BILLM_BRAQ,
    BILLM_XNOR,
    BILLM_SIGN,
    BILLM_RTN,
    BILLM_2BIT,
    BILLM_4BIT,
    BILLM_PRUNE,
    BILLM_NO
};
enum billm_metric { BILLM_MAGNITUDE, BILLM_HESSIAN };
enum billm_follow { BILLM_CODE, BILLM_PAPER };

enum { BILLM_MAX_ORDER = 4, BILLM_MAX_SPLITS = 4, BILLM_MAX_BLOCK = 65536, BILLM_LEVELS = 81 };

struct billm_options {
    int low_method, salient_metric, block_size, max_salient_columns, split_groups, scale_bits,
        follow;
    char orders[OPTION_TEXT_SIZE];
    double percdamp;
    bool gptq;
};

/* What the options come to. Groups are numbered from 0: the split groups from the smallest weights
 * to the largest, then the salient columns. */
struct billm_form {
    const struct billm_options *options;
    int rows, columns, block, blocks;
    int groups;                       /* split_groups + 1 */
    int orders[BILLM_MAX_SPLITS + 1]; /* of each group; 1 for methods other than braq */
    int first[BILLM_MAX_SPLITS + 2];  /* of each group: its first scale among the block's, and their
                                         number at the end */
    bool half;
};

int billm_form_init(struct billm_form *form, const struct billm_options *options, int rows,
                    int columns);

/* Methods with the values 0 and s, and those with a grid for each row of a block. */
static inline bool billm_one_sided(const struct billm_form *form)
{
    return form->options->low_method == BILLM_SIGN || form->options->low_method == BILLM_RTN;
}

static inline bool billm_is_grid(const struct billm_form *form)
{
    return form->options->low_method == BILLM_2BIT || form->options->low_method == BILLM_4BIT;
}

/* ---- search ---- */

struct billm_search {
    const struct billm_form *form;
    struct arena *arena;
    /* Of the block: what to search on and what to rank columns by, both (rows in groups of 16) x
     * width x 16; rank may be search itself. */
    float *search, *rank;
    int width;
    /* Found. */
    int salient_count;
    bool *salient;                  /* width */
    float splits[BILLM_MAX_SPLITS]; /* split_groups - 1 of them, ascending */
    float largest;                  /* size of what is split; 0 without splits */
    /* Scratch. */
    float *levels, *sorted, *sort_scratch;
    double *errors; /* per task of 16 rows: the candidates */
    double *sums;
    int *order;
    float *columns; /* per worker: width x 16 */
    int candidates, candidate_order[2];
};

int billm_search_init(struct billm_search *search, const struct billm_form *form,
                      struct arena *arena);
int billm_search_block(struct billm_search *search, int width);

/* levels[81] = quantiles 0.1, 0.11, ... 0.9 of sorted[0..count), in the float32 arithmetic of the
 * reference. */
void billm_quantiles(const float *sorted, size_t count, float *levels);

/* ---- groups ---- */

/* One row of one block: w[0..width) with group[i] of each; kept (or NULL) is 0 for those that were
 * pruned: they belong to no group's statistics and become 0. Writes q, codes (bit o: the sign of
 * order o, 16 << o: that sign is 0 and its scale is not), and the row's scales and means,
 * form->first[groups] of each. */
void billm_quantize_row(const struct billm_form *form, const float *w, const uint8_t *group,
                        const uint8_t *kept, int width, float *q, uint8_t *codes, float *scale,
                        float *mean);

/* The weight that a code stands for, its group's scales and means given. */
float billm_value(const struct billm_form *form, int group, int code, const float *scale,
                  const float *mean);

int billm_pack(const void *options, const struct layer_problem *problem,
               const struct layer_result *result, struct packed *packed);
int billm_unpack(const void *options, const struct packed *packed, int rows, int columns,
                 float *weight);
int billm_matvec(const void *options, const struct packed *packed, int rows, int columns,
                 const float *x, float *y);

#endif
