/* Fetches the weights of the next block from the disk while the present one computes. */
#ifndef HARNESS_READAHEAD_H
#define HARNESS_READAHEAD_H

#include "model/model.h"

#include <pthread.h>
#include <stdbool.h>

struct readahead {
    pthread_t thread;
    bool running;
    const struct tensor_table *tensors;
    char prefix[MODEL_NAME_SIZE];
};

/* Starts fetching; nothing for a block that the model does not have. It is help and no more: where
 * no thread can be had, the block is read when it is needed. */
void readahead_start(struct readahead *ahead, const struct model *model, int block);
/* Waits for what was started, if anything was. */
void readahead_wait(struct readahead *ahead);

#endif
