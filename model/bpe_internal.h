/* Between bpe.c, which encodes short words, and bpe_long.c, which encodes long ones. */
#ifndef MODEL_BPE_INTERNAL_H
#define MODEL_BPE_INTERNAL_H

#include "model/bpe.h"

/* The rank of a pair without a merge. */
#define BPE_NO_RANK UINT32_MAX

/* ids[0..return) = the word's bytes, or characters, as tokens; ids has room for `size`. */
size_t bpe_start_ids(const struct bpe *bpe, const char *word, size_t size, int32_t *ids);
/* The rank of a pair, and the token it becomes; BPE_NO_RANK and -1 where there is no merge. */
uint32_t bpe_rank(const struct bpe *bpe, int32_t left, int32_t right, int32_t *joined);

/* Appends the tokens of a word of any length to *encoder->out. */
int bpe_encode_long(struct bpe_encoder *encoder, const char *word, size_t size);

#endif
