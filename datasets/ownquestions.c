/* Multiple-choice questions of the user's own: a JSON object a line. */
#include "core/err.h"
#include "core/file.h"
#include "datasets/jsonlines.h"
#include "datasets/own.h"
#include "datasets/questions.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CHOICES = 64 };

/* The strings of an array member; every one must be text. ERR_MISSING when there is no such member.
 */
static int read_texts(const json_t *object, const char *key, const struct json_place *place,
                      const char **texts, int *count)
{
    const json_t *array = json_object_get(object, key);
    size_t size = json_array_size(array);
    if (!array)
        return ERR_MISSING;
    if (!json_is_array(array) || size < 2 || size > MAX_CHOICES)
        return err_set(ERR_FORMAT, "%s:%zu: \"%s\" must be a list of 2 to %d texts", place->path,
                       place->line, key, MAX_CHOICES);
    for (size_t i = 0; i < size; i++)
        if (!(texts[i] = json_string_value(json_array_get(array, i))))
            return err_set(ERR_FORMAT, "%s:%zu: \"%s\"[%zu] is not a text", place->path,
                           place->line, key, i);
    *count = (int)size;
    return 0;
}

static int add_question(struct questions *questions, const json_t *object,
                        const struct json_place *place)
{
    const char *choices[MAX_CHOICES], *contexts[MAX_CHOICES];
    int count = 0, contexts_count = 1;
    int rc = read_texts(object, "choices", place, choices, &count);
    if (rc == ERR_MISSING)
        return err_set(ERR_FORMAT, "%s:%zu: \"choices\" is missing", place->path, place->line);
    if (rc)
        return rc;
    for (int c = 0; c < count; c++)
        if (!*choices[c])
            return err_set(ERR_FORMAT, "%s:%zu: \"choices\"[%d] is empty: it has no likelihood",
                           place->path, place->line, c);
    rc = read_texts(object, "contexts", place, contexts, &contexts_count);
    if (rc == ERR_MISSING) {
        contexts[0] = json_string_value(json_object_get(object, "context"));
        if (!contexts[0])
            return err_set(ERR_FORMAT, "%s:%zu: \"context\" (a text) or \"contexts\" is missing",
                           place->path, place->line);
    } else if (rc) {
        return rc;
    } else if (json_object_get(object, "context")) {
        return err_set(ERR_FORMAT, "%s:%zu: \"context\" and \"contexts\" exclude each other",
                       place->path, place->line);
    } else if (contexts_count != count) {
        return err_set(ERR_FORMAT, "%s:%zu: %d \"contexts\" for %d \"choices\"", place->path,
                       place->line, contexts_count, count);
    }
    const json_t *answer = json_object_get(object, "answer"), *id = json_object_get(object, "id");
    if (!json_is_integer(answer) || json_integer_value(answer) < 0 ||
        json_integer_value(answer) >= count)
        return err_set(ERR_FORMAT, "%s:%zu: \"answer\" must be a whole number from 0 to %d",
                       place->path, place->line, count - 1);
    if (id &&
        (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT_MAX))
        return err_set(ERR_FORMAT, "%s:%zu: \"id\" must be a whole number from 0 to %d",
                       place->path, place->line, INT_MAX);
    return questions_add(questions, contexts, contexts_count, choices, count,
                         (int)json_integer_value(answer),
                         id ? (int)json_integer_value(id) : (int)questions->count);
}

/* ---- the first line: what the file says of the whole task ---- */

struct heading {
    bool there;
    struct task *fill; /* what it says goes there, with *premise */
    char **premise;
    struct hash *hash; /* or, without fill, what it says is added to this */
};

/* Sets the bit of a rule by its name. */
static int add_rule(const json_t *name, unsigned *rules, const struct json_place *place)
{
    const char *text = json_string_value(name);
    for (int s = 0; text && s <= SCORE_PMI; s++)
        if (strcmp(text, scoring_names[s]) == 0) {
            *rules |= 1u << s;
            return 0;
        }
    return err_set(
        ERR_FORMAT,
        "%s:%zu: \"scoring\" is one of sum, tokens, bytes, characters, pmi, or a list of "
        "them",
        place->path, place->line);
}

