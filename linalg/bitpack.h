/* Small codes packed into bytes, row by row: each row starts on a byte. Codes of `bits` bits lie in
 * a little-endian bit stream (code i occupies bits i * bits .. i * bits + bits - 1, bit 0 being the
 * lowest of byte 0); ternary codes lie five to a byte as a number in base 3, the first code being
 * the lowest digit. */
#ifndef LINALG_BITPACK_H
#define LINALG_BITPACK_H

#include <stddef.h>
#include <stdint.h>

enum { BITPACK_TERNARY = 0 }; /* as `bits`: three-valued codes, 1.6 bits each */

/* Bytes of one row of `count` codes; bits is 1..8 or BITPACK_TERNARY. */
size_t bitpack_row_bytes(int bits, size_t count);

/* packed (zeroed, bitpack_row_bytes long) = the codes; each code is below 2^bits (or 3). */
void bitpack_row(int bits, const uint8_t *codes, size_t count, uint8_t *packed);
void bitunpack_row(int bits, const uint8_t *packed, size_t count, uint8_t *codes);

#endif
