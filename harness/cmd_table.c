/* bitbench table [EXPERIMENT] */
#include "core/err.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/paths.h"
#include "harness/table.h"
#include "harness/table_pareto.h"

#include <stdio.h>

struct table_command {
    int format;
    bool published, pareto;
};

static const struct option table_options[] = {
    {.name = "format",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct table_command, format),
     .fallback = "markdown",
     .choices = "markdown|csv|latex|json",
     .help = "how the table is written; CSV and JSON have all digits"},
    {.name = "published",
     .type = OPTION_BOOL,
     .offset = offsetof(struct table_command, published),
     .fallback = "false",
     .help = "the papers' numbers and ours beside them, where both are of the same experiment"},
    {.name = "pareto",
     .type = OPTION_BOOL,
     .offset = offsetof(struct table_command, pareto),
     .fallback = "false",
     .help = "also which points are on the fronts of perplexity against bits and time, and how far "
             "each method's front is from that of all (docs/statistics.md)"},
    {.name = NULL},
};

static int table_command(const struct command_line *line)
{
    const struct table_command *options = line->options;
    const char *experiment = line->argument_count ? line->arguments[0] : NULL;
    struct store *store = NULL;
    char *path = NULL;
    int rc;
    enum table_format format = line->global.json ? TABLE_JSON : (enum table_format)options->format;
    if (options->published)
        TRY(paths_data(&path, "results/published.csv"));
    TRY(store_open(&store, line->global.database, 0));
    if (path)
        TRY(table_print_published(store, experiment, path, format, stdout));
    else if (!options->pareto || format == TABLE_MARKDOWN || format == TABLE_LATEX)
        TRY(table_print(store, experiment, format, stdout));
    if (options->pareto)
        TRY(table_print_pareto(store, experiment, format, stdout));
out:
    mem_free(path);
    store_close(store);
    return rc;
}

const struct command command_table = {
    .name = "table",
    .summary = "prints the results of an experiment as a table",
    .arguments = "[EXPERIMENT]",
    .arguments_min = 0,
    .arguments_max = 1,
    .flags = COMMAND_JSON | COMMAND_DATABASE,
    .options = table_options,
    .options_size = sizeof(struct table_command),
    .description =
        "Perplexities stand with their 95 % interval, accuracies with their standard error, and "
        "differences to full precision are paired by window or item. Values that were measured on "
        "different data, windows or rules never share a column. The experiment may be left out "
        "when the database holds a single one. With --published only those lines are printed in "
        "which one of the papers' numbers and one of ours are of the same model, method, settings, "
        "data set and rule (docs/published.md). "
        "CSV and JSON with --pareto are the fronts alone: a line for each point, perplexity and "
        "cost.",
    .examples = "bitbench table quickstart\n"
                "# our figures beside the papers'\n"
                "bitbench table pb-llm-table1 --published\n"
                "# for a paper\n"
                "bitbench table quickstart --format latex\n",
    .run = table_command,
};
