#include "datasets/zeroshot.h"

#include "core/err.h"
#include "core/file.h"
#include "datasets/data_folder.h"

#include <stdlib.h>
#include <string.h>

int zeroshot_add(struct zeroshot *z, const char *const *contexts, int contexts_count,
                 const char *const *choices, int count, int gold)
{
    int rc = 0;
    char *continuations[ZEROSHOT_CHOICES] = {NULL};
    for (int c = 0; c < count; c++)
        TRY(mem_printf(&continuations[c], " %s", choices[c]));
    TRY(questions_add(&z->questions, contexts, contexts_count, (const char *const *)continuations,
                      count, gold, (int)z->questions.count));
out:
    for (int c = 0; c < count; c++)
        mem_free(continuations[c]);
    return rc;
}

int zeroshot_load(const struct task *task, struct questions *out, size_t limit, uint64_t seed)
{
    struct zeroshot z = {.task = task};
    char *path = NULL, *labels_path = NULL, *text = NULL, who[80];
    int rc;
    snprintf(who, sizeof who, "task %s", task->name);
    TRY(data_folder_path(&path, task->file, who));
    /* Hugging Face's form has the answers among the questions; who needs the file says so. */
    rc = task->labels ? data_folder_path(&labels_path, task->labels, who) : 0;
    if (rc && rc != ERR_MISSING)
        goto out;
    if (labels_path) {
        TRY(file_read(labels_path, &text, NULL));
        z.labels = text;
        z.labels_path = labels_path;
    }
    TRY(json_lines(path, limit, task->see, &z));
    if (z.labels && limit == 0 && z.labels[strspn(z.labels, " \t\r\n")])
        TRY(err_set(ERR_FORMAT, "%s: has more lines than the %zu questions of %s", labels_path,
                    z.questions.count, path));
    questions_finish(&z.questions);
    *out = z.questions;
    z.questions = (struct questions){0};
out:
    questions_release(&z.questions);
    mem_free(text);
    mem_free(labels_path);
    mem_free(path);
    return rc;
}

/* The whole text is a number. */
static int read_number(const char *text, size_t length, long *number)
{
    char digits[16], *end;
    if (length == 0 || length >= sizeof digits)
        return 0;
    memcpy(digits, text, length);
    digits[length] = '\0';
    *number = strtol(digits, &end, 10);
    return *end == '\0';
}

/* The next line of the file of answers. */
static int next_label(struct zeroshot *z, const struct json_place *place, const char **text,
                      size_t *length)
{
    if (!z->labels)
        return 0;
    if (!*z->labels)
        return err_set(ERR_FORMAT, "%s: has no line for the question %s:%zu", z->labels_path,
                       place->path, place->line);
    size_t line = strcspn(z->labels, "\n"), end = line;
    while (end > 0 && strchr(" \t\r", z->labels[end - 1]))
        end--;
    *text = z->labels;
    *length = end;
    z->labels += line + (z->labels[line] == '\n');
    return 0;
}

int zeroshot_label(struct zeroshot *z, const json_t *object, const char *key, int low, int high,
                   const struct json_place *place, int *label)
{
    const json_t *value = json_object_get(object, key);
    const char *text = json_string_value(value);
    size_t length = text ? strlen(text) : 0;
    long number = low - 1L;
    int rc = next_label(z, place, &text, &length);
    if (rc)
        return rc;
    if (text)
        rc = !read_number(text, length, &number);
    else if (json_is_integer(value))
        number = json_integer_value(value) >= low && json_integer_value(value) <= high
                     ? (long)json_integer_value(value)
                     : low - 1L;
    else if (json_is_boolean(value))
        number = json_is_true(value);
    if (rc || number < low || number > high) {
        if (z->labels)
            return err_set(ERR_FORMAT,
                           "%s: '%.*s' answers the question %s:%zu: %d to %d is allowed",
                           z->labels_path, (int)(length < 40 ? length : 40), text, place->path,
                           place->line, low, high);
        return err_set(ERR_FORMAT,
                       "%s:%zu: \"%s\" must be the right answer, %d to %d: questions without "
                       "answers cannot be scored",
                       place->path, place->line, key, low, high);
    }
    *label = (int)number;
    return 0;
}

/* Choice number i as text and label, in either form; 0 when it has both. */
static int choice_at(const json_t *choices, size_t i, const char **text, const char **label)
{
    const json_t *one = json_array_get(choices, i), *texts = json_object_get(choices, "text"),
                 *labels = json_object_get(choices, "label");
    *text = json_string_value(one ? json_object_get(one, "text") : json_array_get(texts, i));
    *label = json_string_value(one ? json_object_get(one, "label") : json_array_get(labels, i));
    return *text && *label ? 0 : 1;
}

int zeroshot_labelled(const json_t *object, const char *stem, const struct json_place *place,
                      struct zeroshot_labelled *out)
{
    struct zeroshot_labelled found = {.gold = -1};
    const json_t *question = json_object_get(object, "question"), *choices;
    const char *answer;
    int nested = json_is_object(question);
    int rc = json_line_text(nested ? question : object, nested ? "stem" : stem, place, &found.stem);
    if (rc == 0)
        rc = json_line_text(object, "answerKey", place, &answer);
    if (rc)
        return rc;
    choices = json_object_get(nested ? question : object, "choices");
    size_t count = json_is_array(choices) ? json_array_size(choices)
                                          : json_array_size(json_object_get(choices, "text"));
    if (count < 2 || count > ZEROSHOT_CHOICES)
        return err_set(ERR_FORMAT, "%s:%zu: \"choices\" must be 2 to %d texts with labels",
                       place->path, place->line, ZEROSHOT_CHOICES);
    for (size_t i = 0; i < count; i++) {
        const char *label;
        if (choice_at(choices, i, &found.choices[i], &label))
            return err_set(ERR_FORMAT, "%s:%zu: choice %zu has no \"text\" or no \"label\"",
                           place->path, place->line, i);
        if (found.gold < 0 && strcmp(label, answer) == 0)
            found.gold = (int)i;
    }
    if (found.gold < 0)
        return err_set(ERR_FORMAT,
                       "%s:%zu: \"answerKey\" '%.20s' is none of the labels: questions without "
                       "answers cannot be scored",
                       place->path, place->line, answer);
    found.count = (int)count;
    *out = found;
    return 0;
}
