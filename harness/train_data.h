/* The corpora of a training spec as tokens: documents of the train splits, windows of the
 * validation splits. */
#ifndef HARNESS_TRAIN_DATA_H
#define HARNESS_TRAIN_DATA_H

#include "core/hash.h"
#include "harness/train_spec.h"
#include "model/tokenizer.h"
#include "model/train.h"

struct train_corpus_data {
    const char *name; /* of the spec's */
    double weight;
    bool validate;
    int32_t *tokens; /* of the train split, documents end to end */
    size_t *offsets; /* count + 1 */
    size_t count;
    int32_t *joiner;
    size_t joiner_count;
    int32_t *validation; /* the validation split as one text */
    size_t validation_count;
    size_t validation_bytes; /* of that text, for bits per byte */
};

struct train_data {
    struct tokenizer *tokenizer;
    struct train_corpus_data corpora[TRAIN_MAX_CORPORA];
    int count;
};

/* Extracts the corpora; trains output/tokenizer.json on the train splits when it is absent;
 * tokenizes. */
int train_data_load(struct train_data *data, const struct train_spec *spec);
void train_data_release(struct train_data *data);
void train_data_hash(const struct train_data *data, struct hash *hash);
/* streams receives data->count views. */
void train_data_streams(const struct train_data *data, struct train_stream *streams);

#endif
