/* Tokenizers: text (bytes) to ids and back. */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include "core/hash.h"

#include <stddef.h>
#include <stdint.h>

struct tokenizer; /* opaque, immutable after opening: safe to share between threads */

/* Opens tokenizer.json in a model's folder, or the named file itself. Owned by the caller. */
int tokenizer_open(struct tokenizer **out, const char *path);
void tokenizer_free(struct tokenizer *tokenizer);

int tokenizer_vocabulary(const struct tokenizer *tokenizer);
/* SHA-256 of the tokenizer's file. */
const char *tokenizer_hash(const struct tokenizer *tokenizer);
/* -1: none. */
int tokenizer_bos(const struct tokenizer *tokenizer);
int tokenizer_eos(const struct tokenizer *tokenizer);

/* *ids = the tokens of text[0..size), without BOS; owned by the caller. Bytes that are not UTF-8 are each taken as U+FFFD
 * would be by the pre-tokenizer, and encoded as themselves: nothing is lost. */
int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t size, int32_t **ids, size_t *count);

/* *text = the bytes of the ids, NUL behind; owned by the caller. An id outside the vocabulary is ERR_FORMAT. */
int tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count, char **text, size_t *size);

#endif
