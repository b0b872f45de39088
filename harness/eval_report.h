/* What `bitbench eval` says of a model. */
#ifndef HARNESS_EVAL_REPORT_H
#define HARNESS_EVAL_REPORT_H

#include "core/file.h"
#include "harness/evaluation.h"
#include "harness/pipeline.h"

/* Prints the metrics one after another, as text or JSON lines, and writes each window and item as a
 * JSON line to writer (may be NULL). */
int eval_report(const struct evaluation *evaluation, const struct pipeline_output *output,
                bool json, struct file_writer *writer);

#endif
