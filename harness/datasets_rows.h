/* `bitbench datasets` on the corpora that users bring as files. */
#ifndef HARNESS_DATASETS_ROWS_H
#define HARNESS_DATASETS_ROWS_H

#include "datasets/dataset.h"

#include <jansson.h>
#include <stdbool.h>

/* Which splits are there: "train, test", "not found" or "--data names none"; static or in `out`. */
const char *datasets_rows_found(const struct corpus *corpus, char out[64]);

/* The splits' files, counts and whether they are the published ones: as members of *object, which
 * has the corpus's own already; and as text on standard output unless `silent`. A split that is not
 * there is no member; ERR_MISSING, with nothing printed, when none is there. */
int datasets_rows_describe(const struct corpus *corpus, bool silent, json_t *object);

/* Prints the first rows of a split. */
int datasets_rows_show(const struct corpus *corpus, enum split split, int count);

#endif
