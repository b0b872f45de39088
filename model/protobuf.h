/* Reading the fields of a protobuf message, in the order in which they are written. */
#ifndef MODEL_PROTOBUF_H
#define MODEL_PROTOBUF_H

#include <stddef.h>
#include <stdint.h>

enum { PROTOBUF_VARINT = 0, PROTOBUF_FIXED64 = 1, PROTOBUF_BYTES = 2, PROTOBUF_FIXED32 = 5 };

struct protobuf {
    const uint8_t *start, *at, *end; /* borrowed; start only tells where something is wrong */
};

struct protobuf_field {
    uint32_t number;
    int wire;             /* one of the four above: groups do not occur */
    uint64_t value;       /* of VARINT, FIXED64 and FIXED32 */
    const uint8_t *bytes; /* of BYTES: within the message */
    size_t size;
};

/* 1: *field is the next one; 0: the message has ended; -1: the bytes at reader->at are no field. */
int protobuf_next(struct protobuf *reader, struct protobuf_field *field);

/* A FIXED32 as the float it is. */
float protobuf_float(const struct protobuf_field *field);

#endif
