/* Tensors that did not get what was asked, collected while a point is computed. */
#ifndef HARNESS_LAYER_EXCEPTIONS_H
#define HARNESS_LAYER_EXCEPTIONS_H

#include "harness/pipeline.h"

/* Appends one record for each exception of the result; name is borrowed from the architecture. */
int layer_exceptions_add(struct pipeline_output *output, int block, const char *name,
                         const struct layer_result *result);

/* Behind a method that gave up with ERR_NUMERIC: the layer stays in full precision, and the
 * result's exceptions become that one, with the error's text. */
void layer_exceptions_refused(const struct layer_problem *problem, struct layer_result *result);

#endif
