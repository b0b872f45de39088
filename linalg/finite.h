/* Finding values that are not finite. */
#ifndef LINALG_FINITE_H
#define LINALG_FINITE_H

#include <stddef.h>

/* The index of the first NaN or infinity among values[0..count), or -1. */
long first_not_finite(const float *values, size_t count);

#endif
