#include "core/err.h"
#include "core/mem.h"
#include "harness/evaluation.h"
#include "harness/statistics.h"

#include <math.h>
#include <string.h>

/* Text that grows into tokens: the context's trailing spaces belong to the
 * continuation, as in lm-evaluation-harness, so that the continuation begins
 * where a token begins. */
static size_t context_length(const char *context)
{
    size_t length = strlen(context);
    while (length > 0 && strchr(" \t\n\r\f\v", context[length - 1]))
        length--;
    return length;
}

static int code_points(const char *text)
{
    int count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

/* Adds start + tokens(context + continuation); the rows of the continuation's
 * tokens are scored: those behind the tokens that the context has when it
 * stands alone. */
static int add_request(struct stream *stream, const struct tokenizer *tokenizer,
                       const char *context, size_t context_size, const char *continuation,
                       int32_t start, int *tokens)
{
    int rc;
    struct strbuf text = {0};
    int32_t *ids = NULL, *whole = NULL;
    size_t count, alone = 0;
    TRY(strbuf_add(&text, context, context_size));
    if (context_size > 0) {
        TRY(tokenizer_encode(tokenizer, text.data, text.length, &ids, &alone));
        mem_free(ids);
        ids = NULL;
    }
    TRY(strbuf_puts(&text, context + context_size)); /* the spaces cut off */
    TRY(strbuf_puts(&text, continuation));
    TRY(tokenizer_encode(tokenizer, text.data, text.length, &ids, &count));
    if (count <= alone || count > INT32_MAX - 2) {
        rc = err_set(ERR_FORMAT, "a continuation gives no token of its own: '%.40s'", continuation);
        goto out;
    }
    TRY(mem_alloc(&whole, count + 1, sizeof *whole));
    whole[0] = start;
    memcpy(whole + 1, ids, count * sizeof *ids);
    TRY(stream_add(stream, whole, (int)count + 1, (int)alone + 1));
    *tokens = (int)(count - alone);
out:
    strbuf_release(&text);
    mem_free(ids);
    mem_free(whole);
    return rc;
}

static int prepare_choice(struct choice_set *set, struct stream *stream,
                          const struct tokenizer *tokenizer, const char *context,
                          const char *continuation, int32_t start, struct choice_request *request)
{
    int rc, unused;
    size_t length = context_length(context);
    request->sequence = stream->count;
    request->start_sequence = -1;
    request->bytes = (int)strlen(continuation);
    request->characters = code_points(continuation);
    TRY(add_request(stream, tokenizer, context, length, continuation, start, &request->tokens));
    if (set->scoring == SCORE_PMI) {
        request->start_sequence = stream->count;
        TRY(add_request(stream, tokenizer, context + length, 0, continuation, start, &unused));
    }
out:
    return rc;
}

int choice_prepare(struct choice_set *set, struct stream *stream, const struct tokenizer *tokenizer)
{
    int rc;
    size_t choices = 0, next = 0;
    int32_t start = tokenizer_bos(tokenizer) >= 0 ? tokenizer_bos(tokenizer)
                                                  : tokenizer_eos(tokenizer);
    set->scoring = set->spec->scoring >= 0 ? (enum scoring)set->spec->scoring : set->task->scoring;
    if (start < 0)
        return err_set(ERR_FORMAT,
                       "task %s: the tokenizer names no beginning-of-text token to "
                       "start a context with",
                       set->task->name);
    TRY(set->task->load(set->task, &set->questions, (size_t)set->spec->items,
                        (uint64_t)set->spec->seed));
    if (set->questions.count == 0) {
        rc = err_set(ERR_FORMAT, "task %s: no questions", set->task->name);
        goto out;
    }
    for (size_t q = 0; q < set->questions.count; q++)
        choices += (size_t)set->questions.items[q].choices;
    TRY(mem_calloc(&set->requests, choices, sizeof *set->requests));
    for (size_t q = 0; q < set->questions.count; q++) {
        const struct question *item = &set->questions.items[q];
        for (int c = 0; c < item->choices; c++) {
            rc = prepare_choice(set, stream, tokenizer, item->contexts[c], item->continuations[c],
                                start, &set->requests[next++]);
            if (rc) {
                err_prefix(rc, "task %s, item %d", set->task->name, item->id);
                goto out;
            }
        }
    }
    memcpy(set->hash, set->questions.hash, sizeof set->hash);
out:
    return rc;
}

void choice_release(struct choice_set *set)
{
    questions_release(&set->questions);
    task_close(&set->source);
    mem_free(set->requests);
    *set = (struct choice_set){0};
}

static double log_likelihood(const struct stream *stream, const struct token_score *scores,
                             int sequence)
{
    double sum = 0;
    for (int r = stream->offsets[sequence]; r < stream->offsets[sequence + 1]; r++)
        if (stream->targets[r] >= 0)
            sum += (double)scores[r].log_probability;
    return sum;
}

static double choice_score(enum scoring scoring, const struct choice_request *request,
                           const struct stream *stream, const struct token_score *scores)
{
    double sum = log_likelihood(stream, scores, request->sequence);
    switch (scoring) {
    case SCORE_TOKENS: return sum / (double)request->tokens;
    case SCORE_BYTES: return sum / (double)request->bytes;
    case SCORE_CHARACTERS: return sum / (double)request->characters;
    case SCORE_PMI: return sum - log_likelihood(stream, scores, request->start_sequence);
    default: return sum;
    }
}

/* The first maximum wins. NaN scores lose to every number; all NaN: the first
 * choice. */
static void judge(const struct question *item, const double *choice_scores,
                  struct metric_part *part)
{
    int best = 0;
    for (int c = 1; c < item->choices; c++)
        if (choice_scores[c] > choice_scores[best] ||
            (isnan(choice_scores[best]) && !isnan(choice_scores[c])))
            best = c;
    double second = -INFINITY;
    for (int c = 0; c < item->choices; c++)
        if (c != best && choice_scores[c] > second)
            second = choice_scores[c];
    *part = (struct metric_part){.index = item->id,
                                 .count = best,
                                 .gold = item->gold,
                                 .value = best == item->gold,
                                 .margin = choice_scores[best] - second};
}

int choice_metric(const struct choice_set *set, const struct stream *stream,
                  const struct token_score *scores, struct metric_record *metric)
{
    int rc;
    double *values = NULL;
    struct metric_part *parts = NULL;
    size_t next = 0;
    int most = 0, count = (int)set->questions.count;
    for (int q = 0; q < count; q++)
        most = set->questions.items[q].choices > most ? set->questions.items[q].choices : most;
    TRY(mem_alloc(&values, (size_t)most, sizeof *values));
    TRY(mem_calloc(&parts, (size_t)count, sizeof *parts));
    for (int q = 0; q < count; q++) {
        const struct question *item = &set->questions.items[q];
        for (int c = 0; c < item->choices; c++)
            values[c] = choice_score(set->scoring, &set->requests[next++], stream, scores);
        judge(item, values, &parts[q]);
    }
    *metric = (struct metric_record){.kind = "accuracy",
                                     .dataset = set->task->name,
                                     .split = "test",
                                     .rule = scoring_names[set->scoring],
                                     .data_hash = set->hash,
                                     .bits_per_byte = NAN,
                                     .count = count,
                                     .parts = parts,
                                     .part_count = count};
    TRY(statistics_accuracy(parts, count, &metric->value, &metric->standard_error, &metric->low,
                            &metric->high));
    parts = NULL;
out:
    mem_free(values);
    mem_free(parts);
    return rc;
}
