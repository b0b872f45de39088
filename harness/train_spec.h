/* Training specs: YAML in, options out. See experiments/train/embedded.yaml for a commented one. */
#ifndef HARNESS_TRAIN_SPEC_H
#define HARNESS_TRAIN_SPEC_H

#include "core/options.h"
#include "model/model.h"

#include <stdbool.h>

enum { TRAIN_MAX_CORPORA = 16 };

struct train_model_options {
    int layers, width, hidden, heads, kv_heads, head_size;
    bool tied_head;
    double norm_epsilon, rope_theta;
};
extern const struct option train_model_table[];

struct train_training_options {
    int sequences, context, shards; /* a batch */
    double tokens, warmup_tokens;   /* whole numbers; REAL since they pass 2^31 */
    int schedule;                   /* enum train_shape */
    double learning_rate, final_rate, decay_share, weight_decay, beta1, beta2, clip, dropout;
    int seed;
};
extern const struct option train_training_table[];

/* What does not change the result. */
struct train_report_options {
    int log_steps, validation_steps, validation_tokens;
    double checkpoint_minutes;
};
extern const struct option train_report_table[];

struct train_tokenizer_options {
    int vocabulary;
};
extern const struct option train_tokenizer_table[];

struct train_corpus_options {
    char name[OPTION_TEXT_SIZE];
    double weight;
    bool validate, tokenizer;
};
extern const struct option train_corpus_table[];

struct train_spec {
    char *title, *output, *path;
    struct train_model_options model;
    struct train_training_options training;
    struct train_report_options report;
    struct train_tokenizer_options tokenizer;
    struct train_corpus_options corpora[TRAIN_MAX_CORPORA];
    int corpus_count;
};

/* Reads PATH; sets: "key=value" texts that override the file (key: "training.tokens", "output"),
 * ending with NULL, or NULL. Errors name file, line and key. */
int train_spec_load(struct train_spec *spec, const char *path, const char *const *sets);
void train_spec_release(struct train_spec *spec);

/* Adds what the result depends on to the hash: everything but output, title, report, and when the
 * schedule ends, so that a run can be lengthened. */
int train_spec_hash(const struct train_spec *spec, struct hash *hash);

/* The model's configuration, once the vocabulary is known. */
void train_spec_config(const struct train_spec *spec, int vocabulary, int bos, int eos,
                       struct model_config *config);

#endif