static int take_scoring(struct task *task, const json_t *value, const struct json_place *place)
{
    unsigned rules = 0;
    int rc = 0, first = 0;
    for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++)
        TRY(add_rule(json_array_get(value, i), &rules, place));
    if (!rules)
        TRY(add_rule(value, &rules, place));
    while (!(rules >> first & 1))
        first++;
    task->scoring = (enum scoring)first;
    task->more = rules;
out:
    return rc;
}

/* {"scoring": ..., "tokens": "start" or "plain", "premise": "..."} */
static int take_heading(const struct heading *heading, const json_t *object,
                        const struct json_place *place)
{
    int rc = 0;
    const char *key;
    json_t *value;
    char *premise = NULL;
    struct task *task = heading->fill;
    json_object_foreach((json_t *)object, key, value)
    {
        const char *text = json_string_value(value);
        if (strcmp(key, "scoring") == 0) {
            TRY(take_scoring(task, value, place));
        } else if (strcmp(key, "tokens") == 0 && text && strcmp(text, "start") == 0) {
            task->pairs = PAIRS_START;
        } else if (strcmp(key, "tokens") == 0 && text && strcmp(text, "plain") == 0) {
            task->pairs = PAIRS_PLAIN;
        } else if (strcmp(key, "tokens") == 0) {
            rc = err_set(ERR_FORMAT, "%s:%zu: \"tokens\" is \"start\" or \"plain\"", place->path,
                         place->line);
        } else if (strcmp(key, "premise") == 0 && text) {
            TRY(mem_strdup(&premise, text));
        } else {
            rc = err_set(ERR_FORMAT,
                         "%s:%zu: \"%s\": a task's first line may have \"scoring\", \"tokens\" and "
                         "\"premise\" (a text)",
                         place->path, place->line, key);
        }
        if (rc)
            goto out;
    }
    task->premise = *heading->premise = premise;
    premise = NULL;
out:
    mem_free(premise);
    return rc;
}

/* What the heading says changes what is measured: it belongs to the questions' hash. */
static int hash_heading(const struct heading *heading, const json_t *object,
                        const struct json_place *place)
{
    char *text = json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return err_set(ERR_MEMORY, "out of memory: %s:%zu", place->path, place->line);
    hash_add(heading->hash, text, strlen(text));
    free(text);
    return 0;
}

static int see_first(void *context, const json_t *object, const struct json_place *place)
{
    struct heading *heading = context;
    const json_t *task = json_object_get(object, "task");
    heading->there = task != NULL;
    if (!task)
        return 0;
    if (!json_is_object(task))
        return err_set(ERR_FORMAT, "%s:%zu: \"task\" must be an object", place->path, place->line);
    return heading->fill ? take_heading(heading, task, place) : hash_heading(heading, task, place);
}

int own_task_describe(struct task *task, char **premise)
{
    struct heading heading = {.fill = task, .premise = premise};
    if (!file_exists(task->path))
        return 0;
    int rc = json_lines(task->path, 1, see_first, &heading);
    return heading.there ? rc : 0; /* what else is wrong, loading says */
}

struct reader {
    struct questions questions;
    bool heading; /* the first object is no question */
};

static int see_question(void *context, const json_t *object, const struct json_place *place)
{
    struct reader *reader = context;
    if (reader->heading) {
        reader->heading = false;
        return 0;
    }
    return add_question(&reader->questions, object, place);
}

/* The first `limit` questions of the file, in its order; the seed has no part in it. */
static int load(const struct task *task, struct questions *out, size_t limit, uint64_t seed)
{
    struct reader reader = {{0}, false};
    struct hash hash;
    struct heading heading = {.hash = &hash};
    int rc;
    hash_init(&hash);
    TRY(json_lines(task->path, 1, see_first, &heading));
    reader.heading = heading.there;
    TRY(json_lines(task->path, limit && heading.there ? limit + 1 : limit, see_question, &reader));
    if (reader.questions.count == 0)
        TRY(err_set(ERR_FORMAT, "%s: there is no question in it", task->path));
    questions_finish(&reader.questions);
    if (heading.there) {
        hash_add(&hash, reader.questions.hash, strlen(reader.questions.hash));
        hash_finish(&hash, reader.questions.hash);
    }
    *out = reader.questions;
    reader.questions = (struct questions){0};
out:
    questions_release(&reader.questions);
    return rc;
}

const struct task task_own = {
    .source = "a task of your own", .version = 1, .scoring = SCORE_PMI, .load = load};
