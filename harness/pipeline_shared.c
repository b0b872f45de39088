/* What a point takes over from others of its run, and keeps for them: see harness/shared_work.h. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/pipeline_internal.h"

#include <string.h>

/* What is recorded of the blocks before one. */
struct shared_layers {
    struct pipeline_output out;
    double packed_bytes, replaced_bytes;
};

static void release_layers(void *data)
{
    struct shared_layers *layers = data;
    pipeline_output_release(&layers->out);
    mem_free(layers);
}

static void release_hessians(void *data)
{
    struct hessian *hessians = data;
    for (int i = 0; i < MODEL_MAX_INPUTS; i++)
        hessian_release(&hessians[i]);
    mem_free(hessians);
}

/* The time that an item took counts for this point as well: what it would have taken alone. */
static void take_time(struct pipeline *p, const struct shared_item *item)
{
    for (int s = 0; s < STAGE_COUNT; s++) {
        struct timing_record *timing = &p->out.timings[s];
        timing->wall += item->times[s].wall;
        timing->cpu += item->times[s].cpu;
        timing->tokens += item->times[s].tokens;
        p->out.saved += item->times[s].wall;
        p->out.saved_cpu += item->times[s].cpu;
    }
}

/* An item's calibration counts for the stage that it is of in this point. */
static void take_calibration_time(struct pipeline *p, const struct shared_item *item)
{
    struct shared_item moved = {.kind = item->kind};
    moved.times[pipeline_calibration_stage(p)] = item->times[STAGE_CALIBRATE];
    take_time(p, &moved);
}

/* ---- taking over ---- */

/* The drift behind the blocks before `block`, where it is asked for, and what it goes on from. item
 * is NULL where nothing was quantized: there is no drift then. */
static bool has_drift(const struct pipeline *p, const struct shared_item *item, int block)
{
    const struct shared_layers *layers = item ? item->data : NULL;
    const int measured = block <= p->last_quantized ? block : p->last_quantized + 1;
    if (!p->drifts)
        return true;
    return (!layers || layers->out.block_count >= measured) &&
           (block > p->last_quantized ||
            drift_can_begin(p->input->drift_kept, p->input->calibration, block));
}

/* What there is of the blocks before `block` for all but the evaluation. */
static bool can_begin(const struct pipeline *p, int block, bool quantized_before)
{
    const struct shared_work *shared = p->input->shared;
    if (p->input->calibration && block <= p->last_quantized &&
        !shared_find(shared, SHARED_CALIBRATION, block))
        return false;
    const struct shared_item *item = shared_find(shared, SHARED_LAYERS, block);
    return (item || !quantized_before) && has_drift(p, quantized_before ? item : NULL, block);
}

static int first_quantized(const struct pipeline *p)
{
    int block = 0;
    while (block < p->input->model->config.layers && !pipeline_quantizes(p, block))
        block++;
    return block;
}

/* The evaluation can be further on than the rest, by what a point without calibration computed. */
static void find_beginning(struct pipeline *p)
{
    const struct pipeline_input *in = p->input;
    const int blocks = in->model->config.layers, first = first_quantized(p);
    p->begin = p->evaluation_begin = 0;
    for (int block = 1; in->evaluation && block <= blocks; block++)
        if (shared_find(in->shared, SHARED_EVALUATION, block))
            p->evaluation_begin = block;
    int most = in->evaluation ? p->evaluation_begin : p->last_quantized + 1;
    for (int block = 1; block <= most; block++)
        if (can_begin(p, block, block > first))
            p->begin = block;
}

int pipeline_take_over(struct pipeline *p)
{
    int rc;
    find_beginning(p);
    const struct shared_item *item = shared_find(p->input->shared, SHARED_LAYERS, p->begin);
    for (int block = 0; p->drifts && block < p->begin; block++) /* unless the item says more */
        p->out.blocks[p->out.block_count++] = (struct block_record){.block = block, .cosine = 1};
    if (!item)
        return 0;
    const struct shared_layers *layers = item->data;
    struct timing_record timings[STAGE_COUNT];
    memcpy(timings, p->out.timings, sizeof timings);
    pipeline_output_release(&p->out);
    TRY(pipeline_output_copy(&layers->out, p->input->model->config.layers, &p->out));
    memcpy(p->out.timings, timings, sizeof timings);
    p->packed_bytes = layers->packed_bytes;
    p->replaced_bytes = layers->replaced_bytes;
    take_time(p, item);
out:
    return rc;
}

