/* Normalizers: what a tokenizer does to the text before it looks for its tokens. */
#ifndef MODEL_NORMALIZER_H
#define MODEL_NORMALIZER_H

#include "core/mem.h"
#include "model/piece_model.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct normalizer; /* immutable after opening: safe to share between threads */

/* From the value of "normalizer" in a tokenizer.json: Prepend, Replace (of a string), Strip, NFC,
 * NFD, NFKC, NFKD, Lowercase, or a Sequence of them. *out is NULL where there is none. `file` names
 * the file in messages. ERR_FORMAT for what is malformed or not supported. */
int normalizer_from_json(struct normalizer **out, const json_t *rules, const char *file);

/* SentencePiece's: the characters' map, white space, the space in front. With first_only, that
 * space goes before the text alone, not before what follows an added token (Hugging Face's
 * `legacy: false`). Copies what it needs of the model. */
int normalizer_from_pieces(struct normalizer **out, const struct piece_model *model,
                           bool first_only, const char *file);
void normalizer_free(struct normalizer *normalizer);

/* *out = the normalized text, its former content gone. at_start: nothing stands before text. Bytes
 * that are not UTF-8 come through as they are. */
int normalizer_apply(const struct normalizer *normalizer, const char *text, size_t size,
                     bool at_start, struct strbuf *out);

#endif
