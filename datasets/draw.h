/* Multiple-choice questions from a corpus: the true continuation of a context against three that
 * continue other ones. */
#ifndef DATASETS_DRAW_H
#define DATASETS_DRAW_H

#include "datasets/dataset.h"

enum { DRAW_CHOICES = 4 };

/* A context and how the text really goes on from there. context + continuation is the text, the
 * space or newline between them at the continuation's beginning. */
struct draw_item {
    size_t context, continuation; /* offsets of NUL-terminated texts in `texts` */
    size_t length;                /* of the continuation */
    size_t document;
    int kind; /* continuations are only exchanged within a kind: what the first letter alone would
                 give away */
};
struct draw_pool {
    struct strbuf texts;
    struct draw_item *items;
    size_t count, capacity;
};
int draw_add(struct draw_pool *pool, const char *context, size_t context_length,
             const char *continuation, size_t length, size_t document);
void draw_release(struct draw_pool *pool);

/* The first `limit` (0: all) items of an order that is drawn with seed, each with three wrong
 * continuations: from other documents, of the same kind, near in length, not equal to another
 * choice and not contained in the context; an item that does not get three is left out. The right
 * one's place is uniform. Every draw depends only on the seed, the task's name and the item, so a
 * smaller limit gives a beginning of a larger one's questions. A question's id is the item's index.
 * ERR_FORMAT when no question results. */
int draw_questions(const struct draw_pool *pool, const struct task *task, size_t limit,
                   uint64_t seed, struct questions *out);

/* The same from the lines of the task's test documents: add puts what a line gives into the pool.
 */
typedef int draw_line(struct draw_pool *pool, const char *line, size_t length, size_t document);
int draw_lines(const struct task *task, draw_line *add, size_t limit, uint64_t seed,
               struct questions *out);

/* Loads the task's corpus and hands over its test documents, and its train documents where train is
 * not NULL. */
int draw_documents(const struct task *task, struct documents *test, struct documents *train);

#endif
