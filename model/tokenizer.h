/* Tokenizers: text (bytes) to ids and back. */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include "core/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tokenizer; /* opaque, immutable after opening: safe to share between threads */

/* Opens a model's folder (tokenizer.json, else vocab.json with merges.txt, else tokenizer.model, as
 * Hugging Face prefers them) or the named file: one of those (for NAMEvocab.json, NAMEmerges.txt
 * beside it), a GGUF file, llama2.c's tokenizer.bin, or a checkpoint of llama2.c, for which
 * tokN.bin (of N tokens) or tokenizer.bin beside it is taken. Files are told by their content.
 *
 * Which tokens begin and end a text is taken from tokenizer_config.json, else
 * special_tokens_map.json, the tokenizer's own file and config.json in the same folder, else from
 * the usual names; GGUF and llama2.c say it themselves. A tokenizer.model is read as Hugging Face's
 * LlamaTokenizer reads it: <unk>, <s>, </s> are found in the text, each with a space put before
 * what follows (but for `legacy: false`), and BOS goes in front.
 *
 * ERR_MISSING or ERR_FORMAT with file and key, also for what is not supported: vocabularies that
 * are not BPE, rules of a tokenizer.json that we do not know, `pre` names of GGUF likewise. Owned
 * by the caller. */
int tokenizer_open(struct tokenizer **out, const char *path);
void tokenizer_free(struct tokenizer *tokenizer);

/* "byte-level BPE": for people. */
const char *tokenizer_kind_name(const struct tokenizer *tokenizer);
/* The highest id + 1. */
int tokenizer_vocabulary(const struct tokenizer *tokenizer);
/* SHA-256 of the tokenizer's file (of vocab.json and merges.txt, one behind the other; of a GGUF
 * file, of the tokenizer's part alone). */
const char *tokenizer_hash(const struct tokenizer *tokenizer);
/* -1: none. */
int tokenizer_bos(const struct tokenizer *tokenizer);
int tokenizer_eos(const struct tokenizer *tokenizer);
/* Whether the tokenizer's authors put BOS before every text (OPT's </s> and LLaMA's <s>; GPT-2 and
 * SmolLM2 put none). */
bool tokenizer_adds_bos(const struct tokenizer *tokenizer);

/* *ids = the tokens of text[0..size), without BOS; owned by the caller (mem_free). Added tokens,
 * "<|endoftext|>" for one, are recognised in the text, as Hugging Face does. For valid UTF-8 the
 * ids are Hugging Face's.
 *
 * Text that is not UTF-8: each byte that is not part of a valid sequence (RFC 3629; the longest
 * valid prefix is taken, then one byte, and so on) counts as one U+FFFD where words are cut, as an
 * unknown character where characters are tokens, and is then encoded as itself: by the token of
 * the byte. So nothing is lost; Hugging Face sees U+FFFD only and forgets the bytes.
 *
 * Bytes and characters for which the vocabulary has no token become its unknown token, and nothing
 * where it has none, as with Hugging Face (SmolLM2 lacks 21 bytes): decoding then returns the text
 * without them. tokenizer_lacks counts them. Normalization loses too: white space with tok512, what
 * NFKC replaces, and U+2581 comes back as the space that it stands for in SentencePiece. All other
 * text comes back from decoding as it was. */
int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t size,
                     int32_t **ids, size_t *count);

/* What tokenizer(text) gives in Hugging Face: tokenizer_encode, with BOS once in front where
 * tokenizer_adds_bos. Published data loaders call it with the whole joined corpus, so BOS stands
 * once in front of all; lm-evaluation-harness calls it for each request. Text that is to follow
 * other tokens (a continuation, a document within a stream) goes through tokenizer_encode. */
int tokenizer_encode_default(const struct tokenizer *tokenizer, const char *text, size_t size,
                             int32_t **ids, size_t *count);

/* As tokenizer_encode, but special tokens within the text are ordinary text. */
int tokenizer_encode_plain(const struct tokenizer *tokenizer, const char *text, size_t size,
                           int32_t **ids, size_t *count);

/* How many of the text's bytes have no token, before it is normalized. */
size_t tokenizer_lacks(const struct tokenizer *tokenizer, const char *text, size_t size);

/* *text = the bytes of the ids, NUL behind; owned by the caller (mem_free). Special tokens come out
 * as their text; the space that encoding puts before a text is taken away. An id outside the
 * vocabulary is ERR_FORMAT. */
int tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                     char **text, size_t *size);

/* *bytes = how many bytes the ids stand for in the midst of a text: nothing is taken away in front.
 * An id outside the vocabulary is ERR_FORMAT. */
int tokenizer_count_bytes(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                          size_t *bytes);

#endif
