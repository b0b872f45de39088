/* Between the table of bits and its figure. */
#ifndef HARNESS_REPORT_BITS_H
#define HARNESS_REPORT_BITS_H

#include "harness/report_internal.h"

/* The categories of a layer's arrays (enum bit_category), then what else the file holds. */
enum {
    REPORT_BITS_LEFT = BITS_CATEGORIES, /* linear layers left alone */
    REPORT_BITS_OUTER,
    REPORT_BITS_VECTORS,
    REPORT_BITS_REST, /* what is not told apart */
    REPORT_BITS
};
extern const char *const report_bits_names[REPORT_BITS];

struct bits_bar {
    const struct table_row *row;
    double bits[REPORT_BITS]; /* per quantized weight */
    double linear, whole;     /* their sums: linear layers, everything */
};

/* used: which of the categories any bar has. */
int report_bits_figure(struct report *report, const struct bits_bar *bars, int count,
                       const int *used);

#endif
