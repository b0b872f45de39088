/* bitbench plot [NAME] */
#include "core/err.h"
#include "core/log.h"
#include "harness/command.h"
#include "harness/plot.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct plot_command {
    char experiment[OPTION_TEXT_SIZE], out[OPTION_TEXT_SIZE], data[OPTION_TEXT_SIZE];
    int format;
    bool all;
};

static const struct option plot_options[] = {
    {.name = "experiment",
     .type = OPTION_TEXT,
     .offset = offsetof(struct plot_command, experiment),
     .fallback = "",
     .choices = "NAME",
     .help = "the experiment to draw; all of the database when not given"},
    {.name = "format",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct plot_command, format),
     .fallback = "svg",
     .choices = "svg|png|pdf",
     .help = "the kind of picture"},
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = offsetof(struct plot_command, out),
     .fallback = "results/plots",
     .choices = "FOLDER",
     .help = "where the pictures go"},
    {.name = "data",
     .type = OPTION_TEXT,
     .offset = offsetof(struct plot_command, data),
     .fallback = "",
     .choices = "PATH",
     .help = "the CSV of a plot that reads a file: the training log of training-loss"},
    {.name = "all",
     .type = OPTION_BOOL,
     .offset = offsetof(struct plot_command, all),
     .fallback = "false",
     .help = "every plot that has something to draw, which is also what happens without a NAME"},
    {.name = NULL},
};

static void report(void *context, const char *path, const char *reason)
{
    const int *json = context;
    if (!path) {
        log_note("not drawn: %s", reason);
        return;
    }
    if (!*json) {
        puts(path);
        return;
    }
    json_t *object = json_pack("{s:s}", "picture", path);
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    puts(text ? text : "{}");
    free(text);
    json_decref(object);
}

static int plot_command(const struct command_line *line)
{
    static const char *const formats[] = {"svg", "png", "pdf"};
    const struct plot_command *options = line->options;
    int json = line->global.json;
    const char *name = line->argument_count ? line->arguments[0] : NULL;
    const struct plot_request request = {.name = options->all ? NULL : name,
                                         .database = line->global.database,
                                         .experiment = *options->experiment ? options->experiment
                                                                            : NULL,
                                         .data = *options->data ? options->data : NULL,
                                         .format = formats[options->format],
                                         .folder = options->out};
    return plot_draw(&request, report, &json);
}

const struct command command_plot = {
    .name = "plot",
    .summary = "draws pictures of an experiment with gnuplot",
    .arguments = "[NAME]",
    .arguments_min = 0,
    .arguments_max = 1,
    .flags = COMMAND_JSON | COMMAND_DATABASE,
    .options = plot_options,
    .options_size = sizeof(struct plot_command),
    .letters = "e=experiment o=out",
    .description =
        "NAME is a plot of plots/plots.list, or all. The picture goes to "
        "FOLDER/EXPERIMENT-NAME.FORMAT, and its path is printed. A plot is a gnuplot script with "
        "its SQL on top; a new one needs the script and a line in plots.list.",
    .examples = "bitbench plot\n"
                "bitbench plot perplexity-bits --format png --out pictures\n"
                "bitbench plot training-loss --data model/embedded/training.csv\n",
    .run = plot_command,
};
