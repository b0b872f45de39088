/* The weights that pruning left, as a packed mask: what a method that follows cannot tell from its
 * own arrays. */
#ifndef METHODS_KEPT_H
#define METHODS_KEPT_H

#include "methods/packed.h"

/* The mask's array: rows x bytes(1, columns), 1 where the weight was kept. */
#define KEPT_ARRAY "kept"

/* Adds the array from kept (rows x columns, 0 or 1). */
int kept_pack(const uint8_t *kept, int rows, int columns, struct packed *packed);

/* kept (rows x columns) from the array; ERR_FORMAT when it is not there or has another shape. */
int kept_unpack(const struct packed *packed, int rows, int columns, uint8_t *kept);

/* weight (rows x columns) = +0 where kept says 0. */
void kept_clear(const uint8_t *kept, int rows, int columns, float *weight);

#endif