int pipeline_first_states(struct pipeline *p, enum shared_kind kind, const struct stream *stream,
                          int block, struct states *x)
{
    const struct shared_item *item = block > 0 ? shared_find(p->input->shared, kind, block) : NULL;
    if (!item) /* or nothing needs them any more */
        return stream_embed(p->input->model, stream, x);
    if (kind == SHARED_CALIBRATION) {
        p->advance = item->times[STAGE_CALIBRATE];
        take_calibration_time(p, item);
    } else {
        take_time(p, item);
    }
    return states_restore(x, item->data);
}

void pipeline_take_hessians(struct pipeline *p, int block, bool *found)
{
    const struct shared_item *item = shared_find(p->input->shared, SHARED_HESSIANS, block);
    *found = item != NULL;
    if (!item)
        return;
    memcpy(p->hessians, item->data, sizeof p->hessians);
    p->borrowed_hessians = true;
    take_calibration_time(p, item);
}

void pipeline_release_hessian(struct pipeline *p, int input)
{
    if (p->borrowed_hessians)
        p->hessians[input].matrix = NULL;
    hessian_release(&p->hessians[input]); /* the factors are ours */
}

/* ---- handing on ---- */

static int keep_states(struct pipeline *p, enum shared_kind kind, int block, struct states *x)
{
    const size_t bytes = (size_t)x->rows * (size_t)x->width * sizeof(float);
    struct shared_item item = {.kind = kind, .bytes = bytes, .release = mem_free};
    float *copy = NULL;
    int rc = 0;
    if (!shared_wanted(p->input->shared, kind, block, bytes))
        return 0;
    TRY(mem_alloc(&copy, bytes, 1));
    TRY(states_copy(x, copy));
    if (kind == SHARED_EVALUATION)
        item.times[STAGE_EVALUATE] = p->out.timings[STAGE_EVALUATE];
    else
        item.times[STAGE_CALIBRATE] = p->advance;
    item.data = copy;
    copy = NULL;
    TRY(shared_keep(p->input->shared, &item, block));
out:
    mem_free(copy);
    return rc;
}

static int keep_layers(struct pipeline *p, int block)
{
    struct shared_layers *layers = NULL;
    struct shared_item item = {.kind = SHARED_LAYERS, .release = release_layers};
    int rc = 0;
    item.bytes = sizeof *layers +
                 (size_t)p->input->model->config.layers * MODEL_MAX_LINEARS * sizeof *p->out.layers;
    if (!shared_wanted(p->input->shared, SHARED_LAYERS, block, item.bytes))
        return 0;
    TRY(mem_calloc(&layers, 1, sizeof *layers));
    TRY(pipeline_output_copy(&p->out, p->input->model->config.layers, &layers->out));
    layers->out.saved = layers->out.saved_cpu = 0;
    layers->packed_bytes = p->packed_bytes;
    layers->replaced_bytes = p->replaced_bytes;
    memcpy(item.times, p->out.timings, sizeof item.times);
    item.times[STAGE_EVALUATE] = (struct timing_record){0};
    struct timing_record *calibration = &item.times[pipeline_calibration_stage(p)];
    calibration->wall -= p->advance.wall;
    calibration->cpu -= p->advance.cpu;
    item.data = layers;
    layers = NULL;
    TRY(shared_keep(p->input->shared, &item, block));
out:
    mem_free(layers);
    return rc;
}

int pipeline_hand_on(struct pipeline *p, int block)
{
    const struct pipeline_input *in = p->input;
    int rc = 0;
    if (!in->shared || block == 0)
        return 0;
    if (in->evaluation && block >= p->evaluation_begin)
        TRY(keep_states(p, SHARED_EVALUATION, block, &p->evaluation_x));
    if (in->calibration && block <= p->last_quantized)
        TRY(keep_states(p, SHARED_CALIBRATION, block, &p->calibration_x));
    TRY(keep_layers(p, block));
out:
    return rc;
}

int pipeline_keep_hessians(struct pipeline *p, int block, const struct timing_record *took)
{
    struct shared_item item = {.kind = SHARED_HESSIANS, .release = release_hessians};
    struct hessian *kept;
    int rc;
    for (int i = 0; i < MODEL_MAX_INPUTS; i++)
        item.bytes += (size_t)p->hessians[i].size * (size_t)p->hessians[i].size * sizeof(float);
    if (!shared_wanted(p->input->shared, SHARED_HESSIANS, block, item.bytes))
        return 0;
    if ((rc = mem_calloc(&kept, MODEL_MAX_INPUTS, sizeof *kept)) != 0)
        return rc;
    memcpy(kept, p->hessians, sizeof p->hessians);
    item.times[STAGE_CALIBRATE] = *took;
    item.data = kept;
    p->borrowed_hessians = true;
    rc = shared_keep(p->input->shared, &item, block);
    if (rc) /* what they pointed to is released */
        memset(p->hessians, 0, sizeof p->hessians);
    return rc;
}
