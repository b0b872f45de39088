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
     .choices = "PATH",
     .help = "the page, or the folder of several; results/EXPERIMENT.html when not given"},
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

/* *file = the experiment's name with its slashes made dashes, and ".html". */
static int name_page(const char *experiment, char **file)
{
    int rc;
    TRY(mem_printf(file, "%s.html", experiment));
    for (char *at = *file; *at; at++)
        if (*at == '/')
            *at = '-';
out:
    return rc;
}

/* One page; path is the caller's. */
static int make_page(struct store *store, const char *database, const char *experiment,
                     const char *path)
{
    struct strbuf page = {0};
    int rc;
    TRY(report_html(store, database, experiment, &page));
    TRY(write_page(path, &page));
out:
    strbuf_release(&page);
    return rc;
}

static int run_one(const struct command_line *line, struct store *store)
{
    const struct report_command *options = line->options;
    char *experiment = NULL, *file = NULL, *path = NULL;
    int rc;
    TRY(store_find_experiment(store, line->argument_count ? line->arguments[0] : NULL,
                              &experiment));
    TRY(name_page(experiment, &file));
    if (*options->out) {
        TRY(mem_strdup(&path, options->out));
    } else {
        TRY(file_make_directories("results"));
        TRY(file_join(&path, "results", file));
    }
    TRY(make_page(store, line->global.database, experiment, path));
    if (line->global.json)
        rc = command_print_json(json_pack("{s:s, s:s}", "experiment", experiment, "file", path));
    else
        puts(path);
out:
    mem_free(experiment);
    mem_free(file);
    mem_free(path);
    return rc;
}

/* A page each, and one that leads to them, in a folder. */
static int run_several(const struct command_line *line, struct store *store)
{
    const struct report_command *options = line->options;
    const char *folder = *options->out ? options->out : "results";
    char **files = NULL, *path = NULL;
    struct strbuf index = {0};
    json_t *pages = json_object();
    int rc;
    TRY(mem_calloc(&files, (size_t)line->argument_count, sizeof *files));
    TRY(file_make_directories(folder));
    for (int i = 0; i < line->argument_count; i++) {
        char *found = NULL;
        TRY(store_find_experiment(store, line->arguments[i], &found));
        mem_free(found);
        TRY(name_page(line->arguments[i], &files[i]));
    }
    for (int i = 0; i < line->argument_count; i++) {
        TRY(file_join(&path, folder, files[i]));
        TRY(make_page(store, line->global.database, line->arguments[i], path));
        if (!line->global.json)
            puts(path);
        json_object_set_new(pages, line->arguments[i], json_string(path));
        mem_free(path);
        path = NULL;
    }
    TRY(report_index(store, (const char *const *)line->arguments, (const char *const *)files,
                     line->argument_count, &index));
    TRY(file_join(&path, folder, "index.html"));
    TRY(write_page(path, &index));
    if (line->global.json)
        rc = command_print_json(json_pack("{s:O, s:s}", "pages", pages, "file", path));
    else
        puts(path);
out:
    for (int i = 0; files && i < line->argument_count; i++)
        mem_free(files[i]);
    mem_free(files);
    mem_free(path);
    strbuf_release(&index);
    json_decref(pages);
    return rc;
}

static int run_report(const struct command_line *line)
{
    struct store *store = NULL;
    int rc;
    TRY(store_open(&store, line->global.database, 0));
    TRY(line->argument_count > 1 ? run_several(line, store) : run_one(line, store));
out:
    store_close(store);
    return rc;
}

const struct command command_report = {
    .name = "report",
    .summary = "writes one HTML page about an experiment, to show to others",
    .arguments = "[EXPERIMENT ...]",
    .arguments_min = 0,
    .arguments_max = -1,
    .flags = COMMAND_JSON | COMMAND_DATABASE,
    .options = report_options,
    .options_size = sizeof(struct report_command),
    .letters = "o=out",
    .description =
        "The page holds the question, the results with what cannot be told from the best, the "
        "differences to full precision with corrected p, changed predictions and answers, the "
        "plots, where the bits of each method go, what happened inside the layers, exceptions, "
        "times, every setting with hashes, versions and machines, failed points, and the command "
        "that gives each point again. It is a single file that needs no network and no JavaScript "
        "(with it, tables can be sorted), light or dark as the reader's system is. Without gnuplot "
        "it has no plots, and says so. Several experiments become a page each and index.html, "
        "which leads to them.",
    .examples = "bitbench report quickstart\n"
                "bitbench report quickstart --out quickstart.html --database all.db\n"
                "bitbench report sweep-bits sweep-block-size --out pages\n",
    .run = run_report,
};
