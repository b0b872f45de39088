/* SentencePiece's precompiled_charsmap: which characters are replaced by which before pieces are
 * looked for (its nmt_nfkc, mostly NFKC with white space made plain). */
#ifndef MODEL_CHARSMAP_H
#define MODEL_CHARSMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct charsmap {
    const uint8_t *units; /* a double array, 4 bytes a unit, little-endian; borrowed */
    size_t unit_count;
    const char *texts; /* replacements, a NUL behind each */
    size_t texts_size;
};

/* ERR_FORMAT where the bytes are not a map; `file` names their file. */
int charsmap_open(struct charsmap *map, const uint8_t *bytes, size_t size, const char *file);

/* The longest beginning of text[0..size) that the map replaces: its length, and *replacement.
 * 0: none. */
size_t charsmap_find(const struct charsmap *map, const char *text, size_t size,
                     const char **replacement);

#endif
