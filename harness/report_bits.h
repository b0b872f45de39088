/* Between the section on bits and its figure. */
#ifndef HARNESS_REPORT_BITS_H
#define HARNESS_REPORT_BITS_H

#include "harness/report_internal.h"
#include "harness/table_ledger.h"

/* The parts of a ledger, then what is not told apart. */
enum { REPORT_BITS = LEDGER_PARTS + 1 };

struct bits_bar {
    const struct table_row *row;
    double bits[REPORT_BITS]; /* per quantized weight */
    double whole;             /* their sum */
};

/* A bar for each quantized point; used: which of the parts any of them has. */
int report_bits_figure(struct report *report, const struct bits_bar *bars, int count,
                       const int *used);

#endif
