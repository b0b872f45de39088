/* Questions on the Perl manual: which sentence comes next in the paragraph. */
#include "datasets/draw.h"

#include "datasets/documents.h"

#include <string.h>

enum { LEAST_WORDS = 6, MOST_WORDS = 40, CONTEXT_WORDS = 60 };

/* The offset behind the sentence that starts at `at`: behind ". ", "? " or "! " and before a
 * capital letter, else the line's end. The space belongs to the next sentence. */
static size_t sentence_end(const char *line, size_t at, size_t length)
{
    for (size_t i = at + 1; i + 2 < length; i++)
        if (strchr(".?!", line[i]) && line[i + 1] == ' ' && line[i + 2] >= 'A' &&
            line[i + 2] <= 'Z')
            return i + 1;
    return length;
}

/* Each sentence but the first, given those before it (from the paragraph's beginning, or the last
 * one alone when they are too long). */
static int add_line(struct draw_pool *pool, const char *line, size_t length, size_t document)
{
    size_t context = 0, before = 0, at = sentence_end(line, 0, length);
    while (at < length) {
        size_t end = sentence_end(line, at, length), words = text_words(line + at, end - at);
        if (text_words(line + context, at - context) > CONTEXT_WORDS)
            context = before + (line[before] == ' ');
        size_t context_words = text_words(line + context, at - context);
        if (words >= LEAST_WORDS && words <= MOST_WORDS && context_words >= LEAST_WORDS &&
            context_words <= CONTEXT_WORDS) {
            int rc = draw_add(pool, line + context, at - context, line + at, end - at, document);
            if (rc)
                return rc;
        }
        before = at;
        at = end;
    }
    return 0;
}

static int load(const struct task *task, struct questions *out, size_t limit, uint64_t seed)
{
    return draw_lines(task, add_line, limit, seed, out);
}

const struct task task_perldoc_next = {
    .name = "perldoc_next",
    .title = "Next sentence of the Perl manual",
    .source = "test sections of corpus perldoc, four sentences",
    .version = 2,
    .scoring = SCORE_PMI,
    .premise = "See below.",
    .corpus = "perldoc",
    .load = load,
};
