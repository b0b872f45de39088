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

/* A choice as tokens: start, context, continuation. */
struct choice_tokens {
    int32_t *ids;
    int count, first; /* the continuation's tokens are first .. count - 1 */
};

/* The continuation's tokens are those behind the tokens that the context has when it stands alone.
 */
static int tokenize_choice(const struct tokenizer *tokenizer, const char *context,
                           size_t context_size, const char *continuation, int32_t start,
                           struct choice_tokens *out)
{
    int rc;
    struct strbuf text = {0};
    int32_t *ids = NULL;
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
    TRY(mem_alloc(&out->ids, count + 1, sizeof *out->ids));
    out->ids[0] = start;
    memcpy(out->ids + 1, ids, count * sizeof *ids);
    out->count = (int)count + 1;
    out->first = (int)alone + 1;
out:
    strbuf_release(&text);
    mem_free(ids);
    return rc;
}

/* What the choices of one question become: their tokens, and where their rows are. */
struct question_work {
    struct choice_tokens *tokens;
    struct stream_branch *branches;
};

/* Adds the choices of a question behind their contexts, or, for PMI, behind the task's premise. */
static int add_choices(struct stream *stream, const struct tokenizer *tokenizer,
                       const struct question *item, const char *premise, int32_t start,
                       const struct question_work *work)
{
    int rc = 0;
    struct strbuf text = {0};
    memset(work->tokens, 0, (size_t)item->choices * sizeof *work->tokens);
    for (int c = 0; c < item->choices; c++) {
        const char *context = item->contexts[c];
        size_t length = context_length(context);
        text.length = 0;
        if (premise) { /* the spaces between context and continuation stay */
            TRY(strbuf_printf(&text, "%s%s", premise, context + length));
            context = text.data;
            length = strlen(premise);
        }
        TRY(tokenize_choice(tokenizer, context, length, item->continuations[c], start,
                            &work->tokens[c]));
        work->branches[c] = (struct stream_branch){.tokens = work->tokens[c].ids,
                                                   .length = work->tokens[c].count,
                                                   .first_target = work->tokens[c].first};
    }
    TRY(stream_add_branches(stream, work->branches, item->choices));
out:
    for (int c = 0; c < item->choices; c++)
        mem_free(work->tokens[c].ids);
    strbuf_release(&text);
    return rc;
}

static int prepare_question(struct choice_set *set, struct stream *stream,
                            const struct tokenizer *tokenizer, const struct question *item,
                            int32_t start, const struct question_work *work,
                            struct choice_request *requests)
{
    int rc;
    TRY(add_choices(stream, tokenizer, item, NULL, start, work));
    for (int c = 0; c < item->choices; c++)
        requests[c] = (struct choice_request){.row = work->branches[c].row,
                                              .tokens = work->branches[c].length -
                                                        work->branches[c].first_target,
                                              .length = work->branches[c].length,
                                              .bytes = (int)strlen(item->continuations[c]),
                                              .characters = code_points(item->continuations[c])};
    if (set->scoring != SCORE_PMI)
        goto out;
    TRY(add_choices(stream, tokenizer, item, set->task->premise ? set->task->premise : "", start,
                    work));
    for (int c = 0; c < item->choices; c++) {
        requests[c].premise_row = work->branches[c].row;
        requests[c].premise_tokens = work->branches[c].length - work->branches[c].first_target;
    }
out:
    return rc;
}

/* The totals of all questions: choices, and the most of one question. */
static void count_choices(const struct questions *questions, size_t *total, size_t *most)
{
    *total = *most = 0;
    for (size_t q = 0; q < questions->count; q++) {
        size_t choices = (size_t)questions->items[q].choices;
        *total += choices;
        *most = choices > *most ? choices : *most;
    }
}

static int load_questions(struct choice_set *set)
{
    int rc = set->task->load(set->task, &set->questions, (size_t)set->spec->items,
                             (uint64_t)set->spec->seed);
    if (rc == 0 && set->questions.count == 0)
        rc = err_set(ERR_FORMAT, "task %s: no questions", set->task->name);
    return rc;
}

int choice_prepare(struct choice_set *set, struct stream *stream, const struct tokenizer *tokenizer)
{
    int rc;
    size_t choices, most, next = 0;
    struct question_work work = {0};
    int32_t bos = tokenizer_bos(tokenizer), start = bos >= 0 ? bos : tokenizer_eos(tokenizer);
    set->scoring = set->spec->scoring >= 0 ? (enum scoring)set->spec->scoring : set->task->scoring;
    if (start < 0)
        return err_set(ERR_FORMAT,
                       "task %s: the tokenizer names no beginning-of-text token to start a "
                       "context with",
                       set->task->name);
    TRY(load_questions(set));
    count_choices(&set->questions, &choices, &most);
    TRY(mem_calloc(&set->requests, choices, sizeof *set->requests));
    TRY(mem_calloc(&work.tokens, most, sizeof *work.tokens));
    TRY(mem_calloc(&work.branches, most, sizeof *work.branches));
    for (size_t q = 0; q < set->questions.count; q++) {
        const struct question *item = &set->questions.items[q];
        rc = prepare_question(set, stream, tokenizer, item, start, &work, set->requests + next);
        if (rc) {
            err_prefix(rc, "task %s, item %d", set->task->name, item->id);
            goto out;
        }
        next += (size_t)item->choices;
    }
    memcpy(set->hash, set->questions.hash, sizeof set->hash);
out:
    mem_free(work.tokens);
    mem_free(work.branches);
    return rc;
}

void choice_release(struct choice_set *set)
{
    questions_release(&set->questions);
    task_close(&set->source);
    mem_free(set->requests);
    *set = (struct choice_set){0};
}

/* The sum over the rows that predict a continuation. */
static double log_likelihood(const struct token_score *scores, int row, int tokens)
{
    double sum = 0;
    for (int i = 0; i < tokens; i++)
        sum += (double)scores[row + i].log_probability;
    return sum;
}

static double choice_score(enum scoring scoring, const struct choice_request *request,
                           const struct token_score *scores)
{
    double sum = log_likelihood(scores, request->row, request->tokens);
    switch (scoring) {
    case SCORE_TOKENS: return sum / (double)request->tokens;
    case SCORE_BYTES: return sum / (double)request->bytes;
    case SCORE_CHARACTERS: return sum / (double)request->characters;
    case SCORE_PMI:
        return sum - log_likelihood(scores, request->premise_row, request->premise_tokens);
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
            values[c] = choice_score(set->scoring, &set->requests[next++], scores);
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
