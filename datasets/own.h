/* Text and questions of the user's own, opened by path: patterns that registry.c fills with name
 * and path. */
#ifndef DATASETS_OWN_H
#define DATASETS_OWN_H

#include "datasets/dataset.h"

extern const struct corpus corpus_own_file, corpus_own_documents;
extern const struct task task_own;

#endif
