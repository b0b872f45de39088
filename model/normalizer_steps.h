/* Inside of the normalizers: normalizer.c reads the rules, the others apply one each. */
#ifndef MODEL_NORMALIZER_STEPS_H
#define MODEL_NORMALIZER_STEPS_H

#include "model/charsmap.h"
#include "model/normalizer.h"
#include "model/prefix_set.h"

#include <stdint.h>

enum { NORMALIZER_STEPS = 16 };

enum normalizer_type {
    NORMALIZE_PREPEND,
    NORMALIZE_REPLACE,
    NORMALIZE_STRIP,
    NORMALIZE_NFC,
    NORMALIZE_NFD,
    NORMALIZE_NFKC,
    NORMALIZE_NFKD,
    NORMALIZE_LOWERCASE,
    NORMALIZE_PIECES,
};

/* SentencePiece's own, whole. */
struct normalize_pieces {
    bool add_prefix, first_only, remove_extra_space, escape_space;
    bool has_map;
    struct charsmap map;
    uint8_t *map_bytes;
    struct prefix_set user; /* pieces that the map leaves as they are */
    char *user_texts;
};

struct normalizer_step {
    enum normalizer_type type;
    char *from, *to; /* Prepend has `to` only */
    size_t from_size, to_size;
    bool left, right; /* of Strip */
    struct normalize_pieces *pieces;
};

struct normalizer {
    struct normalizer_step steps[NORMALIZER_STEPS];
    int count;
};

/* Each appends to out. */
int normalize_unicode(enum normalizer_type type, const char *text, size_t size, struct strbuf *out);
int normalize_pieces(const struct normalize_pieces *pieces, const char *text, size_t size,
                     bool at_start, struct strbuf *out);

#endif
