#include "harness/evaluation.h"

#include "core/err.h"
#include "core/mem.h"

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
    for (int i = 0; i < experiment->choice_count; i++) {
        struct choice_set *set = &evaluation->choices[evaluation->choice_count++];
        set->spec = &experiment->choices[i];
        TRY(task_open(set->spec->task, &set->source));
        set->task = &set->source.task;
        TRY(choice_prepare(set, &evaluation->stream, cache->tokenizer));
    }
out:
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
