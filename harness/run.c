#include "harness/run_internal.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/load.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/progress.h"
#include "harness/host.h"
#include "harness/positions.h"

#include <stdio.h>
#include <string.h>

bool run_same_calibration(const struct calibration_spec *a, const struct calibration_spec *b)
{
    return strcmp(a->corpus, b->corpus) == 0 && a->samples == b->samples &&
           a->length == b->length && a->seed == b->seed && a->split == b->split &&
           a->draw == b->draw;
}

int run_calibration_of(struct run *run, const struct point *point,
                       const struct run_calibration **out)
{
    int rc;
    *out = NULL;
    if (!point_calibrates(point))
        return 0;
    for (int i = 0; i < run->calibration_count; i++)
        if (run_same_calibration(&run->calibrations[i].spec, &point->calibration)) {
            *out = &run->calibrations[i];
            return 0;
        }
    struct run_calibration fresh = {.spec = point->calibration};
    TRY(host_check_memory("calibration", (double)fresh.spec.samples * fresh.spec.length,
                          run->model.config.width));
    TRY(calibration_draw(&fresh.spec, &run->corpora, &fresh.stream, &fresh.facts));
    TRY(positions_check(&run->model.config, "calibration: segments", fresh.spec.length));
    stream_hash(&fresh.stream, fresh.hash);
    TRY(run_measure_overlap(run, &fresh));
    TRY(mem_resize(&run->calibrations, (size_t)run->calibration_count,
                   (size_t)run->calibration_count + 1, sizeof *run->calibrations));
    run->calibrations[run->calibration_count] = fresh;
    fresh = (struct run_calibration){0};
    *out = &run->calibrations[run->calibration_count++];
out:
    stream_release(&fresh.stream);
    mem_free(fresh.overlaps);
    return rc;
}

int run_point_id(struct run *run, const struct point *point, json_t **settings,
                 char id[HASH_HEX_SIZE])
{
    int rc, bad = 0;
    json_t *object = NULL;
    char *text = NULL;
    const struct run_calibration *calibration;
    TRY(point_settings(point, &object));
    TRY(run_calibration_of(run, point, &calibration));
    if (calibration)
        bad |= json_object_set_new(
            object, "calibration",
            json_pack("{s:s, s:i, s:i, s:i, s:i, s:s}", "corpus", calibration->spec.corpus,
                      "samples", calibration->spec.samples, "length", calibration->spec.length,
                      "seed", calibration->spec.seed, "split", calibration->spec.split, "hash",
                      calibration->hash));
    /* Points of before there was a choice keep their ids. */
    if (calibration && calibration->facts.draw != DRAW_OWN)
        bad |= json_object_set_new(json_object_get(object, "calibration"), "draw",
                                   json_string(calibration_draw_names[calibration->facts.draw]));
    bad |= json_object_set_new(object, "versions",
                               json_pack("{s:i, s:i}", "method",
                                         point->method ? point->method->version : 0, "architecture",
                                         run->model.architecture->version));
    bad |= json_object_set_new(object, "model_hash", json_string(run->model.hash));
    bad |= json_object_set_new(object, "tokenizer_hash",
                               json_string(run->tokenizer ? tokenizer_hash(run->tokenizer) : ""));
    bad |= json_object_set(object, "evaluation", run->evaluation_settings);
    text = bad ? NULL : json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (!text) {
        rc = err_set(ERR_MEMORY, "out of memory: the settings of a point");
        goto out;
    }
    hash_bytes(text, strlen(text), id);
    *settings = object;
    object = NULL;
out:
    free(text);
    json_decref(object);
    return rc;
}

/* Metrics of all texts and questions; parts are owned by the records. */
static int measure(struct run *run, const struct pipeline_output *output,
                   struct metric_record *metrics, int *count)
{
    int rc = 0, total = evaluation_metric_count(&run->evaluation);
    for (; rc == 0 && *count < total; *count += rc == 0)
        rc = evaluation_metric(&run->evaluation, *count, output->scores, &metrics[*count]);
    return rc;
}

