#include "methods/kept.h"

#include "core/err.h"
#include "linalg/bitpack.h"

int kept_pack(const uint8_t *kept, int rows, int columns, struct packed *packed)
{
    const size_t n = (size_t)columns, bytes = bitpack_row_bytes(1, n);
    uint8_t *mask;
    int rc = packed_add(packed, KEPT_ARRAY, ARRAY_U8, BITS_MASKS, (size_t)rows, bytes, &mask);
    for (size_t r = 0; rc == 0 && r < (size_t)rows; r++)
        bitpack_row(1, kept + r * n, n, mask + r * bytes);
    return rc;
}

int kept_unpack(const struct packed *packed, int rows, int columns, uint8_t *kept)
{
    const size_t n = (size_t)columns, bytes = bitpack_row_bytes(1, n);
    const uint8_t *mask = NULL;
    int rc = packed_get(packed, KEPT_ARRAY, ARRAY_U8, (size_t)rows, bytes, &mask);
    for (size_t r = 0; rc == 0 && r < (size_t)rows; r++)
        bitunpack_row(1, mask + r * bytes, n, kept + r * n);
    return rc;
}

void kept_clear(const uint8_t *kept, int rows, int columns, float *weight)
{
    size_t count = (size_t)rows * (size_t)columns;
    for (size_t i = 0; i < count; i++)
        if (!kept[i])
            weight[i] = 0;
}
