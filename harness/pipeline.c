#include "core/clock.h"
#include "core/err.h"
#include "core/interrupt.h"
#include "core/machine.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/drift.h"
#include "harness/layer_plan.h"
#include "harness/memory_plan.h"
#include "harness/model_size.h"
#include "harness/pipeline_internal.h"
#include "model/tensor_pages.h"
#include "model/workspace.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const stage_names[STAGE_COUNT] = {"load", "calibrate", "quantize", "diagnose",
                                                     "evaluate"};

/* What of the forward pass's working memory is kept while it is not needed, in floats: fresh pages
 * would cost a small model time. */
enum { KEPT_WORKSPACE = 16 << 20 };

enum stage pipeline_calibration_stage(const struct pipeline *p)
{
    bool needed = layer_plan_caps(p->input->point) & QM_NEEDS_HESSIAN;
    return needed ? STAGE_CALIBRATE : STAGE_DIAGNOSE;
}

static struct layer_choice choose(const struct pipeline *p, int block, const char *name)
{
    return layer_plan_find(p->input->point, p->input->model->config.layers, block, name);
}

bool pipeline_quantizes(const struct pipeline *p, int block)
{
    for (int i = 0; i < p->block.linear_count; i++)
        if (choose(p, block, p->block.linears[i].name).method)
            return true;
    return false;
}

static void release_hessians(struct pipeline *p)
{
    for (int i = 0; i < MODEL_MAX_INPUTS; i++)
        pipeline_release_hessian(p, i);
    p->have_hessians = p->borrowed_hessians = false;
}

static int see_input(void *context, int input, const float *x, int rows, int width, int sequences)
{
    struct pipeline *p = context;
    if (p->hessians[input].size == 0) {
        int rc = hessian_init(&p->hessians[input], width);
        if (rc)
            return rc;
    }
    return hessian_add(&p->hessians[input], x, rows, sequences);
}

/* The Hessians of the block's inputs, given the already quantized blocks before
 * it. */
static int calibrate_block(struct pipeline *p, int block)
{
    const struct stream_tap tap = {see_input, p};
    const struct timing_record *timing = &p->out.timings[pipeline_calibration_stage(p)];
    struct timing_record took = *timing;
    int rc = 0;
    pipeline_take_hessians(p, block, &p->have_hessians);
    if (p->have_hessians)
        return 0;
    pipeline_stage_begin(p);
    TRY(stream_block(p->input->model, &p->block, p->input->calibration, &p->calibration_x, &tap,
                     "calibrate"));
    for (int i = 0; i < p->block.input_count; i++)
        hessian_finish(&p->hessians[i]);
    p->have_hessians = true;
    pipeline_stage_end(p, pipeline_calibration_stage(p), p->input->calibration->rows);
    took.wall = timing->wall - took.wall;
    took.cpu = timing->cpu - took.cpu;
    took.tokens = timing->tokens - took.tokens;
    TRY(pipeline_keep_hessians(p, block, &took));
out:
    return rc;
}

/* A Hessian and its factors go when the last layer that they are for is done. */
static void release_hessian_behind(struct pipeline *p, int linear)
{
    int input = p->block.linears[linear].input;
    for (int i = linear + 1; i < p->block.linear_count; i++)
        if (p->block.linears[i].input == input)
            return;
    pipeline_release_hessian(p, input);
}

static int quantize_block(struct pipeline *p, int block)
{
    int rc = 0;
    const struct pipeline_input *in = p->input;
    if (in->calibration)
        TRY(calibrate_block(p, block));
    workspace_trim(in->model->workspace, KEPT_WORKSPACE);
    for (int i = 0; i < p->block.linear_count; i++) {
        struct linear *linear = &p->block.linears[i];
        struct layer_choice choice = choose(p, block, linear->name);
        if (choice.method) {
            progress_stage("quantize", i, p->block.linear_count, 0);
            TRY(pipeline_quantize_linear(p, block, linear, &choice));
            TRY(interrupt_check());
        }
        release_hessian_behind(p, i);
    }
out:
    release_hessians(p);
    return rc;
}

/* The weights' pages are dropped as soon as they are converted, and the next block's are fetched
 * while this one computes. */
static int load_block(struct pipeline *p, int block)
{
    const struct model *model = p->input->model;
    char prefix[MODEL_NAME_SIZE];
    pipeline_stage_begin(p);
    readahead_wait(&p->ahead);
    int rc = model->architecture->load_block(model, block, &p->block);
    model_linear_name(model, block, "", prefix);
    tensor_pages_drop(model->tensors, prefix);
    pipeline_stage_end(p, STAGE_LOAD, 0);
    return rc;
}

static int advance_calibration(struct pipeline *p)
{
    pipeline_stage_begin(p);
    int rc = stream_block(p->input->model, &p->block, p->input->calibration, &p->calibration_x,
                          NULL, "calibrate");
    pipeline_stage_end(p, pipeline_calibration_stage(p), 0);
    p->advance.wall += clock_wall() - p->wall;
    p->advance.cpu += clock_cpu() - p->cpu;
    return rc;
}

