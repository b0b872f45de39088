/* bitbench report [EXPERIMENT] */
#include "core/err.h"
#include "core/file.h"
#include "harness/command.h"
#include "harness/report.h"
#include "harness/store_internal.h"

#include <jansson.h>
#include <stdio.h>

struct report_command {
    char out[OPTION_TEXT_SIZE];
};

static const struct option report_options[] = {
    {.name = "out",
     .type = OPTION_TEXT,
     .offset = offsetof(struct report_command, out),
     .fallback = "",
     .choices = "FILE",
     .help = "the page; results/EXPERIMENT.html when not given"},
    {.name = NULL},
};

static int write_page(const char *path, const struct strbuf *page)
{
    struct file_writer writer = {0};
    int rc;
    TRY(file_write_begin(&writer, path));
    TRY(file_write(&writer, page->data, page->length));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    return rc;
}

/* FILE, or a name below results/, with the slashes of the experiment's made dashes. */
static int choose_path(const struct report_command *options, const char *experiment, char **path)
{
    int rc;
    if (*options->out)
        return mem_strdup(path, options->out);
    TRY(file_make_directories("results"));
    TRY(mem_printf(path, "results/%s.html", experiment));
    for (char *at = *path + sizeof "results"; *at; at++)
        if (*at == '/')
            *at = '-';
out:
    return rc;
}

static int run_report(const struct command_line *line)
{
    struct store *store = NULL;
    struct strbuf page = {0};
    char *experiment = NULL, *path = NULL;
    int rc;
    TRY(store_open(&store, line->global.database, 0));
    TRY(store_find_experiment(store, line->argument_count ? line->arguments[0] : NULL,
                              &experiment));
    TRY(report_html(store, line->global.database, experiment, &page));
    TRY(choose_path(line->options, experiment, &path));
    TRY(write_page(path, &page));
    if (line->global.json)
        rc = command_print_json(json_pack("{s:s, s:s, s:I}", "experiment", experiment, "file", path,
                                          "bytes", (json_int_t)page.length));
    else
        puts(path);
out:
    store_close(store);
    strbuf_release(&page);
    mem_free(experiment);
    mem_free(path);
    return rc;
}

const struct command command_report = {
    .name = "report",
    .summary = "writes one HTML page about an experiment, to show to others",
    .arguments = "[EXPERIMENT]",
    .arguments_min = 0,
    .arguments_max = 1,
    .flags = COMMAND_JSON | COMMAND_DATABASE,
    .options = report_options,
    .options_size = sizeof(struct report_command),
    .letters = "o=out",
    .description =
        "The page holds the question, the results with what cannot be told from the best, the "
        "differences to full precision with corrected p, the plots, where the bits of each method "
        "go, every setting with hashes, versions and machines, failed points, and the command that "
        "gives each point again. It is a single file that needs no network and no JavaScript, "
        "light or dark as the reader's system is. Without gnuplot it has no plots, and says so.",
    .examples = "bitbench report quickstart\n"
                "bitbench report quickstart --out quickstart.html --database all.db\n",
    .run = run_report,
};
