/* The points of a run: which are there, in which order the others are computed. */
#include "core/err.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/estimate.h"
#include "harness/run_internal.h"

/* What lives while points are computed. */
struct points {
    struct run *run;
    const struct run_options *options;
    struct run_summary *summary;
    struct store *store;
    struct shared_work *shared;
    char (*ids)[HASH_HEX_SIZE];
    int *order, *group;
    bool *there; /* stored, and not to be computed anew */
    double *costs;
    int count;
};

/* The experiment lists what its spec says now. What is done already is listed at once, so that a
 * table is whole even when this run is stopped early. */
static int list_done_points(struct points *p)
{
    int rc;
    const char **list = NULL;
    const struct experiment *experiment = &p->run->experiment;
    TRY(store_experiment(p->store, experiment->name, experiment->title, experiment->path,
                         experiment->text));
    TRY(mem_calloc(&list, (size_t)p->count, sizeof *list));
    for (int i = 0; i < p->count; i++)
        list[i] = p->ids[i];
    TRY(store_experiment_points(p->store, experiment->name, list, p->count, experiment->model_index,
                                experiment->model_count));
out:
    mem_free(list);
    return rc;
}

static int find_ids(struct points *p)
{
    int rc = 0;
    for (int i = 0; i < p->count; i++) {
        json_t *settings = NULL;
        TRY(run_point_id(p->run, &p->run->experiment.points[i], &settings, p->ids[i]));
        json_decref(settings);
    }
out:
    return rc;
}

static int plan_sharing(struct points *p)
{
    const struct experiment *experiment = &p->run->experiment;
    const struct run_calibration *calibration;
    const struct stream **streams = NULL;
    int rc;
    TRY(run_prepare_points(p->run)); /* a text that is too short shows before anything is written */
    TRY(mem_calloc(&streams, (size_t)p->count, sizeof *streams));
    for (int i = 0; i < p->count; i++) { /* they stay where they are from now on */
        TRY(run_calibration_of(p->run, &experiment->points[i], &calibration));
        streams[i] = calibration ? &calibration->stream : NULL;
    }
    TRY(shared_open(&p->shared, &p->run->model, experiment->points, streams, p->count));
    shared_order(p->shared, p->order, p->group);
out:
    mem_free(streams);
    return rc;
}

/* What is stored already needs no work. */
static int skip_done(struct points *p)
{
    const struct experiment *experiment = &p->run->experiment;
    int rc = 0, done;
    for (int i = 0; i < p->count; i++) {
        int place = experiment->model_index * STORE_MODEL_PLACES + i;
        TRY(store_point_done(p->store, p->ids[i], experiment->name, place, &done));
        if (!done)
            continue;
        p->there[i] = true;
        p->summary->skipped++;
        p->summary->left--;
        shared_skip(p->shared, i);
        progress_skip(i, experiment->points[i].label, "already done");
    }
out:
    return rc;
}

static int compute_here(struct points *p)
{
    int rc = 0;
    const struct experiment *experiment = &p->run->experiment;
    for (int at = 0; at < p->count; at++) {
        const int i = p->order[at];
        const char *label = experiment->points[i].label;
        if (p->there[i])
            continue;
        if (p->options->limit > 0 && p->summary->computed + p->summary->failed >= p->options->limit)
            break;
        progress_point(i, label);
        store_working_on(p->store, experiment->name, label);
        TRY(run_point(p->run, p->store, p->shared, i, p->summary));
        p->summary->left--;
    }
out:
    return rc;
}

static int points_open(struct points *p)
{
    const size_t count = (size_t)p->count;
    int rc;
    TRY(mem_calloc(&p->ids, count, sizeof *p->ids));
    TRY(mem_calloc(&p->order, count, sizeof *p->order));
    TRY(mem_calloc(&p->group, count, sizeof *p->group));
    TRY(mem_calloc(&p->there, count, sizeof *p->there));
    TRY(mem_calloc(&p->costs, count, sizeof *p->costs));
    TRY(plan_sharing(p));
    TRY(find_ids(p));
out:
    return rc;
}

static void points_close(struct points *p)
{
    store_close(p->store);
    shared_close(p->shared);
    mem_free(p->ids);
    mem_free(p->order);
    mem_free(p->group);
    mem_free(p->there);
    mem_free(p->costs);
}

int run_points(struct run *run, const struct run_options *options, struct run_summary *summary)
{
    int rc;
    bool known;
    struct points p = {
        .run = run, .options = options, .summary = summary, .count = run->experiment.point_count};
    *summary = (struct run_summary){.left = p.count};
    TRY(points_open(&p));
    TRY(store_open(&p.store, options->database, 1));
    TRY(list_done_points(&p));
    TRY(estimate_costs(run, p.costs, &known));
    progress_begin(run->experiment.name, p.count, known ? p.costs : NULL);
    TRY(skip_done(&p));
    TRY(compute_here(&p));
out:
    progress_end();
    points_close(&p);
    return rc;
}
