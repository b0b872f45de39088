/* --dry-run: what a spec will take on this machine, and what is still missing for it. */
#ifndef HARNESS_ESTIMATE_SPEC_H
#define HARNESS_ESTIMATE_SPEC_H

#include "harness/run.h"

/* Prints, for every model of the spec, the grid with times and memory (estimate.h). Of a model
 * whose weights are not here, but whose shape is known (known_models.h), this is computed from the
 * shape and from how long the data sets are known to be, with how to get it and what it takes on
 * disk; data sets that are not here are named once. ERR_MISSING when there is a model that is
 * neither here nor known. */
int estimate_spec(const struct run_options *what);

#endif
