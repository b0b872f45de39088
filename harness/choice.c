/* Questions become requests: their tokens laid out in the stream. choice_score.c makes metrics of
 * what the model says of them. */
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "datasets/pythontext.h"
#include "datasets/questions.h"
#include "harness/evaluation.h"
#include "harness/token_pair.h"

#include <stdio.h>
#include <string.h>

/* What the choices of one question become: their tokens, and where their rows are. */
struct question_work {
    struct pair_encoder encoder;
    struct token_pair *pairs;
    struct stream_branch *branches;
};

/* The context for PMI: the task's premise, with the white space that the question's context ends
 * with. */
static int add_premise(struct strbuf *text, const char *premise, const char *context)
{
    size_t length = strlen(context);
    while (length > 0 && strchr(" \t\n\r\f\v", context[length - 1]))
        length--;
    text->length = 0;
    return strbuf_printf(text, "%s%s", premise, context + length);
}

/* Adds the choices of a question behind their contexts, or, for PMI, behind the task's premise. */
static int add_choices(struct stream *stream, const struct question *item, const char *premise,
                       struct question_work *work)
{
    int rc = 0;
    struct strbuf text = {0};
    memset(work->pairs, 0, (size_t)item->choices * sizeof *work->pairs);
    for (int c = 0; c < item->choices; c++) {
        struct token_pair *pair = &work->pairs[c];
        if (premise)
            TRY(add_premise(&text, premise, item->contexts[c]));
        TRY(token_pair_encode(&work->encoder, premise ? text.data : item->contexts[c],
                              item->continuations[c], pair));
        work->branches[c] = (struct stream_branch){
            .tokens = pair->ids, .length = pair->count, .first_target = pair->first};
    }
    TRY(stream_add_branches(stream, work->branches, item->choices));
out:
    for (int c = 0; c < item->choices; c++)
        mem_free(work->pairs[c].ids);
    strbuf_release(&text);
    return rc;
}

/* The text that bytes and characters are counted of. */
static const char *measured_text(const struct task *task, const struct question *item, int choice)
{
    const char *continuation = item->continuations[choice];
    switch (task->lengths) {
    case LENGTH_TRIMMED: return continuation + (continuation[0] != '\0');
    case LENGTH_CONTEXT: return item->contexts[choice];
    default: return continuation;
    }
}

static bool measures(const struct choice_set *set, enum scoring rule)
{
    for (int r = 0; r < set->rule_count; r++)
        if (set->rules[r] == rule)
            return true;
    return false;
}

static int prepare_question(struct choice_set *set, struct stream *stream,
                            const struct question *item, struct question_work *work,
                            struct choice_request *requests)
{
    int rc;
    TRY(add_choices(stream, item, NULL, work));
    for (int c = 0; c < item->choices; c++) {
        const struct stream_branch *branch = &work->branches[c];
        const char *text = measured_text(set->task, item, c);
        requests[c] = (struct choice_request){.row = branch->row,
                                              .tokens = branch->length - branch->first_target,
                                              .length = branch->length,
                                              .bytes = (int)strlen(text),
                                              .characters = (int)python_length(text)};
    }
    if (!measures(set, SCORE_PMI))
        goto out;
    TRY(add_choices(stream, item, set->task->premise ? set->task->premise : "", work));
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

/* Loads the questions first .. first + items - 1. */
static int load_questions(struct choice_set *set)
{
    const struct choice_spec *spec = set->spec;
    size_t first = (size_t)spec->first, limit = spec->items ? first + (size_t)spec->items : 0;
    int rc = set->task->load(set->task, &set->questions, limit, (uint64_t)spec->seed);
    if (rc)
        return rc;
    if (set->questions.count == 0)
        return err_set(ERR_FORMAT, "task %s: no questions", set->task->name);
    if (first >= set->questions.count)
        return err_set(ERR_USAGE,
                       "task %s: items from number %zu on are asked for, and the last "
                       "one is number %zu",
                       set->task->name, first, set->questions.count - 1);
    if (strchr(spec->range, '-') && limit > set->questions.count)
        log_warning("task %s: items %s are asked for, and the last one is number %zu",
                    set->task->name, spec->range, set->questions.count - 1);
    if (first)
        questions_drop(&set->questions, first);
    return 0;
}

/* The rules that the user named, or the task's own, which come first in its order. */
static int choose_rules(struct choice_set *set)
{
    const struct task *task = set->task;
    unsigned wanted = set->spec->scorings;
    bool single = task->scoring >= SCORE_GREEDY;
    if (!wanted) {
        wanted = task->more & ~(1u << task->scoring);
        set->rules[set->rule_count++] = task->scoring;
    }
    for (int s = 0; s < SCORE_COUNT; s++) {
        if (!(wanted >> s & 1))
            continue;
        if (single != (s >= SCORE_GREEDY))
            return err_set(ERR_USAGE, "task %s: scoring %s is for questions with %s; these have %s",
                           task->name, scoring_names[s], single ? "choices" : "one continuation",
                           single ? "one continuation" : "choices");
        set->rules[set->rule_count++] = (enum scoring)s;
    }
    return 0;
}

int choice_prepare(struct choice_set *set, struct stream *stream, const struct tokenizer *tokenizer,
                   int max_positions)
{
    int rc;
    size_t choices, most, next = 0;
    struct question_work work = {.encoder = {.tokenizer = tokenizer,
                                             .rule = set->task->pairs,
                                             .max_positions = max_positions}};
    set->first_sequence = stream->count;
    TRY(choose_rules(set));
    TRY(load_questions(set));
    count_choices(&set->questions, &choices, &most);
    TRY(mem_calloc(&set->requests, choices, sizeof *set->requests));
    TRY(mem_calloc(&work.pairs, most, sizeof *work.pairs));
    TRY(mem_calloc(&work.branches, most, sizeof *work.branches));
    for (size_t q = 0; q < set->questions.count; q++) {
        const struct question *item = &set->questions.items[q];
        rc = prepare_question(set, stream, item, &work, set->requests + next);
        if (rc) {
            err_prefix(rc, "task %s, item %d", set->task->name, item->id);
            goto out;
        }
        next += (size_t)item->choices;
    }
    set->sequences = stream->count - set->first_sequence;
    memcpy(set->hash, set->questions.hash, sizeof set->hash);
out:
    pair_encoder_release(&work.encoder);
    mem_free(work.pairs);
    mem_free(work.branches);
    return rc;
}

void choice_rules(const struct choice_set *set, char *out, size_t size)
{
    size_t used = 0;
    *out = '\0';
    for (int s = 0; s < SCORE_COUNT && used < size; s++)
        if (measures(set, (enum scoring)s))
            used += (size_t)snprintf(out + used, size - used, "%s%s", used ? "+" : "",
                                     scoring_names[s]);
}

void choice_release(struct choice_set *set)
{
    questions_release(&set->questions);
    task_close(&set->source);
    mem_free(set->requests);
    *set = (struct choice_set){0};
}
