/* bitbench run SPEC */
#include "core/err.h"
#include "core/log.h"
#include "core/progress.h"
#include "harness/command.h"
#include "harness/estimate.h"
#include "harness/run.h"
#include "harness/table.h"
#include "linalg/rate.h"

#include <stdio.h>

struct run_command {
    int limit;
    bool dry_run, table;
};

static const struct option run_table[] = {
    {.name = "dry_run",
     .type = OPTION_BOOL,
     .offset = offsetof(struct run_command, dry_run),
     .fallback = "false",
     .help = "print the grid with estimated time and memory, and run nothing"},
    {.name = "limit",
     .type = OPTION_INT,
     .offset = offsetof(struct run_command, limit),
     .fallback = "0",
     .low = 0,
     .high = 1e9,
     .choices = "POINTS",
     .help = "compute at most this many points (0: all); the next run goes on"},
    {.name = "table",
     .type = OPTION_BOOL,
     .offset = offsetof(struct run_command, table),
     .fallback = "true",
     .help = "print the table at the end"},
    {.name = NULL},
};

static int dry_run(struct run *run, const char *database)
{
    double rate;
    int rc = rate_sgemm(0.2, 1, &rate);
    return rc ? rc : estimate_print(run, database, rate);
}

/* The results so far; in JSON mode a closing object instead. */
static int print_results(const struct command_line *line, const struct run *run,
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
    TRY(table_print(store, run->experiment.name, TABLE_MARKDOWN, stdout));
out:
    store_close(store);
    return rc;
}

static int run_command(const struct command_line *line)
{
    int rc;
    struct run run = {0};
    struct run_summary summary = {0};
    const struct run_command *options = line->options;
    const struct run_options what = {.spec = line->arguments[0],
                                     .database = line->global.database,
                                     .overrides = line->list,
                                     .override_count = line->list_count,
                                     .limit = options->limit};
    TRY(run_open(&run, &what));
    if (options->dry_run) {
        rc = dry_run(&run, line->global.database);
        goto out;
    }
    rc = run_points(&run, &what, &summary);
    if (rc == ERR_INTERRUPTED) {
        int stored = summary.computed + summary.skipped;
        rc = err_set(ERR_INTERRUPTED,
                     "%s; %d of %d points are done, the same command goes on from there",
                     err_text(), stored, run.experiment.point_count);
    }
    if (rc)
        goto out;
    log_note("%s: %d points computed, %d were there already, %d failed, %d left; database %s",
             run.experiment.name, summary.computed, summary.skipped, summary.failed, summary.left,
             line->global.database);
    TRY(print_results(line, &run, &summary));
    if (summary.failed)
        rc = err_set(
            ERR_NUMERIC,
            "%d of %d points failed: `bitbench table %s` says why; run again to retry them",
            summary.failed, run.experiment.point_count, run.experiment.name);
out:
    run_close(&run);
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
    .letters = "n=dry_run",
    .list = {.name = "set",
             .value = "KEY=VALUE",
             .letter = 's',
             .help = "override a value of the spec, such as model=PATH or calibration.samples=64"},
    .description = "Every point of the spec's grid that is not yet in the database is computed and "
                   "stored in one transaction, so that "
                   "a run that was stopped, or killed, goes on where it was with the same command. "
                   "A point that fails is stored with "
                   "its message and does not stop the rest; it is tried again by the next run.",
    .examples =
        "bitbench run experiments/quickstart.yaml\n"
        "# the grid, the time and the memory, without running\n"
        "bitbench run experiments/embedded.yaml --dry-run\n"
        "# another model, fewer calibration segments\n"
        "bitbench run experiments/quickstart.yaml --set model=PATH --set calibration.samples=16\n",
    .run = run_command,
};
