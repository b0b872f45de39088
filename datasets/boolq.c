/* BoolQ: yes or no to a question on a passage (Clark et al. 2019, arXiv:1905.10044). */
#include "core/err.h"
#include "datasets/zeroshot.h"

static int see(void *context, const json_t *object, const struct json_place *place)
{
    static const char *const choices[] = {"no", "yes"};
    struct zeroshot *z = context;
    const char *passage, *question;
    char *prompt = NULL;
    int rc, gold;
    TRY(json_line_text(object, "passage", place, &passage));
    TRY(json_line_text(object, "question", place, &question));
    /* SuperGLUE calls the answer label, the authors' own file answer. */
    TRY(zeroshot_label(z, object, json_object_get(object, "answer") ? "answer" : "label", 0, 1,
                       place, &gold));
    TRY(mem_printf(&prompt, "%s\nQuestion: %s?\nAnswer:", passage, question));
    TRY(zeroshot_add(z, (const char *const[]){prompt}, 1, choices, 2, gold));
out:
    mem_free(prompt);
    return rc;
}

const struct task task_boolq = {
    .name = "boolq",
    .title = "BoolQ: yes or no to a question on a passage",
    .source = "validation set, 3,270 questions; CC BY-SA 3.0",
    .version = 1,
    .scoring = SCORE_SUM,
    .pairs = PAIRS_PLAIN,
    .lengths = LENGTH_TRIMMED,
    .file = "boolq/val.jsonl",
    .see = see,
    .load = zeroshot_load,
};
