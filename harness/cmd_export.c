/* bitbench export EXPERIMENT --out FILE */
#include "core/err.h"
#include "harness/command.h"
#include "harness/export.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct export_command {
    char out[OPTION_TEXT_SIZE];
};

static const struct option export_options[] = {
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = offsetof(struct export_command, out),
     .fallback = "",
     .choices = "FILE",
     .help = "what is written: a database (.db) or JSON lines (.jsonl); EXPERIMENT.db when not "
             "given"},
    {.name = NULL},
};

static int ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length > tail && strcmp(text + length - tail, end) == 0;
}

/* FILE, or the experiment's name with slashes made dashes. */
static int choose_path(const struct export_command *options, const char *experiment, char **path)
{
    if (*options->out)
        return mem_strdup(path, options->out);
    int rc = mem_printf(path, "%s.db", experiment);
    for (char *at = rc ? NULL : *path; at && *at; at++)
        if (*at == '/')
            *at = '-';
    return rc;
}

static int print_summary(const struct command_line *line, const char *experiment, const char *path,
                         const struct store_copied *copied)
{
    struct stat info = {0};
    int rc = stat(path, &info);
    if (line->global.json)
        return command_print_json(json_pack("{s:s, s:s, s:i, s:I}", "experiment", experiment,
                                            "file", path, "points", copied->added, "bytes",
                                            (json_int_t)info.st_size));
    if (rc == 0)
        printf("%s: %d points of %s, %lld bytes\n", path, copied->added, experiment,
               (long long)info.st_size);
    return 0;
}

static int run_export(const struct command_line *line)
{
    const char *experiment = line->arguments[0];
    struct store_copied copied = {0};
    struct store *store = NULL;
    char *path = NULL;
    int rc;
    TRY(choose_path(line->options, experiment, &path));
    if (!ends_with(path, ".db") && !ends_with(path, ".jsonl"))
        TRY(err_set(ERR_USAGE, "--out %s: its name must end with .db or .jsonl", path));
    TRY(store_open(&store, line->global.database, 0));
    TRY(ends_with(path, ".db") ? export_database(store, experiment, path, &copied)
                               : export_lines(store, experiment, path, &copied));
    TRY(print_summary(line, experiment, path, &copied));
out:
    store_close(store);
    strbuf_release(&copied.different);
    mem_free(path);
    return rc;
}

const struct command command_export = {
    .name = "export",
    .summary = "writes an experiment as one portable file",
    .arguments = "EXPERIMENT",
    .arguments_min = 1,
    .arguments_max = 1,
    .flags = COMMAND_JSON | COMMAND_DATABASE,
    .options = export_options,
    .options_size = sizeof(struct export_command),
    .letters = "o=out",
    .description =
        "The file holds the experiment's points with all that belongs to them, and nothing of "
        "other experiments. A .db is a database as any other: every command reads it with "
        "--database. A .jsonl has one JSON object a line "
        "for each point, with the rows of every table in it. `bitbench merge` reads both. A file "
        "that is there already is not overwritten.",
    .examples = "bitbench export quickstart --out quickstart.db\n"
                "bitbench table --database quickstart.db\n"
                "bitbench export quickstart --out quickstart.jsonl\n",
    .run = run_export,
};
