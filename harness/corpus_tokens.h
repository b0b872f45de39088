/* Texts as tokens, each split of each corpus extracted and tokenized once for
 * all points of a run. */
#ifndef HARNESS_CORPUS_TOKENS_H
#define HARNESS_CORPUS_TOKENS_H

#include "core/hash.h"
#include "datasets/dataset.h"
#include "model/tokenizer.h"

#include <stdbool.h>

/* What is wanted of a corpus. */
struct corpus_request {
    const char *name; /* as corpus_open takes it, or "ids:..." (harness/token_ids.h) */
    int split;
    enum corpus_use use;
    int length;        /* tokens of a segment or window */
    int samples, seed; /* of a draw from single rows; else passed over */
};

struct corpus_tokens {
    char name[OPTION_TEXT_SIZE];
    int split, use, samples, length, seed; /* what was asked for; the last three 0 where they make
                                              no difference */
    int32_t *ids;                          /* owned */
    size_t count;
    size_t row;          /* 0: one text; else rows of so many tokens, which nothing is to cross */
    size_t most_windows; /* perplexity is measured on so many windows at most; 0: on all */
    bool is_text;        /* the ids stand for bytes of text that are known */
    bool brought; /* a corpus of the data folder, which papers draw with Python's generator */
    int changed;  /* the text is not the published one */
    char text_hash[HASH_HEX_SIZE];
};

struct corpus_cache {
    const struct tokenizer *tokenizer; /* borrowed; NULL: only ids can be had */
    int vocabulary; /* of the model, which ids are checked against; 0: the tokenizer's */
    struct corpus_tokens **entries;
    int count, capacity;
};

/* *out = what was asked for, borrowed from the cache. An empty text is ERR_FORMAT. */
int corpus_cache_get(struct corpus_cache *cache, const struct corpus_request *request,
                     const struct corpus_tokens **out);
void corpus_cache_release(struct corpus_cache *cache);

#endif
