/* bitbench plot [NAME] */
#include "core/err.h"
#include "core/log.h"
#include "harness/command.h"
#include "harness/plot_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct plot_command {
    char experiment[OPTION_TEXT_SIZE], out[OPTION_TEXT_SIZE], data[OPTION_TEXT_SIZE];
    char model[OPTION_TEXT_SIZE], layer[OPTION_TEXT_SIZE];
    struct calibration_spec calibration;
    int format;
    bool all, list;
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
    {.name = "list",
     .type = OPTION_BOOL,
     .offset = offsetof(struct plot_command, list),
     .fallback = "false",
     .help = "tell the plots there are, and draw none"},
    {.name = "model",
     .type = OPTION_TEXT,
     .offset = offsetof(struct plot_command, model),
     .fallback = "embedded",
     .choices = "PATH",
     .help = "weight-histogram: the model, as in a spec"},
    {.name = "layer",
     .type = OPTION_TEXT,
     .offset = offsetof(struct plot_command, layer),
     .fallback = "",
     .choices = "BLOCK.NAME",
     .help = "weight-histogram: the matrix, such as 1.mlp.down_proj"},
#define FIELD(name) offsetof(struct plot_command, calibration.name)
#define NAME(text)  "calibration." text
#include "harness/calibration_rows.def"
#undef FIELD
#undef NAME
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

/* The plots of plots.list, one a line. */
static int print_list(bool json)
{
    struct plot_list list;
    int rc;
    TRY(plot_list_load(&list));
    for (int i = 0; i < list.count && rc == 0; i++) {
        const struct plot_entry *entry = &list.entries[i];
        if (json)
            rc = command_print_json(json_pack("{s:s, s:s, s:s}", "name", entry->name, "source",
                                              entry->source, "what", entry->what));
        else
            printf("%-22s  %s\n", entry->name, entry->what);
    }
    plot_list_release(&list);
out:
    return rc;
}

static int plot_command(const struct command_line *line)
{
    static const char *const formats[] = {"svg", "png", "pdf"};
    const struct plot_command *options = line->options;
    int json = line->global.json;
    const char *name = line->argument_count ? line->arguments[0] : NULL;
    const struct weight_histogram weights = {.model = options->model,
                                             .layer = options->layer,
                                             .calibration = &options->calibration,
                                             .options = line->list,
                                             .option_count = line->list_count};
    const struct plot_request request = {.name = options->all ? NULL : name,
                                         .database = line->global.database,
                                         .experiment = *options->experiment ? options->experiment
                                                                            : NULL,
                                         .data = *options->data ? options->data : NULL,
                                         .weights = *options->layer ? &weights : NULL,
                                         .format = formats[options->format],
                                         .folder = options->out};
    return options->list ? print_list(json) : plot_draw(&request, report, &json);
}

const struct command command_plot = {
    .name = "plot",
    .summary = "draws pictures of an experiment with gnuplot",
    .arguments = "[NAME]",
    .arguments_min = 0,
    .arguments_max = 1,
    .flags = COMMAND_JSON | COMMAND_DATABASE | COMMAND_COMPUTES,
    .options = plot_options,
    .options_size = sizeof(struct plot_command),
    .letters = "e=experiment o=out m=model",
    .list = {.name = "option",
             .value = "KEY=VALUE",
             .help = "weight-histogram: an option of billm, such as block_size=64"},
    .description =
        "NAME is a plot of plots/plots.list, or all. The picture goes to "
        "FOLDER/EXPERIMENT-NAME.FORMAT, and its path is printed. A plot is a gnuplot script with "
        "its SQL on top; a new one needs the script and a line in plots.list.\n\n"
        "All but two read the database and nothing else. training-loss reads a log; "
        "weight-histogram computes what BiLLM does to one matrix: --layer names it, and the "
        "options of calibration are as those of quantize.",
    .examples = "bitbench plot\n"
                "bitbench plot perplexity-bits --format png --out pictures\n"
                "bitbench plot training-loss --data model/embedded/training.csv\n"
                "bitbench plot weight-histogram --model embedded --layer 1.mlp.down_proj\n",
    .run = plot_command,
};
