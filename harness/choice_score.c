/* The scores of the requests' rows become metrics, by each rule, and samples. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/evaluation.h"
#include "harness/statistics.h"

#include <math.h>

/* The sum over the rows that predict a continuation. */
static double log_likelihood(const struct token_score *scores, int row, int tokens)
{
    double sum = 0;
    for (int i = 0; i < tokens; i++)
        sum += (double)scores[row + i].log_probability;
    return sum;
}

static double choice_score(enum scoring rule, const struct choice_request *request,
                           const struct token_score *scores)
{
    double sum = log_likelihood(scores, request->row, request->tokens);
    switch (rule) {
    case SCORE_TOKENS: return sum / (double)request->tokens;
    case SCORE_BYTES: return sum / (double)request->bytes;
    case SCORE_CHARACTERS: return sum / (double)request->characters;
    case SCORE_PMI:
        return sum - log_likelihood(scores, request->premise_row, request->premise_tokens);
    default: return sum;
    }
}

/* Whether every token of the continuation is the most probable one. */
static bool is_greedy(const struct choice_request *request, const struct stream *stream,
                      const struct token_score *scores)
{
    for (int i = request->row; i < request->row + request->tokens; i++)
        if (scores[i].top != stream->targets[i])
            return false;
    return true;
}

/* The first maximum wins. NaN scores lose to every number; all NaN: the first choice. *margin =
 * what the best is ahead of the second. */
static int best_choice(enum scoring rule, const struct question *item,
                       const struct choice_request *requests, const struct token_score *scores,
                       double *margin)
{
    int best = 0;
    double top = choice_score(rule, &requests[0], scores), second = -INFINITY;
    for (int c = 1; c < item->choices; c++) {
        double score = choice_score(rule, &requests[c], scores);
        bool better = score > top || (isnan(top) && !isnan(score));
        double loser = better ? top : score;
        second = loser > second ? loser : second;
        if (better) {
            best = c;
            top = score;
        }
    }
    *margin = top - second;
    return best;
}

/* One question by one rule. */
static void judge(const struct choice_set *set, enum scoring rule, const struct question *item,
                  const struct choice_request *requests, const struct stream *stream,
                  const struct token_score *scores, struct metric_part *part)
{
    *part = (struct metric_part){.index = item->id, .gold = item->gold, .margin = NAN};
    if (rule == SCORE_PERPLEXITY) {
        part->value = -log_likelihood(scores, requests->row, requests->tokens);
        part->count = 1;
    } else if (rule == SCORE_GREEDY) {
        part->value = is_greedy(requests, stream, scores);
        part->count = part->value > 0 ? 0 : -1;
    } else {
        part->count = best_choice(rule, item, requests, scores, &part->margin);
        part->value = part->count == item->gold;
    }
}

int choice_metric(const struct choice_set *set, int rule, const struct stream *stream,
                  const struct token_score *scores, struct metric_record *metric)
{
    int rc, count = (int)set->questions.count;
    struct metric_part *parts = NULL;
    const struct choice_request *requests = set->requests;
    enum scoring scoring = set->rules[rule];
    TRY(mem_calloc(&parts, (size_t)count, sizeof *parts));
    for (int q = 0; q < count; q++) {
        const struct question *item = &set->questions.items[q];
        judge(set, scoring, item, requests, stream, scores, &parts[q]);
        requests += item->choices;
    }
    *metric = (struct metric_record){.kind = "accuracy",
                                     .dataset = set->task->name,
                                     .split = "test",
                                     .rule = scoring_names[scoring],
                                     .data_hash = set->hash,
                                     .bits_per_byte = NAN,
                                     .count = count,
                                     .parts = parts,
                                     .part_count = count};
    if (scoring == SCORE_PERPLEXITY) { /* of a word: exp of the mean over the items */
        metric->kind = "perplexity";
        metric->rule = "words";
        TRY(statistics_perplexity(parts, count, STATISTICS_SEED, &metric->value,
                                  &metric->standard_error, &metric->low, &metric->high));
    } else {
        TRY(statistics_accuracy(parts, count, &metric->value, &metric->standard_error, &metric->low,
                                &metric->high));
    }
    parts = NULL;
out:
    if (rc)
        err_prefix(rc, "task %s", set->task->name);
    mem_free(parts);
    return rc;
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

int choice_sample(const struct choice_set *set, int question, const struct stream *stream,
                  const struct token_score *scores, json_t **out)
{
    const struct question *item = &set->questions.items[question];
    const struct choice_request *requests = set->requests;
    double margin;
    int bad = 0;
    json_t *object = json_object(), *lls = json_array(), *greedy = json_array();
    for (int q = 0; q < question; q++)
        requests += set->questions.items[q].choices;
    for (int c = 0; c < item->choices; c++) {
        double sum = log_likelihood(scores, requests[c].row, requests[c].tokens);
        bad |= json_array_append_new(lls, number(sum));
        bad |= json_array_append_new(greedy, json_boolean(is_greedy(&requests[c], stream, scores)));
    }
    bad |= json_object_set_new(object, "task", json_string(set->task->name));
    bad |= json_object_set_new(object, "doc_id", json_integer(item->id));
    bad |= json_object_set_new(object, "ll", lls);
    bad |= json_object_set_new(object, "is_greedy", greedy);
    if (item->choices > 1) {
        int pred = best_choice(SCORE_SUM, item, requests, scores, &margin);
        int normed = best_choice(SCORE_CHARACTERS, item, requests, scores, &margin);
        bad |= json_object_set_new(object, "pred", json_integer(pred));
        bad |= json_object_set_new(object, "pred_norm", json_integer(normed));
    }
    for (int r = 0; r < set->rule_count && item->choices > 1; r++) {
        char key[32];
        enum scoring rule = set->rules[r];
        if (rule == SCORE_SUM || rule == SCORE_CHARACTERS)
            continue;
        snprintf(key, sizeof key, "pred_%s", scoring_names[rule]);
        bad |= json_object_set_new(
            object, key, json_integer(best_choice(rule, item, requests, scores, &margin)));
    }
    bad |= json_object_set_new(object, "gold", json_integer(item->gold));
    if (bad) {
        json_decref(object);
        return err_set(ERR_MEMORY, "out of memory: a sample of task %s", set->task->name);
    }
    *out = object;
    return 0;
}