/* Before the block is quantized. */
static int advance_full(struct pipeline *p, int block)
{
    struct drift_time saved;
    pipeline_stage_begin(p);
    int rc = drift_advance(&p->drift, p->input->model, &p->block, block, p->input->calibration,
                           &saved);
    pipeline_stage_end(p, STAGE_DIAGNOSE, 0);
    p->out.timings[STAGE_DIAGNOSE].wall += saved.wall;
    p->out.timings[STAGE_DIAGNOSE].cpu += saved.cpu;
    p->out.saved += saved.wall;
    p->out.saved_cpu += saved.cpu;
    return rc;
}

/* Behind it. */
static int measure_drift(struct pipeline *p, int block)
{
    int rc = 0;
    pipeline_stage_begin(p);
    if (block == p->last_quantized) /* behind it nothing else needs the calibration */
        TRY(stream_block(p->input->model, &p->block, p->input->calibration, &p->calibration_x, NULL,
                         "drift"));
    rc = drift_measure(&p->drift, &p->calibration_x, block, &p->out.blocks[p->out.block_count]);
    pipeline_stage_end(p, STAGE_DIAGNOSE, 0);
    p->out.block_count += rc == 0;
out:
    return rc;
}

static int run_block(struct pipeline *p, int block, int end)
{
    int rc = 0;
    const struct pipeline_input *in = p->input;
    const struct model *model = in->model;
    progress_block(block, end);
    if (block > 0) {
        block_release(&p->block); /* the first one is loaded whatever block the work begins with */
        TRY(load_block(p, block));
    }
    if (block + 1 < end)
        readahead_start(&p->ahead, model, block + 1);
    const bool drifts = p->drift.on && block <= p->last_quantized;
    if (drifts)
        TRY(advance_full(p, block));
    if (pipeline_quantizes(p, block))
        TRY(quantize_block(p, block));
    if (in->calibration && block < p->last_quantized)
        TRY(advance_calibration(p));
    if (drifts)
        TRY(measure_drift(p, block));
    if (in->evaluation && block >= p->evaluation_begin) {
        pipeline_stage_begin(p);
        TRY(block + 1 < end
                ? stream_block(model, &p->block, in->evaluation, &p->evaluation_x, NULL, "evaluate")
                : stream_last_block(model, &p->block, in->evaluation, &p->evaluation_x,
                                    "evaluate"));
        pipeline_stage_end(p, STAGE_EVALUATE, 0);
    }
out:
    block_release(&p->block);
    return rc;
}

static int start_stream(struct pipeline *p, enum shared_kind kind, const struct stream *stream,
                        const char *folder, struct states *x)
{
    const bool evaluates = kind == SHARED_EVALUATION;
    int rc = states_open(x, evaluates ? "evaluation" : "calibration", stream->rows,
                         p->input->model->config.width, stream_largest_chunk(stream), folder);
    return rc ? rc
              : pipeline_first_states(p, kind, stream, evaluates ? p->evaluation_begin : p->begin,
                                      x);
}

/* Blocks are alike: the first one, which is loaded, tells what all of them take. */
static int start(struct pipeline *p)
{
    int rc;
    const struct pipeline_input *in = p->input;
    struct memory_plan plan;
    p->last_quantized = -1;
    for (int block = 0; block < in->model->config.layers; block++)
        p->last_quantized = pipeline_quantizes(p, block) ? block : p->last_quantized;
    struct memory_needs needs;
    memory_needs_of(in->model, in->point, in->calibration, in->evaluation, &needs);
    p->drifts = needs.drifts;
    if (p->drifts && drift_can_begin(in->drift_kept, in->calibration, p->last_quantized + 1))
        needs.drifts = false; /* what it takes is held already */
    needs.block = &p->block;
    needs.held = p->held - (double)shared_bytes(in->shared);
    if (in->keep)
        TRY(reference_states_place(in->keep, &needs));
    needs.reference = reference_states_needs(in->reference);
    TRY(memory_plan_make(&needs, &plan));
    const double room = plan.limit - plan.peak,
                 kept = p->drifts && plan.calibration_file == 0
                            ? drift_keeps(in->drift_kept, in->model, in->calibration,
                                          p->last_quantized + 1, room)
                            : 0;
    shared_limit(in->shared, room - kept);
    TRY(pipeline_take_over(p));
    if (in->calibration)
        TRY(start_stream(p, SHARED_CALIBRATION, in->calibration,
                         plan.calibration_file > 0 ? plan.folder : NULL, &p->calibration_x));
    if (p->drifts && p->begin <= p->last_quantized)
        TRY(drift_start(&p->drift, in->drift_kept, in->model, in->calibration, p->begin,
                        p->last_quantized + 1, kept > 0,
                        plan.calibration_file > 0 ? plan.folder : NULL));
    if (in->evaluation)
        TRY(start_stream(p, SHARED_EVALUATION, in->evaluation,
                         plan.evaluation_file > 0 ? plan.folder : NULL, &p->evaluation_x));
out:
    return rc;
}

