/* bitbench run SPEC */
#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/progress.h"
#include "harness/command.h"
#include "harness/estimate_spec.h"
#include "harness/model_folder.h"
#include "harness/run.h"
#include "harness/table.h"

#include <stdio.h>

struct run_command {
    int limit, jobs;
    bool dry_run, full, table;
    char rerun[OPTION_TEXT_SIZE];
};

static const struct option run_table[] = {
    {.name = "dry_run",
     .type = OPTION_BOOL,
     .offset = offsetof(struct run_command, dry_run),
     .fallback = "false",
     .help = "print the grid with estimated time and memory, and run nothing"},
    {.name = "full",
     .type = OPTION_BOOL,
     .offset = offsetof(struct run_command, full),
     .fallback = "false",
     .help = "all questions of the spec's tasks, whatever limits (items) it sets"},
    {.name = "jobs",
     .type = OPTION_INT,
     .offset = offsetof(struct run_command, jobs),
     .fallback = "1",
     .low = 0,
     .high = RUN_MAX_JOBS,
     .help = "points computed side by side, each in a process of its own; threads and memory are "
             "divided among them. 0: in this process, which a crash then ends"},
    {.name = "limit",
     .type = OPTION_INT,
     .offset = offsetof(struct run_command, limit),
     .fallback = "0",
     .low = 0,
     .high = 1e9,
     .choices = "POINTS",
     .help = "compute at most this many points (0: all); the next run goes on"},
    {.name = "rerun",
     .type = OPTION_TEXT,
     .offset = offsetof(struct run_command, rerun),
     .fallback = "",
     .choices = "WHICH",
     .help = "compute finished points again, and keep their earlier timings as repetitions: 'all', "
             "or a pattern of labels (a piece of one, with * ? [ a whole one). Failed ones are "
             "tried again anyway: 'failed' asks for no more than that"},
    {.name = "table",
     .type = OPTION_BOOL,
     .offset = offsetof(struct run_command, table),
     .fallback = "true",
     .help = "print the table at the end"},
    {.name = NULL},
};

/* The results so far; in JSON mode a closing object instead. */
static int print_results(const struct command_line *line, const char *experiment,
                         const struct run_summary *summary)
{
    int rc;
    struct store *store = NULL;
    const struct run_command *options = line->options;
    if (line->global.json) {
        printf("{\"event\": \"summary\", \"computed\": %d, \"skipped\": %d, \"failed\": %d, "
               "\"left\": %d}\n",
               summary->computed, summary->skipped, summary->failed, summary->left);
        return 0;
    }
    if (!options->table)
        return 0;
    TRY(store_open(&store, line->global.database, 0));
    TRY(table_print(store, experiment, TABLE_MARKDOWN, stdout));
out:
    store_close(store);
    return rc;
}

/* What all models of a spec share. */
struct session {
    struct run_summary sum;
    char name[SPEC_NAME];
    int points, models, missing; /* missing: models that are not here */
};

/* A model that is not here does not keep the others from being run. */
static int note_missing(struct session *session)
{
    progress_line("%s", err_text());
    session->missing++;
    return 0;
}

/* Opens and computes the points of one of the spec's models. */
static int run_model(const struct run_options *what, struct session *session)
{
    int rc;
    struct run run = {0};
    struct run_summary summary = {0};
    char *folder = NULL;
    TRY(run_load_spec(&run, what));
    session->models = run.experiment.model_count;
    session->points = run.experiment.point_count * session->models;
    snprintf(session->name, sizeof session->name, "%s", run.experiment.name);
    rc = model_folder(&folder, run.experiment.model);
    if (rc) {
        rc = rc == ERR_MISSING && session->models > 1 ? note_missing(session) : rc;
        goto out;
    }
    TRY(run_open_model(&run));
    if (session->models > 1)
        progress_line("model %s (%d of %d)", run.experiment.model, what->model + 1,
                      session->models);
    rc = run_points(&run, what, &summary);
    session->sum.computed += summary.computed;
    session->sum.skipped += summary.skipped;
    session->sum.failed += summary.failed;
    session->sum.left += summary.left;
    session->sum.spent += summary.spent;
    session->sum.saved += summary.saved;
out:
    mem_free(folder);
    run_close(&run);
    return rc;
}

