/* Order statistics of non-negative floats, whose order is that of their bits taken as whole
 * numbers. */
#ifndef LINALG_SELECT_H
#define LINALG_SELECT_H

#include "core/arena.h"

#include <stddef.h>

/* *value = the element that would stand at `rank` (from 0) if values[0..count) were sorted in
 * ascending order. The values are not negative and not NaN; rank < count. Three counting passes in
 * parallel on the pool, exact whatever the number of threads. Scratch comes from the arena. Not
 * from within a pool task. */
int select_rank(const float *values, size_t count, size_t rank, struct arena *arena, float *value);

/* Sorts values[0..count) in ascending order; the same conditions. scratch has room for count. */
int sort_values(float *values, float *scratch, size_t count, struct arena *arena);

#endif
