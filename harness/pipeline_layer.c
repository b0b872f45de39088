/* One linear layer: quantized, measured, recorded. And the records. */
#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"
#include "harness/layer_apply.h"
#include "harness/layer_exceptions.h"
#include "harness/layer_loss.h"
#include "harness/model_size.h"
#include "harness/pipeline_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void pipeline_stage_begin(struct pipeline *p)
{
    p->wall = clock_wall();
    p->cpu = clock_cpu();
}

void pipeline_stage_end(struct pipeline *p, enum stage stage, double tokens)
{
    struct timing_record *timing = &p->out.timings[stage];
    timing->wall += clock_wall() - p->wall;
    timing->cpu += clock_cpu() - p->cpu;
    timing->tokens += tokens;
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

int pipeline_quantize_linear(struct pipeline *p, int block, struct linear *linear,
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
    pipeline_stage_begin(p);
    rc = layer_apply(choice, &problem, &step, &result);
    record->seconds = clock_wall() - p->wall;
    pipeline_stage_end(p, STAGE_QUANTIZE, 0);
    if (rc == ERR_NUMERIC) {
        rc = leave_linear(p, &problem, &result, record);
        goto out;
    }
    TRY(rc);
    pipeline_stage_begin(p);
    TRY(layer_apply_pack(choice, &step, &result, &packed));
    account(p, &result, record, &packed);
    TRY(diagnose(p, &problem, &result, record));
    TRY(layer_exceptions_add(&p->out, block, linear->name, &result));
    p->replaced_bytes += (double)model_layer_bytes(p->input->model, name);
    if (p->input->sink)
        TRY(p->input->sink->take(p->input->sink->context, name, choice, &problem, &result,
                                 &packed));
    pipeline_stage_end(p, STAGE_DIAGNOSE, 0);
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

/* ---- the records ---- */

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
