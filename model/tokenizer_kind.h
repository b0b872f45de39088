/* Inside of the tokenizers: what tokenizer.c, which every kind shares, asks of a kind. A kind is
 * one file with one struct tokenizer_kind; tokenizer_open.c knows by which files to tell it. */
#ifndef MODEL_TOKENIZER_KIND_H
#define MODEL_TOKENIZER_KIND_H

#include "core/file.h"
#include "model/tokenizer.h"
#include "model/tokenizer_added.h"

#include <jansson.h>

/* A growing list of ids. Zero-initialise; mem_free(ids). */
struct token_list {
    int32_t *ids;
    size_t count, capacity;
};
int token_list_add(struct token_list *list, const int32_t *ids, size_t count);

struct tokenizer_kind {
    const char *name;
    /* An encoder is what one call of tokenizer_encode needs besides the immutable tokenizer: caches
     * and scratch. */
    int (*encoder_open)(const struct tokenizer *tokenizer, void **encoder);
    void (*encoder_free)(void *encoder);
    /* Appends the tokens of a stretch of text without added tokens; size > 0. */
    int (*encode)(void *encoder, const char *text, size_t size, struct token_list *out);
    /* Whether the byte comes out of decode(encode(.)). */
    bool (*has_byte)(const struct tokenizer *tokenizer, uint8_t byte);
    void (*free)(void *state);
};

/* The bytes of a token. */
struct token_text {
    size_t offset; /* within tokenizer.texts */
    uint32_t size;
    bool known; /* false: no token has this id */
};

struct tokenizer {
    const struct tokenizer_kind *kind;
    void *state; /* the kind's */
    struct added_tokens added;
    struct token_text *tokens; /* vocabulary of them */
    char *texts;
    size_t texts_size, texts_capacity;
    int vocabulary, bos, eos;
    bool adds_bos;
    char hash[HASH_HEX_SIZE];
};

/* Makes room for ids 0..vocabulary-1. */
int tokenizer_set_vocabulary(struct tokenizer *tokenizer, int vocabulary);
/* Gives an id (within the vocabulary) its bytes. */
int tokenizer_set_text(struct tokenizer *tokenizer, int id, const char *bytes, size_t size);
/* The id of a token by its bytes, or -1. Slow: for opening only. */
int tokenizer_find(const struct tokenizer *tokenizer, const char *text);

/* Maps a file of at most 64 MiB (ERR_FORMAT) and parses it with jansson's flags; it must hold an
 * object. Its bytes are added to hash unless that is NULL. */
int tokenizer_read_json(json_t **out, const char *path, size_t flags, struct hash *hash);
int tokenizer_map(struct file_map *map, const char *path);

/* Opens a tokenizer.json; its content is added to hash. bos and adds_bos are set where the file
 * says. */
int tokenizer_open_json(struct tokenizer *tokenizer, const char *path, struct hash *hash);

/* The kind for byte-level BPE, from tokenizer.json's content, or from vocab.json's and
 * merges.txt's. They fill in kind, state, tokens and added. */
int tokenizer_bpe_from_json(struct tokenizer *tokenizer, const json_t *root, const char *file);
int tokenizer_bpe_from_merges(struct tokenizer *tokenizer, const json_t *vocabulary,
                              const char *vocabulary_file, const struct file_map *merges,
                              const char *merges_file, bool add_prefix_space);

#endif
