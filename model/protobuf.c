#include "model/protobuf.h"

#include <string.h>

/* Seven bits a byte, the lowest first, the top bit set in all but the last; at most ten bytes.
 * Returns how many, or 0. */
static size_t varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < 10 && i < (size_t)(end - at); i++) {
        sum |= (uint64_t)(at[i] & 0x7f) << 7 * i;
        if (!(at[i] & 0x80)) {
            *value = sum;
            return i + 1;
        }
    }
    return 0;
}

static uint64_t fixed(const uint8_t *at, size_t size)
{
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

int protobuf_next(struct protobuf *reader, struct protobuf_field *field)
{
    const uint8_t *at = reader->at, *end = reader->end;
    uint64_t key, size;
    size_t taken;
    if (at == end)
        return 0;
    if (!(taken = varint(at, end, &key)) || key >> 3 == 0 || key >> 3 > 0x1fffffff)
        return -1;
    at += taken;
    struct protobuf_field found = {.number = (uint32_t)(key >> 3), .wire = (int)(key & 7)};
    switch (found.wire) {
    case PROTOBUF_VARINT:
        if (!(taken = varint(at, end, &found.value)))
            return -1;
        break;
    case PROTOBUF_BYTES:
        if (!(taken = varint(at, end, &size)) || size > (size_t)(end - at) - taken)
            return -1;
        found.bytes = at + taken;
        found.size = (size_t)size;
        taken += found.size;
        break;
    case PROTOBUF_FIXED64:
    case PROTOBUF_FIXED32:
        taken = found.wire == PROTOBUF_FIXED32 ? 4 : 8;
        if (taken > (size_t)(end - at))
            return -1;
        found.value = fixed(at, taken);
        break;
    default: return -1;
    }
    reader->at = at + taken;
    *field = found;
    return 1;
}

float protobuf_float(const struct protobuf_field *field)
{
    uint32_t bits = (uint32_t)field->value;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
