/* Sizes of memory and files as people write them: "12G", "500M". */
#ifndef CORE_SIZE_H
#define CORE_SIZE_H

#include <stddef.h>

/* *bytes = what text says: a number, whole or with a fraction, and K, M, G or T (powers of 1024,
 * "B" or "iB" may follow, small letters as well) or nothing for bytes. ERR_USAGE, beginning with
 * `where`, for everything else, for 0 and for more than the address space. */
int size_parse(const char *text, const char *where, size_t *bytes);

/* "11.9 GiB", "512.0 MiB", "17 KiB" */
enum { SIZE_TEXT = 32 };
void size_text(double bytes, char out[SIZE_TEXT]);

#endif
