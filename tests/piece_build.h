/* Builds SentencePiece models in memory, after sentencepiece_model.proto: for tests and fuzzing. */
#ifndef TESTS_PIECE_BUILD_H
#define TESTS_PIECE_BUILD_H

#include "model/piece_model.h"
#include "tests/fixture.h"

#include <stdint.h>

#define MARK "\xe2\x96\x81" /* U+2581, a space within pieces */

static inline void put_varint(struct strbuf *out, uint64_t value)
{
    do {
        char byte = (char)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
        FIXTURE_OK(strbuf_add(out, &byte, 1));
        value >>= 7;
    } while (value);
}

static inline void put_integer(struct strbuf *out, uint32_t field, uint64_t value)
{
    put_varint(out, field << 3);
    put_varint(out, value);
}

static inline void put_bytes(struct strbuf *out, uint32_t field, const void *bytes, size_t size)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, size);
    FIXTURE_OK(strbuf_add(out, size ? bytes : "", size));
}

static inline void put_piece_of(struct strbuf *out, const char *text, size_t size, float score,
                                uint64_t type)
{
    struct strbuf piece = {0};
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    put_bytes(&piece, 1, text, size);
    put_varint(&piece, 2 << 3 | 5);
    for (int i = 0; i < 4; i++) {
        char byte = (char)(bits >> 8 * i & 255);
        FIXTURE_OK(strbuf_add(&piece, &byte, 1));
    }
    if (type != PIECE_NORMAL)
        put_integer(&piece, 3, type);
    put_bytes(out, 1, piece.data, piece.length);
    strbuf_release(&piece);
}

static inline void put_piece(struct strbuf *out, const char *text, float score, uint64_t type)
{
    put_piece_of(out, text, strlen(text), score, type);
}

/* <unk>, <s>, </s> as 0, 1, 2, and with `bytes` the 256 as 3 to 258. */
static inline void put_first_pieces(struct strbuf *out, int bytes)
{
    put_piece(out, "<unk>", 0, PIECE_UNKNOWN);
    put_piece(out, "<s>", 0, PIECE_CONTROL);
    put_piece(out, "</s>", 0, PIECE_CONTROL);
    for (int b = 0; bytes && b < 256; b++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", (unsigned)b);
        put_piece(out, text, 0, PIECE_BYTE);
    }
}

/* 3: mark, 4 to 6: a b c, then what they merge to, the best score first. */
static inline void put_small_pieces(struct strbuf *file)
{
    put_piece(file, MARK, -10, PIECE_NORMAL);    /* 3 */
    put_piece(file, "a", -11, PIECE_NORMAL);     /* 4 */
    put_piece(file, "b", -12, PIECE_NORMAL);     /* 5 */
    put_piece(file, "c", -13, PIECE_NORMAL);     /* 6 */
    put_piece(file, "bc", -1, PIECE_NORMAL);     /* 7 */
    put_piece(file, "ab", -2, PIECE_NORMAL);     /* 8 */
    put_piece(file, "aa", -2, PIECE_NORMAL);     /* 9: as good as ab */
    put_piece(file, MARK "a", -3, PIECE_NORMAL); /* 10 */
    put_piece(file, "abc", -4, PIECE_NORMAL);    /* 11: a bc, or ab c */
}

struct piece_settings {
    int kind;                   /* 2: BPE */
    int bytes;                  /* byte_fallback */
    int prefix, remove, escape; /* 0 or 1 */
    const void *charsmap;
    size_t charsmap_size;
};

static inline void put_settings(struct strbuf *out, const struct piece_settings *settings)
{
    struct strbuf inside = {0};
    put_integer(&inside, 3, (uint64_t)settings->kind);
    put_integer(&inside, 35, (uint64_t)settings->bytes);
    put_integer(&inside, 43, UINT64_MAX); /* pad_id: none */
    put_bytes(out, 2, inside.data, inside.length);
    inside.length = 0;
    put_bytes(&inside, 1, "made", 4);
    if (settings->charsmap)
        put_bytes(&inside, 2, settings->charsmap, settings->charsmap_size);
    put_integer(&inside, 3, (uint64_t)settings->prefix);
    put_integer(&inside, 4, (uint64_t)settings->remove);
    put_integer(&inside, 5, (uint64_t)settings->escape);
    put_bytes(out, 3, inside.data, inside.length);
    strbuf_release(&inside);
}

#endif