static int score(struct pipeline *p)
{
    int rc;
    const struct pipeline_input *in = p->input;
    const struct stream *stream = in->evaluation;
    struct stream_reference reference = {0};
    pipeline_stage_begin(p);
    TRY(mem_calloc(&p->out.scores, (size_t)stream->rows, sizeof *p->out.scores));
    if (in->reference) {
        reference = (struct stream_reference){in->reference->model, &in->reference->x};
        TRY(mem_calloc(&p->out.divergences, (size_t)stream->rows, sizeof *p->out.divergences));
    }
    TRY(stream_score(in->model, stream, &p->evaluation_x, in->reference ? &reference : NULL,
                     p->out.scores, p->out.divergences));
    pipeline_stage_end(p, STAGE_EVALUATE, stream->rows);
    if (in->keep)
        TRY(reference_states_take(in->keep, stream, &p->evaluation_x));
out:
    return rc;
}

/* Means over the quantized weights, and the size of the whole model with
 * everything else left as it is stored. */
static void finish_bits(struct pipeline *p)
{
    struct pipeline_output *out = &p->out;
    size_t parameters, bytes;
    model_size(p->input->model, &parameters, &bytes);
    if (out->weights > 0) {
        out->paper_bits /= (double)out->weights;
        out->paper_bits_marks /= (double)out->weights;
        out->stored_bits = p->packed_bytes * 8 / (double)out->weights;
    }
    out->file_bytes = p->packed_bytes + ((double)bytes - p->replaced_bytes);
    out->full_bits = out->file_bytes * 8 / (double)parameters;
    struct model_shares shares;
    model_shares(p->input->model, &shares);
    out->weights_left = (double)shares.linear_weights - (double)out->weights;
    out->bytes_left = (double)shares.linear - p->replaced_bytes;
    out->bytes_outer = (double)shares.outer;
    out->bytes_vectors = (double)shares.vectors;
}

/* One for each of layer_choice's rules, and in front the point's own. */
static int make_operators(struct pipeline *p)
{
    const struct point *point = p->input->point;
    int rc = mem_calloc(&p->ops, 1 + (size_t)point->rule_count, sizeof *p->ops);
    if (rc)
        return rc;
    p->ops[0] = (struct layer_operator){point->method, point->method_options};
    for (int i = 0; i < point->rule_count; i++)
        p->ops[1 + i] = (struct layer_operator){point->rules[i].method, point->rules[i].options};
    return 0;
}

/* At the end, since layers that were taken over from another point have been its own rules' there.
 */
static void note_rules(struct pipeline *p)
{
    for (int i = 0; i < p->out.layer_count; i++) {
        struct layer_record *record = &p->out.layers[i];
        struct layer_choice choice = choose(p, record->block, record->name);
        record->options = choice.rule < 0 ? NULL : p->input->point->rules[choice.rule].text;
    }
}

int pipeline_run(const struct pipeline_input *input, struct pipeline_output *output)
{
    int rc;
    struct pipeline p = {.input = input, .held = (double)machine_held()};
    const struct model *model = input->model;
    for (int s = 0; s < STAGE_COUNT; s++)
        p.out.timings[s].stage = stage_names[s];
    TRY(layer_plan_check(input->point, model->config.layers, model->architecture->linear_names));
    TRY(make_operators(&p));
    TRY(mem_calloc(&p.out.layers, (size_t)model->config.layers * MODEL_MAX_LINEARS,
                   sizeof *p.out.layers));
    TRY(mem_calloc(&p.out.blocks, (size_t)model->config.layers, sizeof *p.out.blocks));
    TRY(load_block(&p, 0));
    TRY(start(&p));
    /* Where nothing is evaluated, the work ends with the last block that is quantized. */
    int end = input->evaluation ? model->config.layers : p.last_quantized + 1;
    for (int block = p.begin; block < end; block++) {
        TRY(pipeline_hand_on(&p, block));
        TRY(run_block(&p, block, end));
    }
    TRY(pipeline_hand_on(&p, end));
    if (p.out.left > 0 && p.out.left == p.out.layer_count)
        TRY(err_set(ERR_NUMERIC, "no layer could be quantized; the first of %d: %s", p.out.left,
                    p.out.exceptions[0].detail));
    if (input->evaluation)
        TRY(score(&p));
    finish_bits(&p);
    note_rules(&p);
    *output = p.out;
    p.out = (struct pipeline_output){0};
out:
    pipeline_output_release(&p.out);
    release_hessians(&p);
    arena_release(&p.arena);
    states_close(&p.calibration_x);
    states_close(&p.evaluation_x);
    drift_stop(&p.drift);
    readahead_wait(&p.ahead);
    block_release(&p.block);
    mem_free(p.ops);
    workspace_trim(model->workspace, KEPT_WORKSPACE);
    return rc;
}
