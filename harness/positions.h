/* Sequences against the positions that a model has. */
#ifndef HARNESS_POSITIONS_H
#define HARNESS_POSITIONS_H

#include "model/model.h"

/* Whether a model may be given sequences of that length: ERR_USAGE when it has no such positions,
 * only a warning when it merely has not seen them in training. what: "corpus kjv: windows", for
 * messages. */
int positions_check(const struct model_config *config, const char *what, int length);

#endif
