/* bitbench status [SPEC] */
#include "core/err.h"
#include "core/file.h"
#include "core/progress.h"
#include "harness/command.h"
#include "harness/status.h"
#include "harness/store_internal.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LEFT_SHOWN = 8 };

static void print_writer(const char *database, const struct store_writer *writer)
{
    if (!writer->there) {
        printf("%s: no run is writing\n", database);
        return;
    }
    printf("%s: process %ld is writing since %s", database, writer->process, writer->since);
    if (*writer->experiment)
        printf(", now %s: ", writer->experiment);
    for (const char *c = writer->label; *writer->experiment && *c; c++)
        printf(*c == '\n' ? "; " : "%c", *c);
    printf("\n");
}

static void print_left(const struct status *status)
{
    int shown = 0;
    for (int i = 0; i < status->count; i++)
        if (status->points[i].state == POINT_RUNNING)
            printf("  running %s\n", status->points[i].label);
    for (int i = 0; i < status->count; i++)
        if (status->points[i].state == POINT_LEFT && shown++ < LEFT_SHOWN)
            printf("  left %s\n", status->points[i].label);
    if (shown > LEFT_SHOWN)
        printf("  left, too: %d more\n", shown - LEFT_SHOWN);
}

static void print_status(const struct status *status)
{
    char duration[32];
    printf("\n%s: %d", status->name, status->done);
    if (status->left_known)
        printf(" of %d", status->count);
    printf(" points done, %d failed", status->failed);
    if (!status->left_known)
        printf("; its spec %s cannot be read, so what is left is not known", status->path);
    else
        printf(", %d left", status->left);
    if (status->running)
        printf(", %d running", status->running);
    if ((status->left || status->running) && !isnan(status->seconds_left)) {
        progress_duration(status->seconds_left, duration);
        printf(", about %s by the finished ones", duration);
    }
    printf("\n");
    if (status->changed)
        printf(
            "  %s is not as it was at the last run: the next run computes anew what is changed\n",
            status->path);
    for (int i = 0; i < status->count; i++)
        if (status->points[i].state == POINT_FAILED)
            printf("  failed %s: %s\n", status->points[i].label, status->points[i].error);
    print_left(status);
}

static json_t *seconds_or_null(double seconds)
{
    return isnan(seconds) ? json_null() : json_real(seconds);
}

static json_t *status_object(const struct status *status)
{
    static const char *const names[] = {"done", "failed", "left", "running"};
    json_t *points = json_array();
    for (int i = 0; i < status->count; i++) {
        const struct status_point *p = &status->points[i];
        json_t *point = json_pack("{s:s, s:s, s:s, s:s, s:o}", "label", p->label, "model", p->model,
                                  "method", p->method, "state", names[p->state], "seconds",
                                  seconds_or_null(p->seconds));
        if (point && *p->id)
            json_object_set_new(point, "id", json_string(p->id));
        if (point && p->state == POINT_FAILED)
            json_object_set_new(point, "error", json_string(p->error));
        json_array_append_new(points, point);
    }
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:o, s:b, s:o, s:o}", "name", status->name, "title",
        status->title, "spec", status->path, "done", status->done, "failed", status->failed, "left",
        status->left_known ? json_integer(status->left) : json_null(), "spec_changed",
        status->changed, "seconds_left",
        status->left_known ? seconds_or_null(status->seconds_left) : json_null(), "points", points);
}

static json_t *writer_object(const struct store_writer *writer)
{
    if (!writer->there)
        return json_null();
    return json_pack("{s:I, s:s, s:s, s:s}", "process", (json_int_t)writer->process, "since",
                     writer->since, "experiment", writer->experiment, "point", writer->label);
}

struct status_command {
    const struct command_line *line;
    struct store *store; /* NULL: there is no database yet */
    struct store_writer writer;
    json_t *experiments; /* NULL: text */
    struct arena arena;
};

static int show(struct status_command *command, const char *name, const struct experiment *spec)
{
    struct status status;
    int rc;
    TRY(status_load(&status, command->store, name, spec, &command->arena));
    status_mark_running(&status, &command->writer);
    if (!command->experiments)
        print_status(&status);
    else if (json_array_append_new(command->experiments, status_object(&status)) != 0)
        rc = err_set(ERR_MEMORY, "out of memory: the state of %s as JSON", name);
out:
    return rc;
}

/* An experiment of the database, with the spec that it was made from where that is still there. */
static int show_stored(struct status_command *command, const char *name)
{
    struct experiment spec = {0};
    struct status head;
    int rc;
    TRY(status_load(&head, command->store, name, NULL, &command->arena));
    int found = *head.path &&
                spec_load(&spec, head.path, command->line->list, command->line->list_count) == 0 &&
                strcmp(spec.name, name) == 0;
    TRY(show(command, name, found ? &spec : NULL));
out:
    experiment_release(&spec);
    return rc;
}

static int show_all(struct status_command *command)
{
    struct strbuf names = {0};
    int rc;
    TRY(store_experiments(command->store, NULL, &names));
    for (const char *name = names.data; name < names.data + names.length; name += strlen(name) + 1)
        TRY(show_stored(command, name));
out:
    strbuf_release(&names);
    return rc;
}

/* A spec, or the name of an experiment of the database. */
static int show_one(struct status_command *command, const char *what)
{
    struct experiment spec = {0};
    char *name = NULL;
    int rc;
    if (!file_exists(what) && command->store &&
        store_find_experiment(command->store, what, &name) == 0) {
        rc = show_stored(command, name);
        goto out;
    }
    TRY(spec_load(&spec, what, command->line->list, command->line->list_count));
    TRY(show(command, spec.name, &spec));
out:
    experiment_release(&spec);
    mem_free(name);
    return rc;
}

static int run_status(const struct command_line *line)
{
    struct status_command command = {.line = line};
    int rc;
    const char *what = line->argument_count ? line->arguments[0] : NULL;
    if (!what || file_exists(line->global.database))
        TRY(store_open(&command.store, line->global.database, 0));
    store_find_writer(line->global.database, &command.writer);
    if (line->global.json)
        command.experiments = json_array();
    else
        print_writer(line->global.database, &command.writer);
    TRY(what ? show_one(&command, what) : show_all(&command));
    if (line->global.json)
        rc = command_print_json(json_pack("{s:s, s:o, s:O}", "database", line->global.database,
                                          "writer", writer_object(&command.writer), "experiments",
                                          command.experiments));
out:
    json_decref(command.experiments);
    store_close(command.store);
    arena_release(&command.arena);
    return rc;
}

const struct command command_status = {
    .name = "status",
    .summary = "tells what of an experiment is done, running, failed and left",
    .arguments = "[SPEC]",
    .arguments_min = 0,
    .arguments_max = 1,
    .argument_kind = ARGUMENT_SPEC,
    .flags = COMMAND_JSON | COMMAND_DATABASE,
    .list = {.name = "set",
             .value = "KEY=VALUE",
             .letter = 's',
             .help = "the same overrides of the spec that the run has"},
    .description =
        "SPEC is a spec, or the name of an experiment of the database; without it every experiment "
        "of the database is told, its spec looked for where it was. Also while a run writes: then "
        "its process stands there, since when, and at which points it is. The time that is left is "
        "the mean of the finished points of the same method, or of all where there are none. "
        "Failed points are tried again by the next run.",
    .examples = "bitbench status\n"
                "bitbench status experiments/quickstart.yaml\n"
                "bitbench status quickstart --json\n",
    .run = run_status,
};
