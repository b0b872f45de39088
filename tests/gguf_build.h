/* Builds GGUF files in memory, after the format's description: for tests and fuzzing. */
#ifndef TESTS_GGUF_BUILD_H
#define TESTS_GGUF_BUILD_H

#include "tests/fixture.h"

#include <stdint.h>

struct gguf_build {
    struct strbuf pairs, tensors, data;
    uint64_t pair_count, tensor_count;
};

static inline void put_number(struct strbuf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        char byte = i < 8 ? (char)(value >> 8 * i & 255) : 0;
        FIXTURE_OK(strbuf_add(out, &byte, 1));
    }
}

static inline void put_text(struct strbuf *out, const char *text)
{
    put_number(out, strlen(text), 8);
    FIXTURE_OK(strbuf_add(out, text, strlen(text)));
}

/* A key and its type; the value follows, put by the caller. */
static inline void build_key(struct gguf_build *b, const char *key, int type)
{
    put_text(&b->pairs, key);
    put_number(&b->pairs, (uint64_t)type, 4);
    b->pair_count++;
}

static inline void build_text(struct gguf_build *b, const char *key, const char *value)
{
    build_key(b, key, 8);
    put_text(&b->pairs, value);
}

static inline void build_u32(struct gguf_build *b, const char *key, uint32_t value)
{
    build_key(b, key, 4);
    put_number(&b->pairs, value, 4);
}

static inline void build_f32(struct gguf_build *b, const char *key, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    build_key(b, key, 6);
    put_number(&b->pairs, bits, 4);
}

/* An array's head; `count` elements follow. */
static inline void build_array(struct gguf_build *b, const char *key, int type, uint64_t count)
{
    build_key(b, key, 9);
    put_number(&b->pairs, (uint64_t)type, 4);
    put_number(&b->pairs, count, 8);
}

/* A tensor whose entry says what is given, whatever its bytes are; rows 0: a vector. */
static inline void build_entry(struct gguf_build *b, const char *name, int type, uint64_t columns,
                               uint64_t rows, uint64_t offset)
{
    put_text(&b->tensors, name);
    put_number(&b->tensors, rows ? 2 : 1, 4);
    put_number(&b->tensors, columns, 8);
    if (rows)
        put_number(&b->tensors, rows, 8);
    put_number(&b->tensors, (uint64_t)type, 4);
    put_number(&b->tensors, offset, 8);
    b->tensor_count++;
}

static inline void build_tensor(struct gguf_build *b, const char *name, int type, uint64_t columns,
                                uint64_t rows, const void *bytes, size_t size)
{
    while (b->data.length % 32)
        FIXTURE_OK(strbuf_add(&b->data, "", 1));
    build_entry(b, name, type, columns, rows, b->data.length);
    FIXTURE_OK(strbuf_add(&b->data, bytes, size));
}

/* out (empty) = the file. */
static inline void build_finish(const struct gguf_build *b, uint32_t version, struct strbuf *out)
{
    FIXTURE_OK(strbuf_add(out, "GGUF", 4));
    put_number(out, version, 4);
    put_number(out, b->tensor_count, 8);
    put_number(out, b->pair_count, 8);
    FIXTURE_OK(strbuf_add(out, b->pairs.data ? b->pairs.data : "", b->pairs.length));
    FIXTURE_OK(strbuf_add(out, b->tensors.data ? b->tensors.data : "", b->tensors.length));
    while (b->data.length && out->length % 32)
        FIXTURE_OK(strbuf_add(out, "", 1));
    FIXTURE_OK(strbuf_add(out, b->data.data ? b->data.data : "", b->data.length));
}

static inline void build_release(struct gguf_build *b)
{
    strbuf_release(&b->pairs);
    strbuf_release(&b->tensors);
    strbuf_release(&b->data);
    *b = (struct gguf_build){0};
}

#endif
