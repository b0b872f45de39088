/* "Did you mean ...?": the candidate nearest to a mistyped word. */
#ifndef CORE_NEAREST_H
#define CORE_NEAREST_H

#include <stddef.h>

/* Start with {.word = word}, offer candidates, read best (NULL: none is near enough). An earlier
 * candidate wins a tie. */
struct nearest {
    const char *word, *best;
    size_t distance; /* of best */
};
void nearest_offer(struct nearest *nearest, const char *candidate);

/* 1 when both names are equal, with - and _ taken as the same letter. */
int name_equal(const char *a, const char *b);

#endif
