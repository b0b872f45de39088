/* WinoGrande: which of two words a gap stands for (Sakaguchi et al. 2020, arXiv:1907.10641). The
 * choices are contexts, the sentence up to the gap with a word in it; what follows is scored behind
 * each. */
#include "core/err.h"
#include "datasets/pythontext.h"
#include "datasets/zeroshot.h"

#include <limits.h>
#include <string.h>

static int see(void *context, const json_t *object, const struct json_place *place)
{
    struct zeroshot *z = context;
    const char *sentence, *options[2], *start;
    char *contexts[2] = {NULL}, *rest = NULL;
    int rc, answer;
    TRY(json_line_text(object, "sentence", place, &sentence));
    TRY(json_line_text(object, "option1", place, &options[0]));
    TRY(json_line_text(object, "option2", place, &options[1]));
    TRY(zeroshot_label(z, object, "answer", 1, 2, place, &answer));
    const char *gap = strchr(sentence, '_');
    if (!gap || strlen(sentence) > INT_MAX)
        TRY(err_set(ERR_FORMAT, "%s:%zu: \"sentence\" has no _ for the gap", place->path,
                    place->line));
    for (int c = 0; c < 2; c++)
        TRY(mem_printf(&contexts[c], "%.*s%s", (int)(gap - sentence), sentence, options[c]));
    size_t size = python_strip(gap + 1, strlen(gap + 1), &start);
    TRY(mem_printf(&rest, "%.*s", (int)size, start));
    TRY(zeroshot_add(z, (const char *const *)contexts, 2, (const char *const[]){rest, rest}, 2,
                     answer - 1));
out:
    mem_free(contexts[0]);
    mem_free(contexts[1]);
    mem_free(rest);
    return rc;
}

const struct task task_winogrande = {
    .name = "winogrande",
    .title = "WinoGrande: which of two words a gap stands for",
    .source = "development set, 1,267 questions; CC BY 2.0",
    .version = 1,
    .scoring = SCORE_SUM,
    .pairs = PAIRS_PLAIN,
    .lengths = LENGTH_CONTEXT,
    .file = "winogrande/dev.jsonl",
    .see = see,
    .load = zeroshot_load,
};
