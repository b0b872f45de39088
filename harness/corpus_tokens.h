/* Texts as tokens, each split of each corpus extracted and tokenized once for
 * all points of a run. */
#ifndef HARNESS_CORPUS_TOKENS_H
#define HARNESS_CORPUS_TOKENS_H

#include "core/hash.h"
#include "datasets/dataset.h"
#include "model/tokenizer.h"

struct corpus_tokens {
    char name[OPTION_TEXT_SIZE];
    int split;
    int32_t *ids; /* owned */
    size_t count;
    int changed; /* the text is not the one that bitbench was published with */
    char text_hash[HASH_HEX_SIZE];
};

struct corpus_cache {
    const struct tokenizer *tokenizer; /* borrowed */
    struct corpus_tokens **entries;
    int count, capacity;
};

/* *out = the tokens of a split, borrowed from the cache. An empty text is
 * ERR_FORMAT. */
int corpus_cache_get(struct corpus_cache *cache, const char *name, int split,
                     const struct corpus_tokens **out);
void corpus_cache_release(struct corpus_cache *cache);

#endif
