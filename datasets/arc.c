/* ARC: school examinations in science, an easy and a challenging set (Clark et al. 2018,
 * arXiv:1803.05457). */
#include "core/err.h"
#include "datasets/zeroshot.h"

static int see(void *context, const json_t *object, const struct json_place *place)
{
    struct zeroshot_labelled question;
    char *prompt = NULL;
    int rc;
    TRY(zeroshot_labelled(object, "question", place, &question));
    TRY(mem_printf(&prompt, "Question: %s\nAnswer:", question.stem));
    TRY(zeroshot_add(context, (const char *const[]){prompt}, 1, question.choices, question.count,
                     question.gold));
out:
    mem_free(prompt);
    return rc;
}

const struct task task_arc_easy = {
    .name = "arc_easy",
    .title = "ARC-Easy: school science, three to five answers",
    .source = "test set, 2,376 questions; CC BY-SA 4.0",
    .version = 1,
    .scoring = SCORE_SUM,
    .more = 1u << SCORE_CHARACTERS,
    .pairs = PAIRS_PLAIN,
    .lengths = LENGTH_TRIMMED,
    .file = "arc/ARC-Easy-Test.jsonl",
    .see = see,
    .load = zeroshot_load,
};

const struct task task_arc_challenge = {
    .name = "arc_challenge",
    .title = "ARC-Challenge: school science, what simple methods get wrong",
    .source = "test set, 1,172 questions; CC BY-SA 4.0",
    .version = 1,
    .scoring = SCORE_SUM,
    .more = 1u << SCORE_CHARACTERS,
    .pairs = PAIRS_PLAIN,
    .lengths = LENGTH_TRIMMED,
    .file = "arc/ARC-Challenge-Test.jsonl",
    .see = see,
    .load = zeroshot_load,
};
