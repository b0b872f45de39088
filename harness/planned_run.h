/* A run of a model whose weights are not here: shapes and lengths only, enough for estimate.h. */
#ifndef HARNESS_PLANNED_RUN_H
#define HARNESS_PLANNED_RUN_H

#include "harness/known_models.h"
#include "harness/run.h"

/* Fills run (whose experiment is there already) with the model's configuration and streams of as
 * many rows as the data sets give by this model's tokenizer; run->planned becomes true. Lengths of
 * data sets that are not known are guessed. run_close releases it. */
int planned_run_open(struct run *run, const struct known_model *known);

#endif
