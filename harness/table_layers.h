/* Errors layer by layer: `bitbench table --layers`. */
#ifndef HARNESS_TABLE_LAYERS_H
#define HARNESS_TABLE_LAYERS_H

#include "harness/table_document.h"

/* By kind of projection: median relative loss, condition number, share of salient weights, split;
 * by block: mean relative loss, and drift of the hidden states. What no point has is left out. CSV
 * and JSON: a line a layer. The first seed's, where a row is of several. */
int layers_document(struct document *document, struct store *store, const struct table *table,
                    struct arena *arena);

#endif
