/* Trains a byte-level BPE vocabulary from text and writes it as a tokenizer.json that
 * tokenizer_open and Hugging Face tokenizers read alike. */
#ifndef MODEL_BPE_TRAIN_H
#define MODEL_BPE_TRAIN_H

#include <stdbool.h>
#include <stddef.h>

struct bpe_text {
    const char *text; /* any bytes; borrowed */
    size_t size;
    int weight; /* every word of this text counts so often; >= 1 */
};

struct bpe_training {
    int vocabulary; /* tokens in all: the special ones, 256 bytes, one a merge */
    /* Ends with NULL; ids 0, 1, ... NULL: only "<|endoftext|>", as id 0. Where one of them stands
     * in a text, it separates documents and is not learned. */
    const char *const *special_tokens;
    bool individual_digits; /* every digit is a word of its own, as in SmolLM2 */
    int least_count;        /* pairs that occur more rarely are not merged; 0: 2 */
};

/* *json = the text of a tokenizer.json, NUL behind, owned by the caller. Words are those of GPT-2's
 * pattern. Each step merges the most frequent pair of adjacent tokens, on equal counts the one of
 * the lowest left id, then the lowest right id; so the result depends on the texts and the options
 * alone. Where no pair reaches least_count, the vocabulary stays smaller than was asked for
 * (compare *tokens, which may be NULL). ERR_USAGE for options that cannot be met. */
int bpe_train(const struct bpe_text *texts, size_t text_count, const struct bpe_training *options,
              char **json, int *tokens);

/* The same, written to FOLDER/tokenizer.json, with a tokenizer_config.json beside it that names the
 * first special token as begin and end of text. */
int bpe_train_folder(const struct bpe_text *texts, size_t text_count,
                     const struct bpe_training *options, const char *folder, int *tokens);

#endif
