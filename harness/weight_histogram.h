/* What BiLLM decides about one matrix, as counts and columns: what the plot weight-histogram reads,
 * and the only data of a plot that no database holds. */
#ifndef HARNESS_WEIGHT_HISTOGRAM_H
#define HARNESS_WEIGHT_HISTOGRAM_H

#include "harness/spec.h"

struct weight_histogram {
    const char *model; /* a path, a name or "embedded" */
    const char *layer; /* "BLOCK.NAME", such as "1.mlp.down_proj" */
    const struct calibration_spec *calibration;
    const char *const *options; /* of BiLLM, "KEY=VALUE" */
    int option_count;
};

/* Runs the model in full precision up to the block, quantizes the matrix with BiLLM, and writes
 * tab-separated rows to `path`:
 *   about   MODEL LAYER ROWS COLUMNS BLOCK_SIZE BOUNDARY
 *   bin     LOW HIGH SMALL LARGE SALIENT        weights of each kind in [LOW, HIGH)
 *   column  INDEX RMS SALIENT                   1 when the column is salient, and its weights' root
 *                                               mean square
 * BOUNDARY is the magnitude with as many weights below it, among those that are not salient, as
 * BiLLM took for small. ERR_USAGE when there is no such layer, or when the options leave BiLLM
 * without two groups. */
int weight_histogram_write(const struct weight_histogram *request, const char *path);

#endif