/* What a reader of the row must know, in one line; "" when nothing. */
static int collect_warnings(struct run *run, const struct run_calibration *calibration,
                            const struct pipeline_output *output, struct strbuf *text)
{
    int rc, changed = calibration && calibration->facts.changed;
    for (int i = 0; i < run->corpora.count; i++)
        changed |= run->corpora.entries[i]->changed;
    TRY(strbuf_puts(text, ""));
    if (changed)
        TRY(strbuf_puts(text, "corpus text differs from the published one"));
    if (output->damping_raised)
        TRY(strbuf_printf(text, "%sdamping raised in %d layers", text->length ? "; " : "",
                          output->damping_raised));
    if (output->left)
        TRY(strbuf_printf(text, "%s%d layers left in full precision: the method could not do them",
                          text->length ? "; " : "", output->left));
out:
    return rc;
}

/* The whole of one point: fills the record and writes it. */
struct point_job {
    struct run *run;
    const struct point *point;
    struct store *store;
    struct shared_work *shared;
    int place; /* in the experiment's list */
    json_t *settings;
    char id[HASH_HEX_SIZE];
    struct pipeline_output output;
    struct metric_record *metrics;
    int metric_count;
    struct strbuf warnings;
    struct load before; /* when it began */
    char started[21];
};

static int compute_point(struct point_job *job)
{
    int rc;
    struct run *run = job->run;
    const struct evaluation *evaluation = &run->evaluation;
    const struct run_calibration *calibration;
    TRY(run_calibration_of(run, job->point, &calibration));
    if (calibration)
        TRY(store_calibration(job->store, calibration->hash, calibration->stream.tokens,
                              calibration->stream.count, calibration->spec.length));
    struct pipeline_input input = {.model = &run->model,
                                   .point = job->point,
                                   .calibration = calibration ? &calibration->stream : NULL,
                                   .evaluation = evaluation->stream.rows ? &evaluation->stream
                                                                         : NULL,
                                   .shared = job->shared,
                                   .drift_kept = &run->drift_kept};
    run_use_reference(run, &input);
    TRY(pipeline_run(&input, &job->output));
    TRY(mem_calloc(&job->metrics, (size_t)evaluation_metric_count(evaluation),
                   sizeof *job->metrics));
    TRY(measure(run, &job->output, job->metrics, &job->metric_count));
    TRY(collect_warnings(run, calibration, &job->output, &job->warnings));
    TRY(run_complete_metrics(run, job->point, calibration, &job->output, job->metrics,
                             &job->warnings));
out:
    return rc;
}

static int write_point(struct point_job *job, const char *error)
{
    struct run *run = job->run;
    char method[POINT_METHOD_SIZE];
    struct timing_record timings[STAGE_COUNT + 1];
    memcpy(timings, job->output.timings, sizeof job->output.timings);
    struct load now;
    load_now(&now);
    timings[STAGE_COUNT] = (struct timing_record){
        "total", now.wall - job->before.wall + job->output.saved,
        now.own - job->before.own + job->output.saved_cpu, 0};
    point_method_name(job->point, method);
    const struct point_record record = {
        .id = job->id,
        .experiment = run->experiment.name,
        .label = job->point->label,
        .method = method,
        .settings = job->settings,
        .host = run->host,
        .status = error ? "failed" : "done",
        .error = error,
        .model = run->experiment.model,
        .model_hash = run->model.hash,
        .started = job->started,
        .weights = job->output.weights,
        .paper_bits = job->output.paper_bits,
        .paper_bits_marks = job->output.paper_bits_marks,
        .stored_bits = job->output.stored_bits,
        .file_bytes = job->output.file_bytes,
        .full_bits = job->output.full_bits,
        .weights_left = job->output.weights_left,
        .bytes_left = job->output.bytes_left,
        .bytes_outer = job->output.bytes_outer,
        .bytes_vectors = job->output.bytes_vectors,
        .saved = job->output.saved,
        .peak_memory = (double)clock_peak_memory(),
        .warnings = job->warnings.data ? job->warnings.data : "",
        .layers = job->output.layers,
        .layer_count = job->output.layer_count,
        .metrics = job->metrics,
        .metric_count = job->metric_count,
        .blocks = job->output.blocks,
        .block_count = job->output.block_count,
        .exceptions = job->output.exceptions,
        .exception_count = job->output.exception_count,
        .command = run->command,
        .spec_text = run->experiment.text,
        .repetition = {.threads = pool_threads(),
                       .load_before = job->before.average,
                       .load_after = now.average,
                       .busy = load_busy(&job->before, &now, pool_threads())},
        .timings = timings,
        .timing_count = error ? 0 : STAGE_COUNT + 1};
    return store_write_point(job->store, &record, job->place);
}

