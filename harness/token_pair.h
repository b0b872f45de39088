/* A context and its continuation as tokens. */
#ifndef HARNESS_TOKEN_PAIR_H
#define HARNESS_TOKEN_PAIR_H

#include "datasets/dataset.h"
#include "model/tokenizer.h"

/* Zero-initialise and set the first three members. Keeps the last context's tokens, since the
 * choices of a question mostly share theirs. */
struct pair_encoder {
    const struct tokenizer *tokenizer; /* borrowed */
    enum pair_rule rule;
    int max_positions; /* PAIRS_PLAIN: of what is longer, the end is kept; 0: no limit */
    char *context;     /* the last one, and its tokens without a start */
    int32_t *alone;
    size_t alone_count;
};
void pair_encoder_release(struct pair_encoder *encoder);

/* The continuation's tokens are ids[first .. count - 1], first >= 1; ids is owned. */
struct token_pair {
    int32_t *ids;
    int count, first;
};

/* See enum pair_rule. With PAIRS_PLAIN the pair has at most max_positions + 1 tokens: the last one
 * is predicted and never read. ERR_FORMAT when the continuation is left without a token of its own,
 * when it alone passes the limit, and when the tokenizer names no token to start with. */
int token_pair_encode(struct pair_encoder *encoder, const char *context, const char *continuation,
                      struct token_pair *out);

#endif
