/* OUTPUT/training.csv: one line for each report and one for each validation, the cells of the other
 * left empty. */
#ifndef HARNESS_TRAIN_LOG_H
#define HARNESS_TRAIN_LOG_H

#include "harness/train_data.h"

#include <stdio.h>

struct train_log {
    FILE *stream;
    const struct train_data *data;
    char *path;
};

/* Opens the log; lines of updates after `step` (of a run that ended behind its last checkpoint) are
 * taken out. */
int train_log_open(struct train_log *log, const char *folder, const struct train_data *data,
                   int64_t step);
int train_log_update(struct train_log *log, int64_t step, int64_t tokens, double rate, double loss,
                     double norm, double seconds);
int train_log_validation(struct train_log *log, int64_t step, int64_t tokens, const double *losses,
                         double mean, double seconds);
void train_log_close(struct train_log *log);

#endif
