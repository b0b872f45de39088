/* OpenBookQA: elementary science, the choices complete the question (Mihaylov et al. 2018,
 * arXiv:1809.02789). */
#include "datasets/zeroshot.h"

static int see(void *context, const json_t *object, const struct json_place *place)
{
    struct zeroshot_labelled question;
    int rc = zeroshot_labelled(object, "question_stem", place, &question);
    return rc ? rc
              : zeroshot_add(context, &question.stem, 1, question.choices, question.count,
                             question.gold);
}

const struct task task_openbookqa = {
    .name = "openbookqa",
    .title = "OpenBookQA: elementary science, four endings",
    .source = "test set, 500 questions; Apache-2.0",
    .version = 1,
    .scoring = SCORE_SUM,
    .more = 1u << SCORE_CHARACTERS,
    .pairs = PAIRS_PLAIN,
    .lengths = LENGTH_TRIMMED,
    .file = "openbookqa/test.jsonl",
    .see = see,
    .load = zeroshot_load,
};
