/* The ledgers: where the bits of each point go, and which tensors did not get what was asked. */
#ifndef HARNESS_TABLE_LEDGER_H
#define HARNESS_TABLE_LEDGER_H

#include "harness/table_document.h"

/* What the bytes of a packed model are for. The first LEDGER_LAYERS are of the quantized layers (in
 * the order of enum bits_category, methods/packed.h). */
enum { LEDGER_LAYERS = BITS_CATEGORIES, LEDGER_PARTS = BITS_CATEGORIES + 3 };
extern const char *const ledger_names[LEDGER_PARTS];

struct ledger {
    double bytes[LEDGER_PARTS]; /* the last three NaN where only their sum is known */
    double layers;              /* the sum of the first ones */
    double rest;                /* what the file holds beside them; NaN where not known */
    double linear_bits; /* all linear layers as stored, those left alone too, over their weights;
                         * NaN
                         */
};

/* The ledger of a row (the first seed's, where it is of several). */
int ledger_read(struct ledger *ledger, struct store *store, const struct table_row *row);

/* A line a quantized point, all bits over the quantized weights; and the bytes. */
int ledger_bits(struct document *document, struct store *store, const struct table *table,
                struct arena *arena);

/* A line an exception; without any, one line that says so. */
int ledger_exceptions(struct document *document, struct store *store, const struct table *table,
                      struct arena *arena);

#endif
