/* The alphabet of byte-level BPE, in which every byte has a visible character, and the UTF-8 that
 * it is written in. */
#ifndef MODEL_BPE_BYTES_H
#define MODEL_BPE_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* The code point that stands for a byte in vocabulary files: printable Latin-1 bytes stand for
 * themselves, the other 68 for U+0100 to U+0143 in the order of the bytes. */
uint32_t bpe_byte_to_char(uint8_t byte);
/* The byte that a code point stands for, or -1. */
int bpe_char_to_byte(uint32_t code_point);

/* The code point at text[0..size) and its length in bytes, or 0 where the bytes are not UTF-8 (RFC
 * 3629: no surrogates, no overlong forms, nothing above U+10FFFF). size > 0. */
int utf8_decode(const char *text, size_t size, uint32_t *code_point);
/* Writes 1 to 4 bytes and returns how many. */
int utf8_encode(uint32_t code_point, char out[4]);
/* The number of bytes before the first that is not part of valid UTF-8; size when all are. */
size_t utf8_valid_prefix(const char *text, size_t size);

/* Where the white space that ends at text[at] begins, not before `from`; where that which begins
 * at text[at] ends. */
size_t utf8_space_before(const char *text, size_t from, size_t at);
size_t utf8_space_behind(const char *text, size_t size, size_t at);

/* out[0..return) = the bytes that a token of a vocabulary file stands for; out holds at least
 * strlen(token) bytes. A token with a character outside of the alphabet stands for its own UTF-8
 * bytes. */
size_t bpe_token_bytes(const char *token, char *out);

#endif
