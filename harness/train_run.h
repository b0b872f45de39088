/* One training run from a spec to a model folder: what `bitbench train` does. */
#ifndef HARNESS_TRAIN_RUN_H
#define HARNESS_TRAIN_RUN_H

struct train_request {
    const char *spec;        /* path */
    const char *const *sets; /* "key=value", ending with NULL; or NULL */
    int fresh;               /* 1: start anew even where output/checkpoint.safetensors is there */
};

/* Trains until the spec's tokens are reached. Every few minutes, and when interrupted
 * (ERR_INTERRUPTED, with a line that says how to go on), OUTPUT/checkpoint.safetensors is written;
 * the next run goes on from it to the same bytes. Whenever the mean validation loss is the lowest
 * so far, the model is written to OUTPUT; OUTPUT/training.csv is the log. */
int train_run(const struct train_request *request);

#endif
