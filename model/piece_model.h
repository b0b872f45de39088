/* A SentencePiece vocabulary of the BPE kind, whichever file it came from: tokenizer.model, a GGUF
 * file, or llama2.c's tokenizer.bin. */
#ifndef MODEL_PIECE_MODEL_H
#define MODEL_PIECE_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SentencePiece's numbers, which GGUF has taken over. */
enum piece_type {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN = 2,
    PIECE_CONTROL = 3,
    PIECE_USER = 4,   /* found in the text before anything is merged */
    PIECE_UNUSED = 5, /* only for ids that must be there */
    PIECE_BYTE = 6,   /* <0x00> to <0xFF> */
};

struct piece {
    const char *text; /* UTF-8, U+2581 for a space; borrowed from the file's bytes */
    size_t size;
    float score; /* the pair whose joint piece has the highest is merged first */
    enum piece_type type;
};

struct piece_model {
    struct piece *pieces; /* by id */
    size_t count, capacity;
    int unknown, bos, eos;   /* -1: none */
    bool byte_fallback;      /* characters that are no piece become bytes */
    bool add_prefix;         /* a space before the text */
    bool remove_extra_space; /* none at the ends, single ones between */
    bool escape_space;       /* spaces become U+2581 */
    const uint8_t *charsmap; /* see model/charsmap.h; borrowed; NULL: characters stay as they are */
    size_t charsmap_size;
};

enum { PIECE_BYTES_LIMIT = 512 }; /* of a piece that merging may build */

/* Reads a tokenizer.model. The model borrows `bytes`; piece_model_release. `file` names them in
 * messages: ERR_FORMAT, also for vocabularies of another kind than BPE. */
int piece_model_read(struct piece_model *model, const void *bytes, size_t size, const char *file);

/* Whether the bytes are llama2.c's tokenizer.bin, record by record up to the end. */
bool piece_model_is_llama2c(const void *bytes, size_t size);
/* Reads one. Its texts have a space where U+2581 should be, and it says nothing of types: by its
 * program's conventions ids 0, 1, 2 are unknown, BOS, EOS, and bytes follow. *texts holds the
 * pieces' texts and is the caller's (mem_free), to be kept as long as the model. */
int piece_model_read_llama2c(struct piece_model *model, const void *bytes, size_t size,
                             const char *file, char **texts);

int piece_model_add(struct piece_model *model, const struct piece *piece);
/* The byte that "<0x0A>" stands for, or -1. */
int piece_byte(const char *text, size_t size);
void piece_model_release(struct piece_model *model);

#endif
