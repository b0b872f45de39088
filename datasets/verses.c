/* Questions on the King James Bible: how a verse ends, and which verse comes next. */
#include "datasets/draw.h"

#include "core/err.h"
#include "datasets/documents.h"

#include <string.h>

enum { LEAST_WORDS = 4, LEAST_VERSE = 8, MOST_VERSE = 40, VERSES_BEFORE = 2 };

/* A chapter's next verse, from offset *at (behind the chapter's name); 0 at the end. */
static int next_verse(const struct documents *documents, size_t document, size_t *at,
                      const char **verse, size_t *length)
{
    size_t end = documents->offsets[document + 1];
    if (*at >= end)
        return 0;
    const char *newline = memchr(documents->text + *at, '\n', end - *at);
    *verse = documents->text + *at;
    *length = newline ? (size_t)(newline - *verse) : end - *at;
    *at += *length + 1;
    return 1;
}

/* The offset behind the chapter's name. */
static size_t first_verse(const struct documents *documents, size_t document)
{
    size_t at = documents->offsets[document], length;
    const char *name;
    next_verse(documents, document, &at, &name, &length);
    return at;
}

/* The offset of the space behind the comma, colon or semicolon nearest to the verse's middle, such
 * that both sides have at least LEAST_WORDS words; 0 when there is none. */
static size_t find_half(const char *verse, size_t length)
{
    size_t best = 0, best_distance = length;
    for (size_t i = 1; i < length; i++) {
        if (verse[i] != ' ' || !strchr(",:;", verse[i - 1]))
            continue;
        size_t distance = 2 * i > length ? 2 * i - length : length - 2 * i;
        if (distance >= best_distance || text_words(verse, i) < LEAST_WORDS ||
            text_words(verse + i, length - i) < LEAST_WORDS)
            continue;
        best = i;
        best_distance = distance;
    }
    return best;
}

/* The second halves of the train verses: phrases that can be known by heart. */
static int known_halves(const struct documents *train, struct keyset *known)
{
    for (size_t d = 0; d < train->count; d++) {
        const char *verse;
        size_t at = first_verse(train, d), length;
        while (next_verse(train, d, &at, &verse, &length)) {
            size_t half = find_half(verse, length);
            int rc = half ? keyset_add(known, key_of(verse + half, length - half), NULL) : 0;
            if (rc)
                return rc;
        }
    }
    return 0;
}

static int load_half(const struct task *task, struct questions *out, size_t limit, uint64_t seed)
{
    struct documents test = {0}, train = {0};
    struct draw_pool pool = {0};
    struct keyset known = {0};
    int rc;
    TRY(draw_documents(task, &test, &train));
    TRY(known_halves(&train, &known));
    for (size_t d = 0; d < test.count; d++) {
        const char *verse, *before[VERSES_BEFORE] = {NULL};
        size_t at = first_verse(&test, d), length;
        for (size_t v = 0; next_verse(&test, d, &at, &verse, &length); v++) {
            size_t half = find_half(verse, length);
            const char *from = before[v % VERSES_BEFORE]; /* the verse VERSES_BEFORE ago */
            before[v % VERSES_BEFORE] = verse;
            if (from && half && !keyset_has(&known, key_of(verse + half, length - half)))
                TRY(draw_add(&pool, from, (size_t)(verse - from) + half, verse + half,
                             length - half, d));
        }
    }
    TRY(draw_questions(&pool, task, limit, seed, out));
out:
    documents_release(&test);
    documents_release(&train);
    keyset_release(&known);
    draw_release(&pool);
    return rc;
}

static int usable_verse(const char *verse, size_t length)
{
    size_t words = text_words(verse, length);
    return words >= LEAST_VERSE && words <= MOST_VERSE;
}

static int load_next(const struct task *task, struct questions *out, size_t limit, uint64_t seed)
{
    struct documents test = {0};
    struct draw_pool pool = {0};
    int rc;
    TRY(draw_documents(task, &test, NULL));
    for (size_t d = 0; d < test.count; d++) {
        const char *verse, *before = NULL;
        size_t at = first_verse(&test, d), length, before_length = 0;
        while (next_verse(&test, d, &at, &verse, &length)) {
            if (before && usable_verse(before, before_length) && usable_verse(verse, length))
                TRY(draw_add(&pool, before, before_length, before + before_length, length + 1,
                             d)); /* with the newline */
            before = verse;
            before_length = length;
        }
    }
    TRY(draw_questions(&pool, task, limit, seed, out));
out:
    documents_release(&test);
    draw_release(&pool);
    return rc;
}

const struct task task_kjv_half = {
    .name = "kjv_half",
    .title = "Second half of a Bible verse",
    .source = "test chapters of corpus kjv: two verses and the first half of a third, four second "
              "halves",
    .version = 2,
    .scoring = SCORE_PMI,
    .premise = "And,",
    .corpus = "kjv",
    .load = load_half,
};

const struct task task_kjv_next = {
    .name = "kjv_next",
    .title = "Next Bible verse",
    .source = "test chapters of corpus kjv, four verses",
    .version = 2,
    .scoring = SCORE_PMI,
    .premise = "And it was so.",
    .corpus = "kjv",
    .load = load_next,
};
