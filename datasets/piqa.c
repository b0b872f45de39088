/* PIQA: which of two solutions serves a goal (Bisk et al. 2020, arXiv:1911.11641). */
#include "core/err.h"
#include "datasets/zeroshot.h"

static int see(void *context, const json_t *object, const struct json_place *place)
{
    struct zeroshot *z = context;
    const char *goal, *choices[2];
    char *prompt = NULL;
    int rc, gold;
    TRY(json_line_text(object, "goal", place, &goal));
    TRY(json_line_text(object, "sol1", place, &choices[0]));
    TRY(json_line_text(object, "sol2", place, &choices[1]));
    TRY(zeroshot_label(z, object, "label", 0, 1, place, &gold));
    TRY(mem_printf(&prompt, "Question: %s\nAnswer:", goal));
    TRY(zeroshot_add(z, (const char *const[]){prompt}, 1, choices, 2, gold));
out:
    mem_free(prompt);
    return rc;
}

const struct task task_piqa = {
    .name = "piqa",
    .title = "PIQA: physical commonsense, two solutions",
    .source = "validation set, 1,838 questions; Academic Free License 3.0",
    .version = 1,
    .scoring = SCORE_SUM,
    .more = 1u << SCORE_CHARACTERS,
    .pairs = PAIRS_PLAIN,
    .lengths = LENGTH_TRIMMED,
    .file = "piqa/valid.jsonl",
    .labels = "piqa/valid-labels.lst",
    .see = see,
    .load = zeroshot_load,
};