static int run_models(struct run_options what, struct session *session)
{
    int rc, limit = what.limit;
    do {
        int worked = session->sum.computed + session->sum.failed;
        if (limit > 0 && worked >= limit)
            break;
        what.limit = limit > 0 ? limit - worked : 0;
        TRY(run_model(&what, session));
    } while (++what.model < session->models);
    rc = 0;
out:
    if (rc == ERR_INTERRUPTED)
        rc = err_set(ERR_INTERRUPTED,
                     "%s; %d of %d points are done, the same command goes on from there",
                     err_text(), session->sum.computed + session->sum.skipped, session->points);
    return rc;
}

static void note_sharing(const struct run_summary *sum)
{
    char saved[32], all[32];
    if (sum->saved < 0.05)
        return;
    progress_duration(sum->saved, saved);
    progress_duration(sum->spent + sum->saved, all);
    log_note("shared work saved %s of %s", saved, all);
}

static int run_command(const struct command_line *line)
{
    int rc;
    struct session session = {0};
    const struct run_command *options = line->options;
    const struct run_options what = {.spec = line->arguments[0],
                                     .database = line->global.database,
                                     .command = line->words,
                                     .overrides = line->list,
                                     .override_count = line->list_count,
                                     .limit = options->limit,
                                     .jobs = options->jobs,
                                     .rerun = *options->rerun ? options->rerun : NULL,
                                     .full = options->full};
    if (options->dry_run)
        return estimate_spec(&what);
    TRY(run_models(what, &session));
    if (session.missing == session.models)
        TRY(err_set(ERR_MISSING, "none of the %d models of %s is here: --dry-run tells more",
                    session.models, what.spec));
    const struct run_summary *sum = &session.sum;
    log_note("%s: %d points computed, %d were there already, %d failed, %d left; database %s",
             session.name, sum->computed, sum->skipped, sum->failed, sum->left,
             line->global.database);
    note_sharing(sum);
    TRY(print_results(line, session.name, sum));
    if (sum->failed)
        rc = err_set(
            ERR_NUMERIC,
            "%d of %d points failed: `bitbench table %s` says why; run again to retry them",
            sum->failed, session.points, session.name);
    else if (session.missing)
        rc = err_set(ERR_MISSING,
                     "%d of the %d models of %s are not here; what was run is in the table",
                     session.missing, session.models, session.name);
out:
    return rc;
}

const struct command command_run = {
    .name = "run",
    .summary = "runs an experiment: quantizes, evaluates and records every point of a spec",
    .arguments = "SPEC",
    .arguments_min = 1,
    .arguments_max = 1,
    .argument_kind = ARGUMENT_SPEC,
    .flags = COMMAND_JSON | COMMAND_DATABASE | COMMAND_COMPUTES | COMMAND_DATA | COMMAND_STREAMS,
    .options = run_table,
    .options_size = sizeof(struct run_command),
    .letters = "n=dry_run j=jobs",
    .list = {.name = "set",
             .value = "KEY=VALUE",
             .letter = 's',
             .help = "override a value of the spec, such as model=PATH or calibration.samples=64"},
    .description =
        "Every point of the spec's grid that is not yet in the database is computed and "
        "stored in one transaction, so that "
        "a run that was stopped, or killed, goes on where it was with the same command. "
        "A point that fails is stored with "
        "its message and does not stop the rest; it is tried again by the next run. Points are "
        "computed in "
        "processes of their own, so that this holds for one that crashes, too. Work that points "
        "have in common, such as blocks that they quantize alike, is done once: the last line "
        "says what that saved.",
    .examples =
        "bitbench run experiments/quickstart.yaml\n"
        "# the grid, the time and the memory, without running\n"
        "bitbench run experiments/embedded.yaml --dry-run\n"
        "# another model, fewer calibration segments\n"
        "bitbench run experiments/quickstart.yaml --set model=PATH --set calibration.samples=16\n"
        "# two points side by side; measure those of one method once more\n"
        "bitbench run experiments/quickstart.yaml --jobs 2 --rerun 'gptq*'\n",
    .run = run_command,
};
