/* Beside the differences of two points: how far each of them is from full precision, which accuracy
 * and perplexity alone hide. */
#ifndef HARNESS_COMPARE_FULL_H
#define HARNESS_COMPARE_FULL_H

#include "harness/compare.h"

/* One quantity of a metric of the base and of another row. */
struct divergence_line {
    const struct table_row *row;
    const struct table_metric *metric;
    enum divergence {
        DIVERGENCE_KL,       /* mean KL(full || quantized), nats a token */
        DIVERGENCE_SAME_TOP, /* share of tokens with the same most likely next token */
        DIVERGENCE_TO_WRONG, /* answers right in full precision and wrong here */
        DIVERGENCE_TO_RIGHT  /* the other way round */
    } what;
    double base, ours; /* NaN where it was not measured */
    /* KL alone, where both were measured on the same windows: ours - base, 95 % bootstrap interval
     * over windows; else NaN. */
    double difference, low, high;
};

struct divergences {
    struct divergence_line *lines;
    int count;
};

/* Lines for each of rows[0..count) that is not the base, in all metrics that both have; those in
 * which neither has a value are left out. */
int divergences_make(struct divergences *divergences, struct store *store,
                     const struct table *table, const struct table_row *base,
                     const struct table_row *const *rows, int count, struct arena *arena);

#endif
