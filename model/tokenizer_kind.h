/* Inside of the tokenizers: what tokenizer.c, which every kind shares, asks of a kind. A kind is
 * one file with one struct tokenizer_kind; tokenizer_open.c knows by which files to tell it. */
#ifndef MODEL_TOKENIZER_KIND_H
#define MODEL_TOKENIZER_KIND_H

#include "core/file.h"
#include "model/normalizer.h"
#include "model/piece_model.h"
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
    /* Appends the tokens of a stretch of normalized text without added tokens; size > 0. at_start:
     * it is the beginning of the text. */
    int (*encode)(void *encoder, const char *text, size_t size, bool at_start,
                  struct token_list *out);
    /* How many bytes of the text have no token. */
    size_t (*lacking)(const struct tokenizer *tokenizer, const char *text, size_t size);
    void (*free)(void *state);
};

/* Where encoding puts a space that was not there, which decoding takes away. */
enum tokenizer_prefix {
    PREFIX_NONE,
    PREFIX_FIRST,  /* before the text */
    PREFIX_ALWAYS, /* before the text, and before what follows an added token */
};

/* The bytes of a token. */
struct token_text {
    size_t offset; /* within tokenizer.texts */
    uint32_t size;
    bool known; /* false: no token has this id */
    bool added; /* one of tokenizer.added */
};

struct tokenizer {
    const struct tokenizer_kind *kind;
    void *state;                   /* the kind's */
    struct normalizer *normalizer; /* NULL: none */
    enum tokenizer_prefix prefix;
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

/* The same from memory; path stands for the file in messages. */
int tokenizer_parse_json(json_t **out, const void *bytes, size_t size, const char *path,
                         size_t flags);

/* All of a tokenizer, but for what the files beside it say, from tokenizer.json's content. bos and
 * adds_bos are set where it says. */
int tokenizer_from_json(struct tokenizer *tokenizer, const json_t *root, const char *file);

/* Reads a list of added tokens, objects as in a tokenizer.json, and gives each its place:
 * vocabulary is that of the file, NULL where tokens are known by their text. */
int tokenizer_read_added(struct tokenizer *tokenizer, const json_t *list, const json_t *vocabulary,
                         const char *file);
/* Once every token is known: makes the added ones ready to be found. */
int tokenizer_prepare_added(struct tokenizer *tokenizer);

/* The kind for byte-level BPE, from tokenizer.json's content, or from vocab.json's and
 * merges.txt's. They fill in kind, state and tokens; tokenizer_bpe_check looks at the model alone,
 * for both kinds. */
int tokenizer_bpe_check(const json_t *model, const char *file);
int tokenizer_bpe_from_json(struct tokenizer *tokenizer, const json_t *root, const char *file);
int tokenizer_bpe_from_merges(struct tokenizer *tokenizer, const json_t *vocabulary,
                              const char *vocabulary_file, const struct file_map *merges,
                              const char *merges_file, bool add_prefix_space);

/* The kind for BPE of characters, from tokenizer.json's content. */
int tokenizer_characters_from_json(struct tokenizer *tokenizer, const json_t *root,
                                   const char *file);
/* The same from a SentencePiece vocabulary: also fills in normalizer, added and the edges. With
 * first_only, the space in front goes before the text alone (Hugging Face's `legacy: false`). With
 * every_control, every control piece is found in the text, not only BOS and EOS. ERR_FORMAT for
 * what is not supported, `file` named. */
int tokenizer_from_pieces(struct tokenizer *tokenizer, const struct piece_model *model,
                          bool first_only, bool every_control, const char *file);

/* The files that hold a whole tokenizer. */
enum tokenizer_format {
    TOKENIZER_JSON,          /* tokenizer.json */
    TOKENIZER_SENTENCEPIECE, /* tokenizer.model */
    TOKENIZER_LLAMA2C,       /* tokenizer.bin */
    TOKENIZER_GGUF,
};
/* What such a file says, from memory, which is not needed afterwards; its content is added to
 * hash. `file` stands for it in messages. */
int tokenizer_read_format(struct tokenizer *tokenizer, enum tokenizer_format format,
                          const void *bytes, size_t size, bool first_only, const char *file,
                          struct hash *hash);
/* The last of them; of the file, only what belongs to the tokenizer is hashed. */
struct gguf;
int tokenizer_from_gguf(struct tokenizer *tokenizer, const struct gguf *gguf, struct hash *hash);

/* A tokenizer of one file from memory. Nothing beside it is looked at. */
int tokenizer_open_memory(struct tokenizer **out, enum tokenizer_format format, const void *bytes,
                          size_t size, const char *name);

#endif
