#include "core/clock.h"
#include "core/err.h"
#include "core/interrupt.h"
#include "core/machine.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/drift.h"
#include "harness/layer_apply.h"
#include "harness/layer_exceptions.h"
#include "harness/layer_loss.h"
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

static void stage_begin(struct pipeline *p)
{
    p->wall = clock_wall();
    p->cpu = clock_cpu();
}

static void stage_end(struct pipeline *p, enum stage stage, double tokens)
{
    struct timing_record *timing = &p->out.timings[stage];
    timing->wall += clock_wall() - p->wall;
    timing->cpu += clock_cpu() - p->cpu;
    timing->tokens += tokens;
}

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
    stage_begin(p);
    TRY(stream_block(p->input->model, &p->block, p->input->calibration, &p->calibration_x, &tap,
                     "calibrate"));
    for (int i = 0; i < p->block.input_count; i++)
        hessian_finish(&p->hessians[i]);
    p->have_hessians = true;
    stage_end(p, pipeline_calibration_stage(p), p->input->calibration->rows);
    took.wall = timing->wall - took.wall;
    took.cpu = timing->cpu - took.cpu;
    took.tokens = timing->tokens - took.tokens;
    TRY(pipeline_keep_hessians(p, block, &took));
out:
    return rc;
}

static void account(struct pipeline *p, const struct layer_result *result,
                    struct layer_record *record, const struct packed *packed)
{
    double weights = (double)record->rows * (double)record->columns;
    packed_category_bytes(packed, record->bytes);
    record->paper_bits = result->paper_bits;
    record->paper_bits_marks = result->paper_bits_marks;
    record->damping = result->damping;
    record->damping_raised = result->damping_raised;
    record->salient = result->salient;
    record->split = result->split;
    p->out.weights += (long)weights;
    p->out.paper_bits += result->paper_bits * weights;
    p->out.paper_bits_marks += result->paper_bits_marks * weights;
    p->packed_bytes += (double)packed_bytes(packed);
    p->out.damping_raised += result->damping_raised > 0;
}

/* How far the layer is from the original, and what it was made with. */
static int diagnose(struct pipeline *p, const struct layer_problem *problem,
                    const struct layer_result *result, struct layer_record *record)
{
    int rc;
    struct layer_loss loss;
    TRY(layer_loss(problem->weight, result->quantized, problem->rows, problem->columns,
                   problem->hessian, &p->arena, &loss));
    record->hessian_loss = loss.hessian_loss;
    record->relative_loss = loss.relative_loss;
    record->weight_mse = loss.weight_mse;
    if (result->factor)
        TRY(hessian_condition(problem->hessian, result->factor, &record->condition));
out:
    return rc;
}

/* A layer that the method could not do stays in full precision, and has a record that says so. */
static int leave_linear(struct pipeline *p, const struct layer_problem *problem,
                        struct layer_result *result, struct layer_record *record)
{
    layer_exceptions_refused(problem, result);
    record->method = "";
    record->hessian_loss = record->relative_loss = record->weight_mse = NAN;
    record->paper_bits = record->paper_bits_marks = NAN;
    p->out.layer_count++;
    p->out.left++;
    return layer_exceptions_add(&p->out, record->block, record->name, result);
}

/* Quantizes one linear layer in place and appends its record. */
static int quantize_linear(struct pipeline *p, int block, struct linear *linear,
                           const struct layer_choice *choice)
{
    int rc;
    char name[MODEL_NAME_SIZE], place[MODEL_NAME_SIZE];
    const struct point *point = p->input->point;
    struct layer_result result = {LAYER_RESULT_NONE};
    struct packed packed = {0};
    struct arena_mark mark = arena_mark(&p->arena);
    struct layer_record *record = &p->out.layers[p->out.layer_count];
    size_t count = (size_t)linear->out * (size_t)linear->in;
    snprintf(place, sizeof place, "block %d, %s", block, linear->name);
    model_linear_name(p->input->model, block, linear->name, name);
    *record = (struct layer_record){.block = block,
                                    .name = linear->name,
                                    .method = choice->method->name,
                                    .rows = linear->out,
                                    .columns = linear->in,
                                    .condition = NAN,
                                    .salient = NAN,
                                    .split = NAN};
    TRY(mem_alloc(&result.quantized, count, sizeof *result.quantized));
    struct layer_problem problem = {.name = place,
                                    .weight = linear->weight,
                                    .rows = linear->out,
                                    .columns = linear->in,
                                    .hessian = p->have_hessians ? &p->hessians[linear->input]
                                                                : NULL,
                                    .seed = (uint64_t)point->harness.seed,
                                    .arena = &p->arena},
                         step;
    stage_begin(p);
    rc = layer_apply(choice, &problem, &step, &result);
    record->seconds = clock_wall() - p->wall;
    stage_end(p, STAGE_QUANTIZE, 0);
    if (rc == ERR_NUMERIC) {
        rc = leave_linear(p, &problem, &result, record);
        goto out;
    }
    TRY(rc);
    stage_begin(p);
    TRY(layer_apply_pack(choice, &step, &result, &packed));
    account(p, &result, record, &packed);
    TRY(diagnose(p, &problem, &result, record));
    TRY(layer_exceptions_add(&p->out, block, linear->name, &result));
    p->replaced_bytes += (double)model_layer_bytes(p->input->model, name);
    if (p->input->sink)
        TRY(p->input->sink->take(p->input->sink->context, name, choice, &problem, &result,
                                 &packed));
    stage_end(p, STAGE_DIAGNOSE, 0);
    memcpy(linear->weight, result.quantized, count * sizeof *linear->weight);
    operator_attach(&p->ops[1 + choice->rule], linear);
    p->out.layer_count++;
out:
    mem_free(result.quantized);
    layer_result_release(&result);
    packed_release(&packed);
    arena_reset(&p->arena, mark);
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
            TRY(quantize_linear(p, block, linear, &choice));
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
    stage_begin(p);
    readahead_wait(&p->ahead);
    int rc = model->architecture->load_block(model, block, &p->block);
    model_linear_name(model, block, "", prefix);
    tensor_pages_drop(model->tensors, prefix);
    stage_end(p, STAGE_LOAD, 0);
    return rc;
}

