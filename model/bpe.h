/* Byte-pair encoding of one word at a time: of its bytes, or of its characters. */
#ifndef MODEL_BPE_H
#define MODEL_BPE_H

#include "model/bpe_table.h"
#include "model/tokenizer_kind.h"

struct pretokenizer;
struct piece_model;

struct bpe {
    int32_t byte_ids[256];    /* -1: the vocabulary has no token for the byte; with `characters`
                                 those of ASCII characters */
    int32_t unknown;          /* takes the place of such bytes; -1: they are left out */
    bool fuse_unknown;        /* neighbouring ones become one */
    struct bpe_pairs merges;  /* value: rank, the lowest is merged first; extra: id of the joined
                                 token */
    bool whole_words;         /* `ignore_merges`: a word that is a token needs no merges */
    struct bpe_strings words; /* for whole_words: the tokens' bytes, and their ids by number */
    int32_t *word_ids;
    struct pretokenizer *rules; /* may be NULL with `characters` */
    /* A word starts as its characters. */
    bool characters;
    struct bpe_pairs char_ids; /* (0, code point); value: id */
    bool byte_fallback;        /* other characters start as the tokens of their bytes */
    int32_t fallback_ids[256]; /* -1: none */
    uint64_t *joins;           /* see bpe_may_join */
};
void bpe_free(struct bpe *bpe);

/* Scratch of one call, with a cache of the words seen. Zero-initialise but for bpe. */
struct bpe_encoder {
    const struct bpe *bpe;
    struct token_list *out;
    struct bpe_strings cache;
    struct cached_ids {
        uint32_t offset, count; /* within ids */
    } * spans;
    size_t span_capacity;
    struct token_list ids;
    struct bpe_symbol *symbols; /* for long words */
    size_t symbol_capacity;
    uint64_t *heap;
    size_t heap_count, heap_capacity;
};
void bpe_encoder_release(struct bpe_encoder *encoder);

/* Appends the tokens of a word to *encoder->out: starting from its bytes, the leftmost pair of the
 * lowest rank is merged until no pair has a rank. */
int bpe_encode_word(struct bpe_encoder *encoder, const char *word, size_t size);

/* The token of a character, of `size` bytes at text; -1: none. size 1 with a byte that is not UTF-8
 * has none. bpe_has_character: whether it has one, or one for each of its bytes. */
int32_t bpe_character_id(const struct bpe *bpe, const char *text, size_t size, uint32_t code_point);
bool bpe_has_character(const struct bpe *bpe, const char *text, size_t size, uint32_t code_point);
/* False: no merge joins a token that ends with one code point to one that begins with the other, so
 * that text may be cut between them. */
bool bpe_may_join(const struct bpe *bpe, uint32_t last, uint32_t first);

/* ---- reading; `file` names the file in messages, which are ERR_FORMAT ---- */

/* How the tokens of a vocabulary are written: by the visible characters of bytes, or as pieces
 * (U+2581 for a space; <0x0A> for a byte where byte_fallback is set). */
enum bpe_spelling { BPE_BYTES, BPE_PIECES, BPE_PIECES_AND_BYTES };
/* Tokens and ids of `vocabulary`, an object {token: id}, into the tokenizer. */
int bpe_read_vocabulary(struct tokenizer *tokenizer, const json_t *vocabulary,
                        enum bpe_spelling spelling, const char *file);
/* The text of a piece, as that of a token. */
int bpe_set_piece(struct tokenizer *tokenizer, int id, const char *text, size_t size, bool byte);
/* Merges as a list of "left right" or [left, right], or as the lines of a merges.txt. */
int bpe_read_merges(struct bpe *bpe, const json_t *vocabulary, const json_t *merges,
                    const char *file);
int bpe_read_merge_lines(struct bpe *bpe, const json_t *vocabulary, const struct file_map *lines,
                         const char *file);
/* Fills in byte_ids and, for whole_words, the words. */
int bpe_prepare(struct bpe *bpe, const json_t *vocabulary);
/* The same for `characters`: char_ids, fallback_ids, joins, words. */
int bpe_prepare_characters(struct bpe *bpe, const json_t *vocabulary, int highest);
/* All of a bpe of characters, from a SentencePiece vocabulary. */
int bpe_from_pieces(struct bpe *bpe, const struct piece_model *model, const char *file);

#endif
