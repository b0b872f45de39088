#include "datasets/draw.h"

#include "core/err.h"
#include "core/rng.h"
#include "datasets/documents.h"
#include "datasets/questions.h"

#include <stdlib.h>
#include <string.h>

enum {
    NEIGHBOURS = 60, /* wrong choices are among so many next shorter and next longer ones */
    ATTEMPTS = 400   /* draws for one question before it is given up */
};

/* Capital letter, small letter, or something else: of the first byte behind blanks and opening
 * quotes. */
static int kind_of(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && strchr(" \n\"'(", text[i]))
        i++;
    if (i == length)
        return 0;
    return text[i] >= 'A' && text[i] <= 'Z' ? 1 : text[i] >= 'a' && text[i] <= 'z' ? 2 : 3;
}

int draw_add(struct draw_pool *pool, const char *context, size_t context_length,
             const char *continuation, size_t length, size_t document)
{
    struct draw_item item = {
        .length = length, .document = document, .kind = kind_of(continuation, length)};
    int rc = 0;
    if (pool->count == pool->capacity) {
        size_t capacity = pool->capacity ? pool->capacity * 2 : 256;
        TRY(mem_resize(&pool->items, pool->count, capacity, sizeof *pool->items));
        pool->capacity = capacity;
    }
    item.context = pool->texts.length;
    TRY(strbuf_add(&pool->texts, context, context_length));
    TRY(strbuf_add(&pool->texts, "", 1));
    item.continuation = pool->texts.length;
    TRY(strbuf_add(&pool->texts, continuation, length));
    TRY(strbuf_add(&pool->texts, "", 1));
    pool->items[pool->count++] = item;
out:
    return rc;
}

void draw_release(struct draw_pool *pool)
{
    strbuf_release(&pool->texts);
    mem_free(pool->items);
    *pool = (struct draw_pool){0};
}

