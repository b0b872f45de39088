/* How much of a test text was seen in training: n-grams of words, without regard to case and
 * punctuation, within documents. */
#ifndef DATASETS_OVERLAP_H
#define DATASETS_OVERLAP_H

#include "datasets/dataset.h"

enum { OVERLAP_WORDS = 12 }; /* the customary length: shorter ones are stock phrases */

struct overlap {
    size_t ngrams; /* of the test documents, each occurrence counted */
    size_t shared; /* of them, those that occur in train */
};
int overlap_measure(const struct documents *train, const struct documents *test, int words,
                    struct overlap *out);

#endif
