/* HellaSwag: how a described scene goes on (Zellers et al. 2019, arXiv:1905.07830). */
#include "core/err.h"
#include "datasets/pythontext.h"
#include "datasets/zeroshot.h"

#include <string.h>

/* text.replace(old, new): from the left, without overlap. */
static int replace(struct strbuf *text, const char *old, const char *new)
{
    struct strbuf built = {0};
    int rc;
    TRY(strbuf_puts(&built, ""));
    const char *at = text->data, *found;
    for (; (found = strstr(at, old)) != NULL; at = found + strlen(old)) {
        TRY(strbuf_add(&built, at, (size_t)(found - at)));
        TRY(strbuf_puts(&built, new));
    }
    TRY(strbuf_puts(&built, at));
    strbuf_release(text);
    *text = built;
    built = (struct strbuf){0};
out:
    strbuf_release(&built);
    return rc;
}

/* re.sub("\\[.*?\\]", "", text): a bracket, as little as possible on the same line, a bracket. */
static void drop_brackets(struct strbuf *text)
{
    char *to = text->data;
    const char *from = text->data;
    while (*from) {
        size_t inside = *from == '[' ? strcspn(from, "]\n") : 0;
        if (inside && from[inside] == ']')
            from += inside + 1;
        else
            *to++ = *from++;
    }
    *to = '\0';
    text->length = (size_t)(to - text->data);
}

/* The marks that the WikiHow part of the data was left with go. Each step is one pass, and double
 * spaces that the later steps make stay, as in lm-evaluation-harness. */
static int clean(const char *text, struct strbuf *out)
{
    const char *start;
    size_t size = python_strip(text, strlen(text), &start);
    int rc;
    out->length = 0;
    TRY(strbuf_add(out, start, size));
    TRY(replace(out, " [title]", ". "));
    drop_brackets(out);
    TRY(replace(out, "  ", " "));
out:
    return rc;
}

static int see(void *context, const json_t *object, const struct json_place *place)
{
    struct zeroshot *z = context;
    const json_t *endings = json_object_get(object, "endings");
    size_t count = json_array_size(endings);
    const char *activity, *first, *second, *choices[ZEROSHOT_CHOICES];
    struct strbuf cleaned[ZEROSHOT_CHOICES] = {{0}}, prompt = {0};
    char *capitalized = NULL, *whole = NULL;
    int rc, gold;
    TRY(json_line_text(object, "activity_label", place, &activity));
    TRY(json_line_text(object, "ctx_a", place, &first));
    TRY(json_line_text(object, "ctx_b", place, &second));
    if (!json_is_array(endings) || count < 2 || count > ZEROSHOT_CHOICES)
        TRY(err_set(ERR_FORMAT, "%s:%zu: \"endings\" must be a list of 2 to %d texts", place->path,
                    place->line, ZEROSHOT_CHOICES));
    TRY(zeroshot_label(z, object, "label", 0, (int)count - 1, place, &gold));
    TRY(python_capitalize(second, &capitalized));
    TRY(mem_printf(&whole, "%s: %s %s", activity, first, capitalized));
    TRY(clean(whole, &prompt));
    for (size_t c = 0; c < count; c++) {
        const char *ending = json_string_value(json_array_get(endings, c));
        if (!ending)
            TRY(err_set(ERR_FORMAT, "%s:%zu: \"endings\"[%zu] is not a text", place->path,
                        place->line, c));
        TRY(clean(ending, &cleaned[c]));
        choices[c] = cleaned[c].data;
    }
    TRY(zeroshot_add(z, (const char *const[]){prompt.data}, 1, choices, (int)count, gold));
out:
    for (int c = 0; c < ZEROSHOT_CHOICES; c++)
        strbuf_release(&cleaned[c]);
    strbuf_release(&prompt);
    mem_free(capitalized);
    mem_free(whole);
    return rc;
}

const struct task task_hellaswag = {
    .name = "hellaswag",
    .title = "HellaSwag: how a scene goes on, four endings",
    .source = "validation set, 10,042 questions; MIT",
    .version = 1,
    .scoring = SCORE_SUM,
    .more = 1u << SCORE_CHARACTERS,
    .pairs = PAIRS_PLAIN,
    .lengths = LENGTH_TRIMMED,
    .file = "hellaswag/hellaswag_val.jsonl",
    .see = see,
    .load = zeroshot_load,
};
