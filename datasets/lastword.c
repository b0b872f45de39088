/* Texts whose last word is to be found, as in LAMBADA (Paperno et al. 2016, arXiv:1606.06031): the
 * word counts when each of its tokens is the most probable one behind what stands before. */
#include "core/err.h"
#include "datasets/jsonlines.h"
#include "datasets/own.h"
#include "datasets/questions.h"

#include <limits.h>
#include <string.h>

/* The whole text is divided at its last space, which goes to the word. */
static int divide(const char *text, const struct json_place *place, char **context,
                  const char **word)
{
    const char *space = strrchr(text, ' ');
    if (!space || !space[1])
        return err_set(ERR_FORMAT,
                       "%s:%zu: \"text\" must have a space with the last word behind it",
                       place->path, place->line);
    *word = space;
    return mem_printf(context, "%.*s", (int)(space - text), text);
}

static int add_text(void *sink, const json_t *object, const struct json_place *place)
{
    struct questions *questions = sink;
    int rc;
    const char *text = NULL, *word = NULL;
    char *context = NULL;
    const json_t *id = json_object_get(object, "id");
    if (id &&
        (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT_MAX))
        return err_set(ERR_FORMAT, "%s:%zu: \"id\" must be a whole number from 0 to %d",
                       place->path, place->line, INT_MAX);
    if (json_object_get(object, "text")) {
        TRY(json_line_text(object, "text", place, &text));
        if (strlen(text) > INT_MAX)
            TRY(err_set(ERR_FORMAT, "%s:%zu: \"text\" is too long", place->path, place->line));
        TRY(divide(text, place, &context, &word));
    } else if (json_object_get(object, "context") || json_object_get(object, "target")) {
        TRY(json_line_text(object, "context", place, &text));
        TRY(json_line_text(object, "target", place, &word));
        if (!*word)
            TRY(err_set(ERR_FORMAT, "%s:%zu: \"target\" is empty: it has no likelihood",
                        place->path, place->line));
        TRY(mem_strdup(&context, text));
    } else {
        TRY(err_set(ERR_FORMAT, "%s:%zu: \"text\", or \"context\" with \"target\", is missing",
                    place->path, place->line));
    }
    TRY(questions_add(questions, (const char *const[]){context}, 1, &word, 1, 0,
                      id ? (int)json_integer_value(id) : (int)questions->count));
out:
    mem_free(context);
    return rc;
}

static int load(const struct task *task, struct questions *out, size_t limit, uint64_t seed)
{
    struct questions fresh = {0};
    int rc;
    TRY(json_lines(task->path, limit, add_text, &fresh));
    questions_finish(&fresh);
    *out = fresh;
    fresh = (struct questions){0};
out:
    questions_release(&fresh);
    return rc;
}

const struct task task_own_last_word = {
    .source = "texts of your own: their last word",
    .version = 1,
    .scoring = SCORE_GREEDY,
    .more = 1u << SCORE_PERPLEXITY,
    .pairs = PAIRS_PLAIN,
    .load = load,
};
