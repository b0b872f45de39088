#include "harness/row_draw.h"

#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/python_random.h"
#include "datasets/rows.h"

#include <stdlib.h>
#include <string.h>

/* Words of the generator whose documents are read in one pass. A document's number is made of one
 * word, and which words are numbers of documents depends on how long earlier documents are. So the
 * documents that any of the next words could stand for are read together, wherever the draw goes:
 * one pass over the file in place of one a document. */
enum { AHEAD = 1 << 15 };

struct row_pool {
    const struct corpus *corpus;
    enum split split;
    uint32_t rows;     /* of the split */
    uint32_t *numbers; /* of the rows at hand, ascending */
    size_t count, seen;
    size_t *offsets; /* count + 1: row k is text[offsets[k] .. offsets[k + 1]) */
    struct strbuf text;
    unsigned char *is_short; /* rows: known to be too short */
    uint32_t short_rows;
};

static void pool_empty(struct row_pool *pool)
{
    mem_free(pool->numbers);
    mem_free(pool->offsets);
    strbuf_release(&pool->text);
    pool->numbers = NULL;
    pool->offsets = NULL;
    pool->count = 0;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static bool is_next(void *context, size_t index)
{
    const struct row_pool *pool = context;
    return pool->seen < pool->count && pool->numbers[pool->seen] == index;
}

static int take_row(void *context, size_t index, const char *text, size_t size)
{
    struct row_pool *pool = context;
    int rc = strbuf_add(&pool->text, text, size);
    if (rc)
        return rc;
    pool->offsets[++pool->seen] = pool->text.length;
    return pool->seen == pool->count ? ROWS_STOP : 0;
}

/* Reads row `first` and all that the generator's next words can stand for. */
static int pool_fill(struct row_pool *pool, uint32_t first, const struct python_random *random)
{
    struct python_random copy = *random;
    const struct row_visitor visitor = {.wanted = is_next, .see = take_row, .context = pool};
    int rc;
    pool_empty(pool);
    TRY(mem_alloc(&pool->numbers, AHEAD + 1, sizeof *pool->numbers));
    pool->numbers[0] = first;
    for (size_t i = 1; i <= AHEAD; i++) {
        uint32_t number = python_random_place(python_random_word(&copy), pool->rows);
        pool->numbers[i] = number < pool->rows && !pool->is_short[number] ? number : first;
    }
    qsort(pool->numbers, AHEAD + 1, sizeof *pool->numbers, ascending);
    for (size_t i = 0; i <= AHEAD; i++)
        if (i == 0 || pool->numbers[i] != pool->numbers[pool->count - 1])
            pool->numbers[pool->count++] = pool->numbers[i];
    TRY(mem_alloc(&pool->offsets, pool->count + 1, sizeof *pool->offsets));
    pool->offsets[0] = pool->seen = 0;
    TRY(strbuf_puts(&pool->text, ""));
    TRY(rows_visit(pool->corpus, pool->split, &visitor, NULL));
    if (pool->seen < pool->count)
        rc = err_set(ERR_IO, "corpus %s: its file lost rows while it was read", pool->corpus->name);
out:
    return rc;
}

/* The tokens of a row. */
static int row_tokens(struct row_pool *pool, uint32_t number, const struct python_random *random,
                      const struct tokenizer *tokenizer, int32_t **ids, size_t *count)
{
    const uint32_t *found =
        pool->count ? bsearch(&number, pool->numbers, pool->count, sizeof number, ascending) : NULL;
    if (!found) {
        int rc = pool_fill(pool, number, random);
        if (rc)
            return rc;
        found = bsearch(&number, pool->numbers, pool->count, sizeof number, ascending);
    }
    size_t at = (size_t)(found - pool->numbers);
    return tokenizer_encode_default(tokenizer, pool->text.data + pool->offsets[at],
                                    pool->offsets[at + 1] - pool->offsets[at], ids, count);
}

/* One segment. */
static int draw_one(struct row_pool *pool, struct python_random *random,
                    const struct tokenizer *tokenizer, int length, int32_t *segment)
{
    int32_t *ids = NULL;
    size_t count = 0, wanted = (size_t)length;
    int rc = 0;
    for (;;) {
        uint32_t number = python_random_below(random, pool->rows);
        if (pool->is_short[number])
            continue;
        TRY(row_tokens(pool, number, random, tokenizer, &ids, &count));
        if (count > wanted)
            break;
        mem_free(ids);
        ids = NULL;
        pool->is_short[number] = 1;
        if (++pool->short_rows == pool->rows)
            TRY(err_set(ERR_USAGE,
                        "corpus %s: none of its %u documents has more than %d tokens: set a "
                        "shorter length",
                        pool->corpus->name, pool->rows, length));
    }
    if (count - wanted > UINT32_MAX)
        TRY(err_set(ERR_FORMAT, "corpus %s: a document has %zu tokens, too many to draw from",
                    pool->corpus->name, count));
    uint32_t start = python_random_below(random, (uint32_t)(count - wanted));
    memcpy(segment, ids + start, wanted * sizeof *segment);
out:
    mem_free(ids);
    return rc;
}

static bool is_never(void *context, size_t index)
{
    return false;
}

/* The number of rows, and whether it is the published one. */
static int count_rows(struct row_pool *pool, int *changed)
{
    const struct row_visitor visitor = {.wanted = is_never};
    struct row_count count;
    char *line = NULL;
    int rc;
    TRY(rows_visit(pool->corpus, pool->split, &visitor, &count));
    if (count.rows > UINT32_MAX)
        TRY(err_set(ERR_FORMAT, "corpus %s: %zu documents are too many to draw from",
                    pool->corpus->name, count.rows));
    pool->rows = (uint32_t)count.rows;
    TRY(rows_difference(pool->corpus, pool->split, &count, &line));
    if (line)
        log_warning("%s", line);
    if (changed)
        *changed = line != NULL;
out:
    mem_free(line);
    return rc;
}

int row_draw(const struct corpus *corpus, enum split split, const struct tokenizer *tokenizer,
             int samples, int length, int seed, int32_t **ids, int *changed)
{
    struct row_pool pool = {.corpus = corpus, .split = split};
    struct python_random random;
    int32_t *drawn = NULL;
    int rc;
    TRY(count_rows(&pool, changed));
    TRY(mem_calloc(&pool.is_short, pool.rows, 1));
    TRY(mem_alloc(&drawn, (size_t)samples * (size_t)length, sizeof *drawn));
    python_random_seed(&random, (uint64_t)seed);
    for (int i = 0; i < samples; i++)
        TRY(draw_one(&pool, &random, tokenizer, length, drawn + (size_t)i * (size_t)length));
    *ids = drawn;
    drawn = NULL;
out:
    pool_empty(&pool);
    mem_free(pool.is_short);
    mem_free(drawn);
    return rc;
}
