/* bitbench table [EXPERIMENT] */
#include "core/err.h"
#include "harness/command.h"
#include "harness/table.h"

#include <stdio.h>

struct table_command {
    int format;
};

static const struct option table_options[] = {
    {.name = "format",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct table_command, format),
     .fallback = "markdown",
     .choices = "markdown|csv|latex|json",
     .help = "how the table is written; CSV and JSON have all digits"},
    {.name = NULL},
};

static int table_command(const struct command_line *line)
{
    const struct table_command *options = line->options;
    struct store *store = NULL;
    int rc, format = line->global.json ? TABLE_JSON : options->format;
    TRY(store_open(&store, line->global.database, 0));
    TRY(table_print(store, line->argument_count ? line->arguments[0] : NULL,
                    (enum table_format)format, stdout));
out:
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
        "when the database holds a single one.",
    .examples = "bitbench table quickstart\n"
                "# for a paper\n"
                "bitbench table quickstart --format latex\n",
    .run = table_command,
};
