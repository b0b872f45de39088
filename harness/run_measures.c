/* What a run measures beside its metrics: how much of the evaluation the calibration texts hold,
 * and the distance to full precision. */
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "harness/calibration_overlap.h"
#include "harness/layer_plan.h"
#include "harness/run.h"

#include <math.h>

/* Texts first, then tasks. */
static const char *set_name(const struct evaluation *evaluation, int set)
{
    return set < evaluation->perplexity_count
               ? evaluation->perplexities[set].spec->corpus
               : evaluation->choices[set - evaluation->perplexity_count].spec->task;
}

int run_measure_overlap(const struct run *run, struct run_calibration *calibration)
{
    int rc;
    struct overlap_index index = {0};
    const struct evaluation *evaluation = &run->evaluation;
    int texts = evaluation->perplexity_count, count = texts + evaluation->choice_count;
    double *overlaps = NULL;
    TRY(mem_calloc(&overlaps, (size_t)count, sizeof *overlaps));
    TRY(overlap_index_make(&index, &calibration->stream));
    for (int i = 0; i < count; i++) {
        const struct perplexity_set *text = i < texts ? &evaluation->perplexities[i] : NULL;
        const struct choice_set *task = text ? NULL : &evaluation->choices[i - texts];
        TRY(overlap_share(&index, &evaluation->stream,
                          text ? text->first_sequence : task->first_sequence,
                          text ? text->windows : task->sequences, &overlaps[i]));
    }
    calibration->overlaps = overlaps;
    overlaps = NULL;
out:
    overlap_index_release(&index);
    mem_free(overlaps);
    return rc;
}

/* The shares that matter to the point: those of a calibration that it learns from. */
static const double *overlaps_of(const struct point *point,
                                 const struct run_calibration *calibration)
{
    bool learns = calibration && layer_plan_caps(point) & QM_NEEDS_HESSIAN;
    return learns ? calibration->overlaps : NULL;
}

static int check_overlap(const struct run *run, const struct point *point,
                         const struct run_calibration *calibration)
{
    const struct evaluation *evaluation = &run->evaluation;
    const double *overlaps = overlaps_of(point, calibration);
    int count = evaluation->perplexity_count + evaluation->choice_count;
    for (int i = 0; overlaps && !run->experiment.allow_overlap && i < count; i++)
        if (overlaps[i] > overlap_limit)
            return err_set(ERR_USAGE,
                           "%s: the calibration on %s (seed %d) holds %.1f %% of the %d-grams of "
                           "tokens of %s, and more than %.0f %% are refused: calibrate on another "
                           "text or split, or set calibration.allow_overlap: true, which marks the "
                           "rows",
                           point->where, calibration->spec.corpus, calibration->spec.seed,
                           100 * overlaps[i], OVERLAP_TOKENS, set_name(evaluation, i),
                           100 * overlap_limit);
    return 0;
}

int run_prepare_points(struct run *run)
{
    int rc = 0;
    struct memory_stream longest = {0};
    bool quantizes = false;
    for (int i = 0; i < run->experiment.point_count; i++) {
        const struct point *point = &run->experiment.points[i];
        const struct run_calibration *calibration;
        TRY(run_calibration_of(run, point, &calibration));
        TRY(check_overlap(run, point, calibration));
        if (calibration && calibration->stream.rows > longest.rows)
            longest = memory_stream_of(&calibration->stream);
        quantizes |= point->method != NULL;
    }
    if (quantizes && run->experiment.divergence && !run->reference.model)
        reference_states_begin(&run->reference, &run->model, &run->evaluation, longest);
out:
    return rc;
}

int run_make_reference(struct run *run, const struct point *point)
{
    int rc = point->method ? reference_states_make(&run->reference) : 0;
    if (rc == 0 || rc == ERR_INTERRUPTED)
        return rc;
    log_warning("points are not compared with full precision: %s", err_text());
    reference_states_release(&run->reference);
    return 0;
}

void run_use_reference(struct run *run, struct pipeline_input *input)
{
    if (!run->reference.model)
        return;
    if (input->point->method && run->reference.ready)
        input->reference = &run->reference;
    else if (!input->point->method && !run->reference.ready)
        input->keep = &run->reference;
}

/* The set that a metric is of: a task has one for each of its rules. */
static int set_of(const struct evaluation *evaluation, int metric)
{
    int texts = evaluation->perplexity_count, set = metric;
    if (metric < texts)
        return metric;
    metric -= texts;
    for (set = 0; metric >= evaluation->choices[set].rule_count; set++)
        metric -= evaluation->choices[set].rule_count;
    return texts + set;
}

static void complete_metric(const struct run *run, const double *overlaps,
                            const struct pipeline_output *output, int index,
                            struct metric_record *metric)
{
    const struct evaluation *evaluation = &run->evaluation;
    if (output->divergences && index < evaluation->perplexity_count)
        perplexity_divergence(&evaluation->perplexities[index], &evaluation->stream,
                              output->divergences, metric);
    if (overlaps) {
        metric->overlap = overlaps[set_of(evaluation, index)];
        metric->overlap_measured = isfinite(metric->overlap);
        metric->overlap_allowed = metric->overlap > overlap_limit;
    }
}

int run_complete_metrics(const struct run *run, const struct point *point,
                         const struct run_calibration *calibration,
                         const struct pipeline_output *output, struct metric_record *metrics,
                         struct strbuf *warnings)
{
    int rc = 0, count = evaluation_metric_count(&run->evaluation);
    const double *overlaps = overlaps_of(point, calibration);
    for (int i = 0; i < count; i++) {
        struct metric_record *m = &metrics[i];
        complete_metric(run, overlaps, output, i, m);
        if (m->overlap_allowed)
            TRY(strbuf_printf(warnings, "%scalibration holds %.1f %% of %s",
                              warnings->length ? "; " : "", 100 * m->overlap, m->dataset));
    }
out:
    return rc;
}