static int compare_length(const void *a, const void *b, void *context)
{
    const struct draw_item *items = context;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    if (items[x].length != items[y].length)
        return items[x].length < items[y].length ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* by_length: items by the length of their continuation; ranks: the inverse; order: a random
 * permutation. */
struct orders {
    size_t *by_length, *ranks, *order;
};

static int make_orders(const struct draw_pool *pool, uint64_t key, struct orders *out)
{
    struct rng rng;
    int rc;
    TRY(mem_calloc(&out->by_length, pool->count, sizeof(size_t)));
    TRY(mem_calloc(&out->ranks, pool->count, sizeof(size_t)));
    TRY(mem_calloc(&out->order, pool->count, sizeof(size_t)));
    for (size_t i = 0; i < pool->count; i++)
        out->by_length[i] = out->order[i] = i;
    qsort_r(out->by_length, pool->count, sizeof(size_t), compare_length, pool->items);
    for (size_t i = 0; i < pool->count; i++)
        out->ranks[out->by_length[i]] = i;
    rng_seed(&rng, key);
    for (size_t i = pool->count; i > 1; i--) { /* Fisher and Yates */
        size_t j = (size_t)rng_below(&rng, i), kept = out->order[i - 1];
        out->order[i - 1] = out->order[j];
        out->order[j] = kept;
    }
out:
    return rc;
}

static int acceptable(const struct draw_pool *pool, const struct draw_item *item,
                      const struct draw_item *other, const char *const *choices, int count)
{
    const char *text = pool->texts.data + other->continuation,
               *context = pool->texts.data + item->context;
    if (other->document == item->document || other->kind != item->kind ||
        strstr(context, text + strspn(text, " \n")))
        return 0;
    for (int c = 0; c < count; c++)
        if (strcmp(text, choices[c]) == 0)
            return 0;
    return 1;
}

/* choices[0] = the right one, then wrong ones; 0 when there are too few. */
static int draw_choices(const struct draw_pool *pool, const struct orders *orders, size_t index,
                        struct rng *rng, const char *choices[DRAW_CHOICES])
{
    const struct draw_item *item = &pool->items[index];
    size_t rank = orders->ranks[index], low = rank > NEIGHBOURS ? rank - NEIGHBOURS : 0;
    size_t high = rank + NEIGHBOURS < pool->count ? rank + NEIGHBOURS + 1 : pool->count;
    const char *right = pool->texts.data + item->continuation;
    int count = 1;
    choices[0] = right;
    if (strstr(pool->texts.data + item->context, right + strspn(right, " \n")))
        return 0;
    for (int attempt = 0; attempt < ATTEMPTS && count < DRAW_CHOICES; attempt++) {
        const struct draw_item *other =
            &pool->items[orders->by_length[low + (size_t)rng_below(rng, high - low)]];
        if (acceptable(pool, item, other, choices, count))
            choices[count++] = pool->texts.data + other->continuation;
    }
    return count == DRAW_CHOICES;
}

int draw_questions(const struct draw_pool *pool, const struct task *task, size_t limit,
                   uint64_t seed, struct questions *out)
{
    struct questions fresh = {0};
    struct orders orders = {0};
    uint64_t key = key_mix(seed) ^ key_of(task->name, strlen(task->name));
    int rc;
    TRY(make_orders(pool, key, &orders));
    for (size_t i = 0; i < pool->count && (limit == 0 || fresh.count < limit); i++) {
        const char *choices[DRAW_CHOICES],
            *context = pool->texts.data + pool->items[orders.order[i]].context;
        struct rng rng;
        rng_seed(&rng, key_mix(key + orders.order[i]));
        int gold = (int)rng_below(&rng, DRAW_CHOICES);
        if (!draw_choices(pool, &orders, orders.order[i], &rng, choices))
            continue;
        const char *right = choices[0];
        choices[0] = choices[gold];
        choices[gold] = right;
        TRY(questions_add(&fresh, &context, 1, choices, DRAW_CHOICES, gold, (int)orders.order[i]));
    }
    if (fresh.count == 0)
        TRY(err_set(ERR_FORMAT,
                    "task %s: corpus %s gives no question (%zu test passages were usable)",
                    task->name, task->corpus, pool->count));
    questions_finish(&fresh);
    *out = fresh;
    fresh = (struct questions){0};
out:
    mem_free(orders.by_length);
    mem_free(orders.ranks);
    mem_free(orders.order);
    questions_release(&fresh);
    return rc;
}

int draw_documents(const struct task *task, struct documents *test, struct documents *train)
{
    struct documents all = {0}, fresh = {0};
    const struct corpus *corpus = corpus_find(task->corpus);
    int rc;
    if (!corpus)
        return ERR_INTERNAL;
    TRY(corpus_load(corpus, &all, NULL));
    TRY(corpus_split(corpus, &all, SPLIT_TEST, &fresh));
    if (train)
        TRY(corpus_split(corpus, &all, SPLIT_TRAIN, train));
    *test = fresh;
    fresh = (struct documents){0};
out:
    documents_release(&all);
    documents_release(&fresh);
    return rc;
}

int draw_lines(const struct task *task, draw_line *add, size_t limit, uint64_t seed,
               struct questions *out)
{
    struct documents test = {0};
    struct draw_pool pool = {0};
    int rc;
    TRY(draw_documents(task, &test, NULL));
    for (size_t d = 0; d < test.count; d++) {
        size_t end = test.offsets[d + 1];
        for (size_t at = test.offsets[d], length; at < end; at += length + 1) {
            const char *newline = memchr(test.text + at, '\n', end - at);
            length = newline ? (size_t)(newline - test.text) - at : end - at;
            TRY(add(&pool, test.text + at, length, d));
        }
    }
    TRY(draw_questions(&pool, task, limit, seed, out));
out:
    documents_release(&test);
    draw_release(&pool);
    return rc;
}
