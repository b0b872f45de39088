/* What a model is made of, for `bitbench models`. */
#ifndef HARNESS_INSPECT_H
#define HARNESS_INSPECT_H

#include "model/dtype.h"
#include "model/model.h"

/* Parameters by what they are for: those that are quantized, and those that are left alone. */
struct model_parts {
    double linear, embedding, head, other;
    double bytes; /* as stored */
    double by_type[DTYPES];
    double block;    /* bytes of a block in float32 */
    double hessians; /* bytes of the Hessians of its inputs */
    double outer;    /* bytes in float32 of what lies outside the blocks, as it is held */
};

/* From the shapes alone: nothing is read. */
void model_parts_of(const struct model *model, struct model_parts *parts);

/* All parameters. */
double model_parts_total(const struct model_parts *parts);

/* Opens the model (a path, or "embedded") and prints to stdout what was found in it. */
int inspect_model(const char *name, bool json);

#endif
