/* Multiple-choice questions of the user's own: a JSON object a line. */
#include "core/err.h"
#include "core/file.h"
#include "datasets/own.h"
#include "datasets/questions.h"

#include <jansson.h>
#include <limits.h>
#include <string.h>

enum { MAX_CHOICES = 64 };

struct place {
    const char *path;
    size_t line;
};

/* The strings of an array member; every one must be text. ERR_MISSING when there is no such member.
 */
static int read_texts(const json_t *object, const char *key, const struct place *place,
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
                        const struct place *place)
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

static int add_line(struct questions *questions, const char *line, size_t length,
                    const struct place *place)
{
    json_error_t error;
    json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
    if (!object)
        return err_set(ERR_FORMAT, "%s:%zu: not a JSON object: column %d: %s", place->path,
                       place->line, error.column, error.text);
    int rc = json_is_object(object)
                 ? add_question(questions, object, place)
                 : err_set(ERR_FORMAT, "%s:%zu: not a JSON object", place->path, place->line);
    json_decref(object);
    return rc;
}

/* The first `limit` lines of the file, in its order; the seed has no part in it. */
static int load(const struct task *task, struct questions *out, size_t limit, uint64_t seed)
{
    struct questions fresh = {0};
    struct file_map map = {0};
    struct place place = {.path = task->path};
    int rc;
    (void)seed;
    TRY(file_map_open(&map, task->path));
    const char *text = (const char *)map.data;
    for (size_t at = 0, length; at < map.size && (limit == 0 || fresh.count < limit);
         at += length + 1) {
        const char *newline = memchr(text + at, '\n', map.size - at);
        length = newline ? (size_t)(newline - text) - at : map.size - at;
        place.line++;
        size_t blank = 0;
        while (blank < length && strchr(" \t\r", text[at + blank]) && text[at + blank])
            blank++;
        if (blank < length)
            TRY(add_line(&fresh, text + at, length, &place));
    }
    if (fresh.count == 0)
        TRY(err_set(ERR_FORMAT, "%s: there is no question in it (%zu bytes)", task->path,
                    map.size));
    questions_finish(&fresh);
    *out = fresh;
    fresh = (struct questions){0};
out:
    file_unmap(&map);
    questions_release(&fresh);
    return rc;
}

const struct task task_own = {
    .source = "a task of your own", .version = 1, .scoring = SCORE_PMI, .load = load};
