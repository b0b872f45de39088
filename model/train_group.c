/* A batch in shards: see struct train_group. */
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/simd.h"
#include "model/train_layers.h"

#include <string.h>

enum { PIECE = 16384 };

int train_group_init(struct train_group *group, const struct model_config *config,
                     const struct train_operator *operator, int shards, int sequences, int context,
                     uint64_t seed)
{
    int rc = 0;
    memset(group, 0, sizeof *group);
    if (shards < 1 || sequences % shards)
        return err_set(ERR_USAGE, "%d sequences cannot be cut into %d shards evenly", sequences,
                       shards);
    TRY(mem_calloc(&group->shards, (size_t)shards, sizeof *group->shards));
    TRY(train_model_init(&group->shards[0], config, operator, sequences / shards, context, seed));
    group->count = 1;
    for (; group->count < shards; group->count++)
        TRY(train_model_twin(&group->shards[group->count], &group->shards[0]));
    group->rows = sequences * context;
out:
    if (rc)
        train_group_release(group);
    return rc;
}

void train_group_release(struct train_group *group)
{
    for (int i = group->count - 1; i >= 0; i--)
        train_model_release(&group->shards[i]);
    mem_free(group->shards);
    memset(group, 0, sizeof *group);
}

struct batch_pass {
    struct train_group *group;
    const int32_t *tokens, *targets;
    bool backward;
    int counted;
    double *sums;
};

static int shard_task(void *context, int index, int worker)
{
    struct batch_pass *p = context;
    struct train_model *shard = &p->group->shards[index];
    size_t at = (size_t)index * (size_t)shard->rows;
    return train_model_pass(shard, p->tokens + at, p->targets + at, p->backward, p->counted,
                            &p->sums[index]);
}

/* The first shard's gradient += the others', which become zero. */
static int gather_task(void *context, long begin, long end, int worker)
{
    struct batch_pass *p = context;
    struct train_model *first = &p->group->shards[0];
    const size_t count = (size_t)(end - begin);
    for (int i = 1; i < p->group->count; i++) {
        float *gradient = p->group->shards[i].gradients + begin;
        simd.axpy(first->gradients + begin, 1.0f, gradient, (int)count);
        memset(gradient, 0, count * sizeof *gradient);
    }
    return 0;
}

int train_group_loss(struct train_group *group, const int32_t *tokens, const int32_t *targets,
                     bool backward, double dropout, uint64_t key, double *loss)
{
    struct batch_pass p = {
        .group = group, .tokens = tokens, .targets = targets, .backward = backward};
    struct train_model *first = &group->shards[0];
    double total = 0.0;
    int rc = 0;
    TRY(mem_calloc(&p.sums, (size_t)group->count, sizeof *p.sums));
    for (int i = 0; i < group->count; i++) {
        struct train_model *shard = &group->shards[i];
        int counted;
        TRY(train_check_batch(shard, tokens + (size_t)i * (size_t)shard->rows,
                              targets + (size_t)i * (size_t)shard->rows, &counted));
        p.counted += counted;
        shard->dropout = dropout;
        shard->dropout_key = key + (uint64_t)i * 0x9e3779b97f4a7c15u;
    }
    if (p.counted == 0)
        TRY(err_set(ERR_USAGE, "training batch: no row has a target"));
    TRY(pool_run(shard_task, &p, group->count));
    if (backward && group->count > 1)
        TRY(pool_run_rows(gather_task, &p, (long)first->parameters, PIECE));
    for (int i = 0; i < group->count; i++)
        total += p.sums[i];
    *loss = total / p.counted;
out:
    mem_free(p.sums);
    return rc;
}
