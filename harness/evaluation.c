#include "harness/evaluation.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/positions.h"

int evaluation_prepare(struct evaluation *evaluation, const struct experiment *experiment,
                       struct corpus_cache *cache)
{
    int rc;
    TRY(mem_calloc(&evaluation->perplexities, (size_t)experiment->perplexity_count,
                   sizeof *evaluation->perplexities));
    TRY(mem_calloc(&evaluation->choices, (size_t)experiment->choice_count,
                   sizeof *evaluation->choices));
    for (int i = 0; i < experiment->perplexity_count; i++) {
        struct perplexity_set *set = &evaluation->perplexities[evaluation->perplexity_count++];
        set->spec = &experiment->perplexities[i];
        TRY(perplexity_prepare(set, &evaluation->stream, cache));
    }
    evaluation->text_sequences = evaluation->stream.count;
    for (int i = 0; i < experiment->choice_count; i++) {
        struct choice_set *set = &evaluation->choices[evaluation->choice_count++];
        set->spec = &experiment->choices[i];
        TRY(task_open(set->spec->task, &set->source));
        set->task = &set->source.task;
        TRY(choice_prepare(set, &evaluation->stream, cache->tokenizer, evaluation->max_positions));
    }
out:
    return rc;
}

int evaluation_metric_count(const struct evaluation *evaluation)
{
    int count = evaluation->perplexity_count;
    for (int i = 0; i < evaluation->choice_count; i++)
        count += evaluation->choices[i].rule_count;
    return count;
}

int evaluation_metric(const struct evaluation *evaluation, int index,
                      const struct token_score *scores, struct metric_record *metric)
{
    if (index < evaluation->perplexity_count)
        return perplexity_metric(&evaluation->perplexities[index], &evaluation->stream, scores,
                                 metric);
    index -= evaluation->perplexity_count;
    const struct choice_set *set = evaluation->choices;
    for (; index >= set->rule_count; set++)
        index -= set->rule_count;
    return choice_metric(set, index, &evaluation->stream, scores, metric);
}

/* Requests lie in the order of questions and choices. */
static int check_questions(const struct choice_set *set, int max_positions)
{
    size_t next = 0;
    if (set->task->pairs == PAIRS_PLAIN)
        return 0; /* the ends of longer ones were kept */
    for (size_t q = 0; q < set->questions.count; q++)
        for (int c = 0; c < set->questions.items[q].choices; c++) {
            int length = set->requests[next++].length;
            if (length > max_positions)
                return err_set(ERR_USAGE,
                               "task %s, item %d: context and choice are %d tokens, more than the "
                               "model's %d positions: shorten the item, or leave it out",
                               set->task->name, set->questions.items[q].id, length, max_positions);
        }
    return 0;
}

int evaluation_check_lengths(const struct evaluation *evaluation, const struct model_config *config)
{
    int rc = 0;
    struct strbuf what = {0};
    for (int i = 0; i < evaluation->perplexity_count; i++) {
        const struct perplexity_spec *spec = evaluation->perplexities[i].spec;
        what.length = 0;
        TRY(strbuf_printf(&what, "corpus %s: windows", spec->corpus));
        TRY(positions_check(config, what.data, spec->window));
    }
    for (int i = 0; rc == 0 && i < evaluation->choice_count; i++)
        rc = check_questions(&evaluation->choices[i], config->max_positions);
out:
    strbuf_release(&what);
    return rc;
}

void evaluation_release(struct evaluation *evaluation)
{
    for (int i = 0; i < evaluation->choice_count; i++)
        choice_release(&evaluation->choices[i]);
    stream_release(&evaluation->stream);
    mem_free(evaluation->perplexities);
    mem_free(evaluation->choices);
    *evaluation = (struct evaluation){0};
}
