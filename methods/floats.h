/* Scales, means and zero points between a layer's details (float32) and its packed form. */
#ifndef METHODS_FLOATS_H
#define METHODS_FLOATS_H

#include "methods/packed.h"

#include <stdbool.h>

/* Adds details' array of that name to packed, as float16 with half (it must hold such values), else
 * as float32. */
int floats_pack(const struct packed *details, const char *name, enum bit_category category,
                bool half, struct packed *packed);

/* The same for zero points: one byte each when all are whole numbers from 0 to 255, else float32.
 */
int floats_pack_codes(const struct packed *details, const char *name, struct packed *packed);

/* *values = rows x columns floats from the array of that name, F32, F16 or U8, owned by the caller;
 * zeros when it is not wanted. ERR_FORMAT when it is not there or has another shape. */
int floats_open(const struct packed *packed, const char *name, size_t rows, size_t columns,
                bool wanted, float **values);

#endif
