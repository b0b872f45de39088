/* Products of packed codes with a vector. Each kernel has a plain twin of the same name with _ref;
 * the fast one is chosen at run time by what the CPU can do. Sums are taken in an order of the
 * kernel's own, the same at every call. */
#ifndef LINALG_PACKED_GEMV_H
#define LINALG_PACKED_GEMV_H

#include <stddef.h>
#include <stdint.h>

/* sum of code[first + i] * x[i], i < count, for a row of bitpack_row; bits as there. */
float packed_dot(int bits, const uint8_t *row, size_t first, size_t count, const float *x);
float packed_dot_ref(int bits, const uint8_t *row, size_t first, size_t count, const float *x);

/* sum of x[0..count). */
float plain_sum(const float *x, size_t count);

#endif
