/* Between bpe_train_words.c, which counts words, bpe_train.c, which learns the merges, and
 * bpe_train_write.c, which writes them down. */
#ifndef MODEL_BPE_TRAIN_INTERNAL_H
#define MODEL_BPE_TRAIN_INTERNAL_H

#include "model/bpe_table.h"
#include "model/bpe_train.h"

/* The distinct words of the texts, and how often each occurs. Zero-initialise. */
struct bpe_words {
    struct bpe_strings words;
    int64_t *counts;
    size_t capacity; /* of counts */
};
int bpe_count_words(struct bpe_words *words, const struct bpe_text *texts, size_t text_count,
                    const char *const *special_tokens, bool individual_digits);
void bpe_words_release(struct bpe_words *words);

struct bpe_merge {
    uint32_t left, right;
};

/* What was learned. Token ids: the special ones, the bytes in the order of their visible
 * characters, then the merges. */
struct bpe_learned {
    const char *const *special_tokens;
    uint32_t special_count;
    struct bpe_strings tokens; /* the bytes of id special_count + i as item i */
    struct bpe_merge *merges;
    size_t merge_count, merge_capacity;
};

int bpe_train_json(const struct bpe_learned *learned, const struct bpe_training *options,
                   char **json);

#endif
