/* Which pages of the mapped weights are in memory: what will be read is fetched ahead, what was
 * read is given back, so that a model of any size is read through a small window. */
#ifndef MODEL_TENSOR_PAGES_H
#define MODEL_TENSOR_PAGES_H

#include "model/tensor_table.h"

/* Asks for the pages of all tensors whose name begins with `prefix` ("model.layers.3."; "": of
 * all), and returns before they are there as far as the system lets it. */
void tensor_pages_fetch(const struct tensor_table *table, const char *prefix);

/* They no longer count as ours; reading them again is right, and slower. Tensors that lie elsewhere
 * than in a map stay. */
void tensor_pages_drop(const struct tensor_table *table, const char *prefix);

#endif
