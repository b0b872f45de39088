/* BPE of characters: what tokenizer_pieces.c applies and tokenizer_metaspace.c fills in from a
 * tokenizer.json. */
#ifndef MODEL_TOKENIZER_CHARACTERS_H
#define MODEL_TOKENIZER_CHARACTERS_H

#include "model/prefix_set.h"
#include "model/tokenizer_kind.h"

struct bpe;

struct characters {
    struct bpe *bpe;
    struct prefix_set user; /* user-defined pieces: found before merging */
    char *user_texts;
    bool metaspace; /* spaces become U+2581 */
    bool split;     /* and each begins a word */
    enum tokenizer_prefix prefix;
};

/* Gives the tokenizer this kind with an empty state, which tokenizer_free then frees. */
int characters_start(struct tokenizer *tokenizer, struct characters **state);

#endif
