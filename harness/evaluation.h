/* What is measured on every point: perplexity on texts and accuracy on
 * questions. All their tokens form one stream that rides through the blocks
 * once; afterwards the scores of its rows become metrics. */
#ifndef HARNESS_EVALUATION_H
#define HARNESS_EVALUATION_H

#include "harness/corpus_tokens.h"
#include "harness/spec.h"
#include "harness/store.h"
#include "harness/stream.h"

/* Windows without overlap over one text. */
struct perplexity_set {
    const struct perplexity_spec *spec; /* borrowed */
    int first_sequence, windows;
    long bytes; /* of text behind the scored tokens */
    char hash[HASH_HEX_SIZE];
};

/* One choice: where the rows lie that predict its continuation, behind its context and, for PMI,
 * behind the task's premise. */
struct choice_request {
    int row, tokens, premise_row, premise_tokens;
    int length;            /* tokens of start, context and continuation */
    int bytes, characters; /* of the continuation: characters are code points */
};

struct choice_set {
    const struct choice_spec *spec; /* borrowed */
    struct task_source source;
    const struct task *task;         /* source.task */
    enum scoring rules[SCORE_COUNT]; /* one metric each */
    int rule_count;
    struct questions questions;
    struct choice_request *requests; /* one for each choice of each question, in order */
    int first_sequence, sequences;
    char hash[HASH_HEX_SIZE];
};

struct evaluation {
    int max_positions; /* the model's, set before evaluation_prepare; 0: no limit is known */
    struct stream stream;
    int text_sequences; /* of the stream: the texts' windows come first */
    struct perplexity_set *perplexities;
    int perplexity_count;
    struct choice_set *choices;
    int choice_count;
};

/* Loads texts and questions, tokenizes and lays out the stream. */
int evaluation_prepare(struct evaluation *evaluation, const struct experiment *experiment,
                       struct corpus_cache *cache);
void evaluation_release(struct evaluation *evaluation);

/* Texts first, then questions by each of their rules: how many metrics there are, and one of them,
 * whose parts are allocated (mem_free). */
int evaluation_metric_count(const struct evaluation *evaluation);
int evaluation_metric(const struct evaluation *evaluation, int index,
                      const struct token_score *scores, struct metric_record *metric);

/* Against what the model was made for: ERR_USAGE for a question that is longer than its positions,
 * and for windows where the model has no such positions, else a warning: the user chose their
 * length. */
int evaluation_check_lengths(const struct evaluation *evaluation,
                             const struct model_config *config);

/* perplexity.c: adds the set's windows to the stream; turns scores (one a row
 * of the stream) into a metric. The metric's parts are allocated (mem_free).
 * Every window has T tokens, the last incomplete one is left out. The papers' rule: exp of the mean
 * negative log-likelihood of each window's T - 1 predictions. llama.cpp's, RULE_SECOND_HALF: of the
 * tokens from number T / 2 + 1 on, T - 1 - T / 2 of them, and where the tokenizer puts BOS before a
 * text, BOS stands in place of each window's first token. */
int perplexity_prepare(struct perplexity_set *set, struct stream *stream,
                       struct corpus_cache *cache);
int perplexity_metric(const struct perplexity_set *set, const struct stream *stream,
                      const struct token_score *scores, struct metric_record *metric);

/* divergence.c: what the metric says beside the perplexity of the distance to the full model's
 * predictions: kl_divergence, kl_error, same_top and each part's share of them. */
void perplexity_divergence(const struct perplexity_set *set, const struct stream *stream,
                           const struct token_divergence *divergences,
                           struct metric_record *metric);
/* *mean = sum of the parts' kl over their tokens; *error: its standard error from the windows as
 * clusters, sqrt(n / (n - 1) sum (kl_w - mean tokens_w)^2) / sum tokens_w: for windows of one
 * length the standard deviation of their means over sqrt(n). One window: NaN. */
void divergence_summary(const struct metric_part *parts, int count, double *mean, double *error);

/* choice.c: the same for questions, whose set->task is there; rule is 0 .. set->rule_count - 1. */
int choice_prepare(struct choice_set *set, struct stream *stream, const struct tokenizer *tokenizer,
                   int max_positions);
int choice_metric(const struct choice_set *set, int rule, const struct stream *stream,
                  const struct token_score *scores, struct metric_record *metric);
/* *out = {task, doc_id, ll, is_greedy, pred, pred_norm, gold} of question number `question` of the
 * set: the log-likelihood of each choice, whether its tokens are all the most probable ones, the
 * choice by SCORE_SUM and by SCORE_CHARACTERS; pred_RULE for other rules of the set. Questions with
 * one continuation have no pred. The caller's (json_decref). */
int choice_sample(const struct choice_set *set, int question, const struct stream *stream,
                  const struct token_score *scores, json_t **out);
/* The set's rules joined by +, in one order: "sum", "sum+characters". */
void choice_rules(const struct choice_set *set, char *out, size_t size);
void choice_release(struct choice_set *set);

#endif
