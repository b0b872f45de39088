/* Pre-tokenizers: cutting text into the words within which BPE merges, by the rules of a
 * tokenizer.json. */
#ifndef MODEL_PRETOKENIZE_H
#define MODEL_PRETOKENIZE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct pretokenizer; /* immutable after opening: safe to share between threads */

/* From the value of "pre_tokenizer": ByteLevel, Digits, Split, or a Sequence of them that ends with
 * ByteLevel (so that the vocabulary is one of bytes). `file` names the file in messages. ERR_FORMAT
 * for what is malformed or not supported. */
int pretokenizer_from_json(struct pretokenizer **out, const json_t *rules, const char *file);
/* The same for a vocabulary of characters: Digits, Split, or a Sequence of them, without ByteLevel.
 */
int pretokenizer_for_characters(struct pretokenizer **out, const json_t *rules, const char *file);
void pretokenizer_free(struct pretokenizer *rules);

/* The rules of GPT-2 as such a value, with each digit on its own before them when asked for. NULL:
 * out of memory. */
json_t *pretokenizer_gpt2_json(bool individual_digits);

/* Receives one word; its bytes are valid during the call. Returns 0, or an error that ends the
 * cutting. */
typedef int pretokenize_word(void *context, const char *word, size_t size);

/* Calls emit for each word of text, in order. Bytes that are not part of valid UTF-8 are each taken
 * as U+FFFD for the rules, and come out as themselves. The words together are the text, less what a
 * Split removes and plus the spaces that add_prefix_space puts in. */
int pretokenizer_words(const struct pretokenizer *rules, const char *text, size_t size,
                       pretokenize_word *emit, void *context);

/* For pretokenize.c: the regular expression of a Split, written for Oniguruma (as in Hugging Face's
 * library), as PCRE2 means it: \s and \w become explicit classes, since PCRE2's \s takes U+180E for
 * a space and its \w leaves marks out. *out is owned by the caller. */
int pretokenize_translate(const char *pattern, char **out, const char *file);

#endif
