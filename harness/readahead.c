#include "harness/readahead.h"

#include "model/tensor_pages.h"

static void *fetch(void *argument)
{
    const struct readahead *ahead = argument;
    tensor_pages_fetch(ahead->tensors, ahead->prefix);
    return NULL;
}

void readahead_start(struct readahead *ahead, const struct model *model, int block)
{
    if (block >= model->config.layers)
        return;
    ahead->tensors = model->tensors;
    model_linear_name(model, block, "", ahead->prefix);
    ahead->running = pthread_create(&ahead->thread, NULL, fetch, ahead) == 0;
}

void readahead_wait(struct readahead *ahead)
{
    if (ahead->running)
        pthread_join(ahead->thread, NULL);
    ahead->running = false;
}