static int advance_calibration(struct pipeline *p)
{
    stage_begin(p);
    int rc = stream_block(p->input->model, &p->block, p->input->calibration, &p->calibration_x,
                          NULL, "calibrate");
    stage_end(p, pipeline_calibration_stage(p), 0);
    p->advance.wall += clock_wall() - p->wall;
    p->advance.cpu += clock_cpu() - p->cpu;
    return rc;
}

/* Before the block is quantized. */
static int advance_full(struct pipeline *p, int block)
{
    struct drift_time saved;
    stage_begin(p);
    int rc = drift_advance(&p->drift, p->input->model, &p->block, block, p->input->calibration,
                           &saved);
    stage_end(p, STAGE_DIAGNOSE, 0);
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
    stage_begin(p);
    if (block == p->last_quantized) /* behind it nothing else needs the calibration */
        TRY(stream_block(p->input->model, &p->block, p->input->calibration, &p->calibration_x, NULL,
                         "drift"));
    rc = drift_measure(&p->drift, &p->calibration_x, block, &p->out.blocks[p->out.block_count]);
    stage_end(p, STAGE_DIAGNOSE, 0);
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
        stage_begin(p);
        TRY(block + 1 < end
                ? stream_block(model, &p->block, in->evaluation, &p->evaluation_x, NULL, "evaluate")
                : stream_last_block(model, &p->block, in->evaluation, &p->evaluation_x,
                                    "evaluate"));
        stage_end(p, STAGE_EVALUATE, 0);
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
    shared_limit(in->shared, plan.limit - plan.peak);
    TRY(pipeline_take_over(p));
    if (in->calibration)
        TRY(start_stream(p, SHARED_CALIBRATION, in->calibration,
                         plan.calibration_file > 0 ? plan.folder : NULL, &p->calibration_x));
    if (p->drifts && p->begin <= p->last_quantized)
        TRY(drift_start(&p->drift, in->drift_kept, in->model, in->calibration, p->begin,
                        p->last_quantized + 1, (plan.limit - plan.peak) / 2,
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
    stage_begin(p);
    TRY(mem_calloc(&p->out.scores, (size_t)stream->rows, sizeof *p->out.scores));
    if (in->reference) {
        reference = (struct stream_reference){in->reference->model, &in->reference->x};
        TRY(mem_calloc(&p->out.divergences, (size_t)stream->rows, sizeof *p->out.divergences));
    }
    TRY(stream_score(in->model, stream, &p->evaluation_x, in->reference ? &reference : NULL,
                     p->out.scores, p->out.divergences));
    stage_end(p, STAGE_EVALUATE, stream->rows);
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

int pipeline_output_copy(const struct pipeline_output *from, int blocks, struct pipeline_output *to)
{
    struct pipeline_output copy = *from;
    int rc;
    copy.layers = NULL;
    copy.exceptions = NULL;
    copy.blocks = NULL;
    copy.scores = NULL;
    copy.divergences = NULL;
    TRY(mem_calloc(&copy.layers, (size_t)blocks * MODEL_MAX_LINEARS, sizeof *copy.layers));
    memcpy(copy.layers, from->layers, (size_t)from->layer_count * sizeof *copy.layers);
    if (from->exception_count > 0) {
        TRY(mem_alloc(&copy.exceptions, (size_t)from->exception_count, sizeof *copy.exceptions));
        memcpy(copy.exceptions, from->exceptions,
               (size_t)from->exception_count * sizeof *copy.exceptions);
    }
    TRY(mem_calloc(&copy.blocks, (size_t)blocks, sizeof *copy.blocks));
    memcpy(copy.blocks, from->blocks, (size_t)from->block_count * sizeof *copy.blocks);
    *to = copy;
    copy.layers = NULL;
    copy.exceptions = NULL;
    copy.blocks = NULL;
out:
    mem_free(copy.blocks);
    mem_free(copy.layers);
    mem_free(copy.exceptions);
    return rc;
}

void pipeline_output_release(struct pipeline_output *output)
{
    mem_free(output->layers);
    mem_free(output->exceptions);
    mem_free(output->blocks);
    mem_free(output->scores);
    mem_free(output->divergences);
    *output = (struct pipeline_output){0};
}
