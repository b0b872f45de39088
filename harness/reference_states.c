#include "harness/reference_states.h"

#include "core/err.h"
#include "harness/memory_limit.h"
#include "harness/pipeline.h"

void reference_states_begin(struct reference_states *reference, const struct model *model,
                            const struct evaluation *evaluation, struct memory_stream calibration)
{
    *reference = (struct reference_states){.calibration = calibration, .texts = evaluation->stream};
    struct stream *texts = &reference->texts;
    texts->count = evaluation->text_sequences;
    texts->rows = texts->count > 0 ? texts->offsets[texts->count] : 0;
    for (int r = 0; r < texts->rows; r++)
        reference->rows += texts->targets[r] >= 0;
    if (reference->rows > 0)
        reference->model = model;
}

void reference_states_release(struct reference_states *reference)
{
    if (reference->placed)
        states_close(&reference->x);
    *reference = (struct reference_states){0};
}

/* Rows in hand of spilled states: taken in a chunk at a time, given out as many as are scored. */
static int most_rows(const struct reference_states *reference)
{
    return reference->rows < STREAM_SCORED_ROWS ? reference->rows : STREAM_SCORED_ROWS;
}

struct memory_stream reference_states_needs(const struct reference_states *reference)
{
    if (!reference || !reference->model)
        return (struct memory_stream){0};
    return (struct memory_stream){reference->placed ? 0 : reference->rows, most_rows(reference)};
}

int reference_states_place(struct reference_states *reference, struct memory_needs *needs)
{
    int rc;
    struct memory_plan plan;
    struct memory_needs hardest = *needs;
    const int width = reference->model->config.width;
    if (reference->placed)
        return 0;
    hardest.calibration = reference->calibration;
    hardest.quantizes = hardest.factorizes = reference->calibration.rows > 0;
    hardest.reference = reference_states_needs(reference);
    bool spilled = memory_plan_make(&hardest, &plan) != 0 || plan.reference_file > 0;
    TRY(states_open(&reference->x, "full precision", reference->rows, width, most_rows(reference),
                    spilled ? memory_spill_folder() : NULL));
    reference->placed = true;
    needs->held += 4.0 * width * (spilled ? most_rows(reference) : reference->rows);
out:
    return rc;
}

int reference_states_take(struct reference_states *reference, const struct stream *stream,
                          struct states *x)
{
    int rc = stream_keep(stream, x, &reference->x);
    reference->ready = rc == 0;
    return rc;
}

int reference_states_make(struct reference_states *reference)
{
    static const struct point full = {.label = NULL};
    struct pipeline_output output = {0};
    if (!reference->model || reference->ready)
        return 0;
    const struct pipeline_input input = {.model = reference->model,
                                         .point = &full,
                                         .evaluation = &reference->texts,
                                         .keep = reference};
    int rc = pipeline_run(&input, &output);
    pipeline_output_release(&output);
    return rc;
}
