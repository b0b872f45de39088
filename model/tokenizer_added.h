/* Added tokens: those that are found in the text itself, before it is cut into words. */
#ifndef MODEL_TOKENIZER_ADDED_H
#define MODEL_TOKENIZER_ADDED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct added_token {
    const char *content; /* the set has its own copy */
    size_t size;
    int32_t id;
    bool special;
    bool strip_left, strip_right; /* takes the white space on that side with it */
    bool second_pass; /* Hugging Face's `normalized`: looked for where the others were not found */
};

struct added_tokens {
    struct added_token *tokens; /* after added_tokens_prepare: the longest first */
    size_t count, capacity;
    bool begins[2][256]; /* by pass: whether a token begins with the byte */
};

/* Takes a copy of the content. */
int added_tokens_add(struct added_tokens *added, const struct added_token *token);
void added_tokens_prepare(struct added_tokens *added);
void added_tokens_release(struct added_tokens *added);

/* The next token in text[from..size), leftmost, the longest of several. *start and *end are its
 * place with the white space that it takes (start not before `from`). With `plain`, special tokens
 * are passed over. NULL: none. */
const struct added_token *added_tokens_next(const struct added_tokens *added, int pass, bool plain,
                                            const char *text, size_t size, size_t from,
                                            size_t *start, size_t *end);

#endif
