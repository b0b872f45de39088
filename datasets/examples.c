/* Questions on WordNet: which example illustrates the definition. */
#include "datasets/draw.h"

#include "datasets/documents.h"

#include <string.h>

enum { LEAST_WORDS = 4 };

/* `lemma: gloss; "example one"; "example two"`: the first example is the continuation of what
 * stands before its space. */
static int add_line(struct draw_pool *pool, const char *line, size_t length, size_t document)
{
    const char *start = memmem(line, length, "; \"", 3);
    if (!start)
        return 0;
    const char *open = start + 2, *limit = line + length,
               *close = memchr(open + 1, '"', (size_t)(limit - open - 1));
    if (!close || text_words(open, (size_t)(close - open)) < LEAST_WORDS)
        return 0;
    return draw_add(pool, line, (size_t)(start + 1 - line), start + 1, (size_t)(close - start),
                    document);
}

static int load(const struct task *task, struct questions *out, size_t limit, uint64_t seed)
{
    return draw_lines(task, add_line, limit, seed, out);
}

const struct task task_wordnet_example = {
    .name = "wordnet_example",
    .title = "Example of a definition",
    .source = "test synsets of corpus wordnet, four examples of use",
    .version = 2,
    .scoring = SCORE_PMI,
    .premise = "word: as it is used;",
    .corpus = "wordnet",
    .load = load,
};
