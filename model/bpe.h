/* Byte-pair encoding of one word at a time. */
#ifndef MODEL_BPE_H
#define MODEL_BPE_H

#include "model/bpe_table.h"
#include "model/tokenizer_kind.h"

struct pretokenizer;

struct bpe {
    int32_t byte_ids[256];    /* -1: the vocabulary has no token for the byte */
    int32_t unknown;          /* takes the place of such bytes; -1: they are left out */
    bool fuse_unknown;        /* neighbouring ones become one */
    struct bpe_pairs merges;  /* value: rank, the lowest is merged first; extra: id of the joined
                                 token */
    bool whole_words;         /* `ignore_merges`: a word that is a token needs no merges */
    struct bpe_strings words; /* for whole_words: the tokens' bytes, and their ids by number */
    int32_t *word_ids;
    struct pretokenizer *rules;
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
    struct bpe_candidate *heap;
    size_t heap_count, heap_capacity;
};
void bpe_encoder_release(struct bpe_encoder *encoder);

/* Appends the tokens of a word to *encoder->out: starting from its bytes, the leftmost pair of the
 * lowest rank is merged until no pair has a rank. */
int bpe_encode_word(struct bpe_encoder *encoder, const char *word, size_t size);

/* ---- reading; `file` names the file in messages, which are ERR_FORMAT ---- */

/* Tokens and ids of `vocabulary`, an object {token: id}, into the tokenizer. */
int bpe_read_vocabulary(struct tokenizer *tokenizer, const json_t *vocabulary, const char *file);
/* Merges as a list of "left right" or [left, right], or as the lines of a merges.txt. */
int bpe_read_merges(struct bpe *bpe, const json_t *vocabulary, const json_t *merges,
                    const char *file);
int bpe_read_merge_lines(struct bpe *bpe, const json_t *vocabulary, const struct file_map *lines,
                         const char *file);
/* Fills in byte_ids and, for whole_words, the words. */
int bpe_prepare(struct bpe *bpe, const json_t *vocabulary);

#endif
