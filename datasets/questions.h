/* Questions under construction. */
#ifndef DATASETS_QUESTIONS_H
#define DATASETS_QUESTIONS_H

#include "datasets/dataset.h"

/* Adds a question with a copy of its texts; contexts holds one text for each choice, or a single
 * one that all share (contexts_count 1). Zero-initialise *questions before the first. */
int questions_add(struct questions *questions, const char *const *contexts, int contexts_count,
                  const char *const *continuations, int choices, int gold, int id);
/* Takes the first `count` questions out and computes the hash of the others; count is less than
 * their number. */
void questions_drop(struct questions *questions, size_t count);
/* Computes the hash over all texts, gold positions and ids. */
void questions_finish(struct questions *questions);

#endif
