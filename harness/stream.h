/* A stream: many token sequences laid end to end, their targets, and their way
 * through the blocks. Perplexity windows, multiple-choice requests and
 * calibration segments are all streams. */
#ifndef HARNESS_STREAM_H
#define HARNESS_STREAM_H

#include "harness/states.h"
#include "model/model.h"

struct stream {
    int32_t *tokens;  /* rows of them, owned */
    int32_t *targets; /* rows: the token that row predicts, or -1 */
    int *branch;      /* rows: see struct batch */
    int *offsets;     /* count + 1 */
    int count, capacity;
    int rows, row_capacity;
};

/* Appends tokens[0..length) as a sequence. Row i predicts tokens[i + 1] for i
 * >= first_target - 1: the tokens from index first_target (at least 1) on are
 * scored. A first_target of length scores nothing. */
int stream_add(struct stream *stream, const int32_t *tokens, int length, int first_target);

/* One choice of a question: the whole sequence, context and continuation, of which the tokens from
 * index first_target on are scored. */
struct stream_branch {
    const int32_t *tokens;
    int length, first_target; /* 1 <= first_target < length */
    int row;                  /* out: the row of the stream that predicts tokens[first_target] */
};

/* Appends the sequences; what they have in common at their beginning is computed once, as the trunk
 * of one sequence with `count` branches. */
int stream_add_branches(struct stream *stream, struct stream_branch *branches, int count);

void stream_release(struct stream *stream);

/* Rows that stream_embed and stream_block ask for at once, at most: for states_open. */
int stream_largest_chunk(const struct stream *stream);

/* x (rows x width) = the embeddings of the whole stream. */
int stream_embed(const struct model *model, const struct stream *stream, struct states *x);

/* One block over the whole stream in chunks of whole sequences (at most about
 * 4,096 rows, whatever the memory: the sums of the Hessians depend on them). With tap, x stays as
 * it is and the taps see the block's inputs, chunk by chunk, with the number of sequences in the
 * chunk; without, x is updated. stage names the work for the progress display. */
struct stream_tap {
    int (*see)(void *context, int input, const float *x, int rows, int width, int sequences);
    void *context;
};
int stream_block(const struct model *model, const struct block *block, const struct stream *stream,
                 struct states *x, const struct stream_tap *tap, const char *stage);

/* The last block over a stream of which only the rows with a target are read: the others' states
 * have no meaning afterwards. */
int stream_last_block(const struct model *model, const struct block *block,
                      const struct stream *stream, struct states *x, const char *stage);

/* Rows with a target that the head goes over at once: scoring takes memory for them. */
enum { STREAM_SCORED_ROWS = 8192 };

/* Last hidden states of another model for the first rows with a target: x has a row for each. */
struct stream_reference {
    const struct model *model;
    struct states *x;
};

/* What the head says of the last hidden states x: scores has one a row; rows without a target get
 * zeros. With a reference (may be NULL) divergences has one a row too, zeros where the reference
 * has none. */
int stream_score(const struct model *model, const struct stream *stream, struct states *x,
                 const struct stream_reference *reference, struct token_score *scores,
                 struct token_divergence *divergences);

/* Copies the rows with a target to `kept`, until it is full: what a stream_reference is made of. */
int stream_keep(const struct stream *stream, struct states *x, struct states *kept);

/* SHA-256 of the little-endian ids and the sequences' lengths. */
void stream_hash(const struct stream *stream, char hex[HASH_HEX_SIZE]);

#endif