/* A finished point that was computed again, and failed this time, stays as it is. */
static int write_failure(struct point_job *job, const char *error)
{
    int rc, done;
    TRY(store_point_done(job->store, job->id, NULL, 0, &done));
    if (!done)
        TRY(write_point(job, error));
out:
    return rc;
}

static void job_release(struct point_job *job)
{
    for (int i = 0; i < job->metric_count; i++)
        mem_free(job->metrics[i].parts);
    mem_free(job->metrics);
    pipeline_output_release(&job->output);
    strbuf_release(&job->warnings);
    json_decref(job->settings);
}

/* "kjv 27.9, kjv_half 71.0 %": the point's line in the progress display. */
static void show_result(const struct point_job *job)
{
    char line[256] = "";
    size_t used = 0;
    for (int i = 0; i < job->metric_count && used < sizeof line; i++) {
        const struct metric_record *m = &job->metrics[i];
        bool accuracy = strcmp(m->kind, "accuracy") == 0;
        used += (size_t)snprintf(line + used, sizeof line - used, "%s%s %.*f%s", i ? ", " : "",
                                 m->dataset, accuracy ? 1 : 2, accuracy ? m->value * 100 : m->value,
                                 accuracy ? " %" : "");
    }
    progress_point_done(line);
}

static int finish_point(struct point_job *job, int code, struct run_summary *summary)
{
    if (code == 0) {
        int rc = write_point(job, NULL);
        if (rc == 0) {
            show_result(job);
            summary->computed++;
            summary->saved += job->output.saved;
            summary->spent += clock_wall() - job->before.wall;
        }
        return rc;
    }
    char text[1024];
    snprintf(text, sizeof text, "%s", err_text());
    progress_line("%s failed: %s", job->point->label, text);
    progress_point_done("failed");
    summary->failed++;
    return write_failure(job, text);
}

int run_point(struct run *run, struct store *store, struct shared_work *shared, int index,
              struct run_summary *summary)
{
    int rc;
    struct point_job job = {.run = run,
                            .point = &run->experiment.points[index],
                            .store = store,
                            .shared = shared,
                            .place = run->experiment.model_index * STORE_MODEL_PLACES + index};
    TRY(run_point_id(run, job.point, &job.settings, job.id));
    TRY(run_make_reference(run, job.point));
    load_now(&job.before);
    clock_utc(job.started);
    clock_peak_restart();
    shared_begin(shared, index);
    rc = compute_point(&job);
    if (rc == ERR_INTERRUPTED)
        goto out;
    TRY(finish_point(&job, rc, summary));
out:
    job_release(&job);
    return rc;
}

int run_lost_point(struct run *run, struct store *store, int index, const char *error)
{
    struct point_job job = {.run = run,
                            .point = &run->experiment.points[index],
                            .store = store,
                            .place = run->experiment.model_index * STORE_MODEL_PLACES + index};
    int rc;
    TRY(run_point_id(run, job.point, &job.settings, job.id));
    load_now(&job.before);
    clock_utc(job.started);
    TRY(write_failure(&job, error));
out:
    job_release(&job);
    return rc;
}
