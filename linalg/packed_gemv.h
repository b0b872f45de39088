/* Products of packed codes with a vector. Each kernel has a plain twin of the same name with _ref; the fast one is chosen
 * at run time by what the CPU can do. Sums are taken in an order of the kernel's own, the same at every call. */
#ifndef LINALG_PACKED_GEMV_H
#define LINALG_PACKED_GEMV_H

#include <stddef.h>
#include <stdint.h>

/* sum of code[first + i] * x[i], i < count, for a row of bitpack_row; bits as there. */
float code_dot(int bits, const uint8_t *row, size_t first, size_t count, const float *x);
float code_dot_ref(int bits, const uint8_t *row, size_t first, size_t count, const float *x);

/* Splits x by the bits of a mask (bit i of the stream for x[i]), keeping the order: set receives those with bit 1, and their
 * number is returned; clear receives the others. Both have room for count. */
size_t mask_split(const uint8_t *mask, const float *x, size_t count, float *set, float *clear);
size_t mask_split_ref(const uint8_t *mask, const float *x, size_t count, float *set, float *clear);

/* sum of x[0..count). */
float plain_sum(const float *x, size_t count);

#endif
