/* The points of a run: which are there, in which order the others are computed. */
#include "core/err.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/estimate.h"
#include "harness/layer_plan.h"
#include "harness/memory_limit.h"
#include "harness/run_internal.h"

#include <string.h>

/* No more points: run_options.limit. */
static bool enough(const struct run_work *work)
{
    const struct run_summary *sum = work->summary;
    return work->options->limit > 0 && sum->computed + sum->failed >= work->options->limit;
}

/* The experiment lists what its spec says now. What is done already is listed at once, so that a
 * table is whole even when this run is stopped early. */
static int list_done_points(struct run_work *p)
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

static int find_ids(struct run_work *p)
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

static int plan_sharing(struct run_work *p)
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

static bool asked_again(const struct run_work *p, int index)
{
    const char *rerun = p->options->rerun;
    if (!rerun || strcmp(rerun, "failed") == 0)
        return false;
    return strcmp(rerun, "all") == 0 ||
           layer_plan_matches(rerun, p->run->experiment.points[index].label);
}

/* A pattern that means no point is a slip. */
static int check_rerun(const struct run_work *p)
{
    const char *rerun = p->options->rerun;
    bool any = !rerun || strcmp(rerun, "failed") == 0;
    for (int i = 0; i < p->count; i++)
        any |= asked_again(p, i);
    return any ? 0
               : err_set(ERR_USAGE,
                         "--rerun '%.200s' matches the label of no point of %s: `bitbench status` "
                         "shows them; parts of labels, or patterns with * ? [ for whole ones",
                         rerun, p->run->experiment.name);
}

/* What is stored already needs no work. */
static int skip_done(struct run_work *p)
{
    const struct experiment *experiment = &p->run->experiment;
    int rc = 0, done;
    for (int i = 0; i < p->count; i++) {
        int place = experiment->model_index * STORE_MODEL_PLACES + i;
        TRY(store_point_done(p->store, p->ids[i], experiment->name, place, &done));
        if (!done || asked_again(p, i))
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

static int compute_point(struct run_work *p, int index)
{
    const struct experiment *experiment = &p->run->experiment;
    const char *label = experiment->points[index].label;
    progress_point(index, label);
    store_working_on(p->store, experiment->name, label);
    int rc = run_point(p->run, p->store, p->shared, index, p->summary);
    p->there[index] = true;
    p->summary->left -= rc == 0;
    return rc;
}

static int compute_here(struct run_work *p)
{
    int rc = 0;
    for (int at = 0; at < p->count && !enough(p); at++)
        if (!p->there[p->order[at]])
            TRY(compute_point(p, p->order[at]));
out:
    return rc;
}

/* What all processes need of full precision is computed before there are any: the point itself,
 * which comes first, or what points are compared with alone. */
static int compute_common(struct run_work *p)
{
    const struct point *points = p->run->experiment.points;
    int rc = 0, first = -1;
    for (int at = p->count - 1; at >= 0; at--)
        if (!p->there[p->order[at]])
            first = p->order[at];
    if (first < 0 || !p->run->reference.model)
        return 0;
    if (points[first].method) {
        progress_point(first, points[first].label);
        TRY(run_make_reference(p->run, &points[first]));
    } else {
        TRY(compute_point(p, first));
    }
out:
    return rc;
}

static int compute_apart(struct run_work *p)
{
    int rc;
    TRY(compute_common(p));
    TRY(run_in_processes(p));
out:
    return rc;
}

static int points_open(struct run_work *p)
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

static void points_close(struct run_work *p)
{
    store_close(p->store);
    shared_close(p->shared);
    mem_free(p->ids);
    mem_free(p->order);
    mem_free(p->group);
    mem_free(p->there);
    mem_free(p->costs);
}

/* Each process has its share of the memory. */
static int plan_costs(struct run_work *p, bool *known)
{
    const int jobs = p->options->jobs;
    memory_limit_share(jobs > 1 ? jobs : 1);
    int rc = estimate_costs(p->run, p->costs, known);
    return rc && jobs > 1 ? err_prefix(rc, "--jobs: %d processes have to share the memory", jobs)
                          : rc;
}

int run_points(struct run *run, const struct run_options *options, struct run_summary *summary)
{
    int rc;
    bool known;
    struct run_work p = {
        .run = run, .options = options, .summary = summary, .count = run->experiment.point_count};
    *summary = (struct run_summary){.left = p.count};
    TRY(check_rerun(&p));
    TRY(points_open(&p));
    TRY(store_open(&p.store, options->database, 1));
    TRY(list_done_points(&p));
    TRY(plan_costs(&p, &known));
    progress_begin(run->experiment.name, p.count, known ? p.costs : NULL);
    TRY(skip_done(&p));
    TRY(options->jobs > 0 ? compute_apart(&p) : compute_here(&p));
out:
    memory_limit_share(1);
    progress_end();
    points_close(&p);
    return rc;
}
