/* What the seven zero-shot tasks of the papers share. Their prompts are those of
 * lm-evaluation-harness 0.4.13 without examples: a context, a space, a choice. */
#ifndef DATASETS_ZEROSHOT_H
#define DATASETS_ZEROSHOT_H

#include "datasets/questions.h"

struct zeroshot {
    struct questions questions; /* so far; the next one's id is its count */
    const struct task *task;
    const char *labels; /* what is left of the file with the answers, or NULL */
    const char *labels_path;
};

enum { ZEROSHOT_CHOICES = 8 };

/* Adds the question: one context, or one for each choice; a space is put before every choice. */
int zeroshot_add(struct zeroshot *z, const char *const *contexts, int contexts_count,
                 const char *const *choices, int count, int gold);

/* task.load of these tasks: gives each object of task->file to task->see, whose context is a struct
 * zeroshot. */
int zeroshot_load(const struct task *task, struct questions *out, size_t limit, uint64_t seed);

/* *label = a whole number from low to high: of the object's member, written as a number, as a text
 * or as true or false; without such a member (and where there is one) of the next line of the file
 * of answers. */
int zeroshot_label(struct zeroshot *z, const json_t *object, const char *key, int low, int high,
                   const struct json_place *place, int *label);

/* The question of ARC and OpenBookQA: {"question": {"stem": ..., "choices": [{"text": ...,
 * "label": ...}, ...]}, "answerKey": ...}, or Hugging Face's {stem: ..., "choices": {"text": [...],
 * "label": [...]}, "answerKey": ...}, where `stem` is the key. Texts are borrowed. */
struct zeroshot_labelled {
    const char *stem, *choices[ZEROSHOT_CHOICES];
    int count, gold;
};
int zeroshot_labelled(const json_t *object, const char *stem, const struct json_place *place,
                      struct zeroshot_labelled *out);

#endif
