/* Named arrays of a quantized layer, each with the category its bytes count for. */
#ifndef METHODS_PACKED_H
#define METHODS_PACKED_H

#include <stddef.h>
#include <stdint.h>

enum bit_category {
    BITS_PAYLOAD, /* the codes or signs themselves */
    BITS_SCALES,
    BITS_ZEROS,
    BITS_MASKS,   /* which weight belongs to which group */
    BITS_INDICES, /* permutations, group indices, column numbers */
    BITS_SALIENT, /* salient values kept at higher precision */
    BITS_OTHER,
    BITS_CATEGORIES
};
extern const char *const bit_category_names[]; /* "payload", "scales", ... */

enum array_type { ARRAY_F32, ARRAY_F16, ARRAY_I32, ARRAY_U16, ARRAY_U8 };
size_t array_type_size(enum array_type type);

enum { PACKED_MAX = 16 };

struct packed_array {
    char name[24];
    enum array_type type;
    enum bit_category category;
    size_t shape[2]; /* rows, columns; a vector is n x 1 */
    void *data;      /* owned */
};

struct packed {
    struct packed_array arrays[PACKED_MAX];
    int count;
};

/* Adds a zeroed array and gives its data in *data (borrowed). */
int packed_add(struct packed *packed, const char *name, enum array_type type,
               enum bit_category category, size_t rows, size_t columns, void *data);
const struct packed_array *packed_find(const struct packed *packed, const char *name); /* or NULL */
/* *data = the data of the array of that name, type and shape (borrowed); ERR_FORMAT when there is
 * none: what unpack reads may come from a file. */
int packed_get(const struct packed *packed, const char *name, enum array_type type, size_t rows,
               size_t columns, void *data);
size_t packed_bytes(const struct packed *packed); /* of all arrays */
void packed_category_bytes(const struct packed *packed, size_t bytes[BITS_CATEGORIES]);
void packed_release(struct packed *packed);

#endif
