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

/* *out = train without the lines that contain an n-gram of the test documents' lines (documents
 * left empty vanish); *removed (may be NULL) = the number of lines left out. For text that is only
 * trained on, such as a dictionary that quotes the test text. n-grams are taken within lines here.
 * ERR_FORMAT when nothing is left. */
int overlap_remove(const struct documents *train, const struct documents *test, int words,
                   struct documents *out, size_t *removed);

#endif
