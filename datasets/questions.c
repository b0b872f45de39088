#include "datasets/questions.h"

#include "core/err.h"

#include <stdio.h>
#include <string.h>

const char *const scoring_names[] = {"sum", "tokens", "bytes",      "characters",
                                     "pmi", "greedy", "perplexity", NULL};

static void question_release(struct question *question)
{
    for (int c = question->choices - 1; c >= 0; c--) { /* the first context, which may be shared,
                                                          goes last */
        if (question->contexts && (c == 0 || question->contexts[c] != question->contexts[0]))
            mem_free(question->contexts[c]);
        if (question->continuations)
            mem_free(question->continuations[c]);
    }
    mem_free(question->contexts);
    mem_free(question->continuations);
    *question = (struct question){0};
}

void questions_release(struct questions *questions)
{
    for (size_t i = 0; i < questions->count; i++)
        question_release(&questions->items[i]);
    mem_free(questions->items);
    *questions = (struct questions){0};
}

/* Room for one more: the capacity is the power of two at or above the count. */
static int reserve(struct questions *questions)
{
    size_t count = questions->count;
    if (count & (count - 1))
        return 0;
    return mem_resize(&questions->items, count, count ? count * 2 : 1, sizeof *questions->items);
}

int questions_add(struct questions *questions, const char *const *contexts, int contexts_count,
                  const char *const *continuations, int choices, int gold, int id)
{
    struct question fresh = {.choices = choices, .gold = gold, .id = id};
    int rc;
    TRY(mem_calloc(&fresh.contexts, (size_t)choices, sizeof *fresh.contexts));
    TRY(mem_calloc(&fresh.continuations, (size_t)choices, sizeof *fresh.continuations));
    for (int c = 0; c < choices; c++) {
        if (c > 0 && contexts_count == 1)
            fresh.contexts[c] = fresh.contexts[0];
        else
            TRY(mem_strdup(&fresh.contexts[c], contexts[c]));
        TRY(mem_strdup(&fresh.continuations[c], continuations[c]));
    }
    TRY(reserve(questions));
    questions->items[questions->count++] = fresh;
    fresh = (struct question){0};
out:
    question_release(&fresh);
    return rc;
}

void questions_drop(struct questions *questions, size_t count)
{
    for (size_t i = 0; i < count; i++)
        question_release(&questions->items[i]);
    memmove(questions->items, questions->items + count,
            (questions->count - count) * sizeof *questions->items);
    questions->count -= count;
    questions_finish(questions);
}

void questions_finish(struct questions *questions)
{
    struct hash hash;
    hash_init(&hash);
    for (size_t i = 0; i < questions->count; i++) {
        const struct question *question = &questions->items[i];
        char line[64];
        int length = snprintf(line, sizeof line, "%d %d %d\n", question->id, question->choices,
                              question->gold);
        hash_add(&hash, line, (size_t)length);
        for (int c = 0; c < question->choices; c++) { /* with the NUL, so that texts cannot run
                                                         together */
            hash_add(&hash, question->contexts[c], strlen(question->contexts[c]) + 1);
            hash_add(&hash, question->continuations[c], strlen(question->continuations[c]) + 1);
        }
    }
    hash_finish(&hash, questions->hash);
}
