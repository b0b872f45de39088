/* bitbench table [EXPERIMENT] */
#include "core/err.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/paths.h"
#include "harness/table.h"

#include <stdio.h>

struct table_command {
    int format, seeds;
    char where[OPTION_TEXT_SIZE], show[OPTION_TEXT_SIZE];
    char rows[OPTION_TEXT_SIZE], columns[OPTION_TEXT_SIZE], value[OPTION_TEXT_SIZE];
    bool best, intervals, beside;
    bool bits, exceptions, layers, published, pareto, fields;
};

#define FLAG(word, meaning)                                                                        \
    {                                                                                              \
        .name = #word, .type = OPTION_BOOL, .offset = offsetof(struct table_command, word),        \
        .fallback = "false", .help = (meaning)                                                     \
    }
#define TEXT(word, kind, meaning)                                                                  \
    {                                                                                              \
        .name = #word, .type = OPTION_TEXT, .offset = offsetof(struct table_command, word),        \
        .fallback = "", .choices = (kind), .help = (meaning)                                       \
    }

static const struct option table_options[] = {
    {.name = "format",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct table_command, format),
     .fallback = "markdown",
     .choices = "markdown|csv|latex|json",
     .help = "how the table is written; CSV and JSON have all digits"},
    TEXT(where, "SQL", "only points for which this expression is true"),
    TEXT(show, "LIST", "the columns, separated by commas, in place of the usual ones"),
    TEXT(rows, "LIST", "a pivot: a line for each combination of these settings"),
    TEXT(columns, "LIST", "a column for each combination of these settings; with --rows"),
    TEXT(value, "LIST", "what stands in a pivot's cells; the first metric if not given"),
    FLAG(best, "of several points in one cell of a pivot the best, in place of an error"),
    FLAG(intervals, "in a pivot also 95 % intervals and standard errors"),
    {.name = "seeds",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct table_command, seeds),
     .fallback = "together",
     .choices = "together|apart",
     .help = "points that differ in the calibration seed alone: one line with mean and deviation, "
             "or a line each"},
    FLAG(beside, "the papers' numbers in columns beside ours, where both are of the same "
                 "experiment"),
    FLAG(published, "only the papers' numbers and ours, a line each pair"),
    FLAG(bits, "the ledger of bits: payload, scales, masks, ..., the rest of the file, and three "
               "totals"),
    FLAG(exceptions, "the ledger of exceptions: tensors that did not get what was asked"),
    FLAG(layers, "errors, condition numbers, salient shares, splits and drift, by kind of "
                 "projection and by block"),
    FLAG(pareto, "also which points are on the fronts of perplexity against bits and time, and how "
                 "far each method's front is from the others' (docs/statistics.md)"),
    FLAG(fields, "only the names that --where, --show, --rows and --columns may use"),
    {.name = NULL},
};

static const char *given(const char *text)
{
    return *text ? text : NULL;
}

/* The forms exclude each other; a pivot is asked for by --rows. */
static int choose_form(const struct table_command *o, enum table_form *form)
{
    const struct {
        bool asked;
        enum table_form form;
        const char *name;
    } forms[] = {{*o->rows != 0, TABLE_PIVOT, "--rows"},
                 {o->bits, TABLE_BITS, "--bits"},
                 {o->exceptions, TABLE_EXCEPTIONS, "--exceptions"},
                 {o->layers, TABLE_LAYERS, "--layers"},
                 {o->published, TABLE_PUBLISHED, "--published"},
                 {o->pareto, TABLE_PARETO, "--pareto"},
                 {o->fields, TABLE_FIELDS, "--fields"}};
    const char *first = NULL;
    *form = TABLE_RESULTS;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        if (!forms[i].asked)
            continue;
        if (first)
            return err_set(ERR_USAGE, "%s and %s are different tables: ask for one", first,
                           forms[i].name);
        first = forms[i].name;
        *form = forms[i].form;
    }
    if (*form != TABLE_PIVOT && (*o->columns || *o->value || o->best || o->intervals))
        return err_set(ERR_USAGE, "--columns, --value, --best and --intervals are of a pivot: name "
                                  "its lines with --rows");
    if (*form != TABLE_RESULTS && *o->show)
        return err_set(ERR_USAGE, "--show and %s are different tables: ask for one", first);
    if (*form != TABLE_RESULTS && *form != TABLE_PIVOT && o->beside)
        return err_set(ERR_USAGE, "--beside has no place in the table of %s", first);
    return 0;
}

static int print(struct store *store, const struct table_request *request)
{
    struct table_request results = *request;
    int rc = 0;
    if (request->form == TABLE_PARETO &&
        (request->format == TABLE_MARKDOWN || request->format == TABLE_LATEX)) {
        results.form = TABLE_RESULTS;
        TRY(table_answer(store, &results, stdout));
    }
    TRY(table_answer(store, request, stdout));
out:
    return rc;
}

static int table_command(const struct command_line *line)
{
    const struct table_command *options = line->options;
    struct table_request request = {.experiment = line->argument_count ? line->arguments[0] : NULL,
                                    .where = given(options->where),
                                    .show = given(options->show),
                                    .rows = given(options->rows),
                                    .columns = given(options->columns),
                                    .value = given(options->value),
                                    .best = options->best,
                                    .intervals = options->intervals,
                                    .seeds_apart = options->seeds == 1};
    struct store *store = NULL;
    char *path = NULL;
    int rc;
    request.format = line->global.json ? TABLE_JSON : (enum table_format)options->format;
    TRY(choose_form(options, &request.form));
    if (options->published || options->beside)
        TRY(paths_data(&path, "results/published.csv"));
    request.papers = path;
    TRY(store_open(&store, line->global.database, 0));
    TRY(print(store, &request));
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
    .letters = "w=where",
    .description =
        "Perplexities stand with their 95 % interval, accuracies with their standard error, and "
        "differences to full precision are paired by window or item. Values that were measured on "
        "different data, windows or rules never share a column. The best quantized point of a "
        "column is bold; a dagger marks those that cannot be told from it. The experiment may be "
        "left out when the database holds a single one.\n\n"
        "--where, --rows and --columns take SQL expressions over the points: options by their "
        "names, calibration.seed and the like, method, model, paper_bits, stored_bits, "
        "\"perplexity:kjv\" (in double quotes), or settings ->> '$.x'; --fields lists the names. "
        "--show and --value take quantities: paper_bits, marks_bits, stored_bits, file_bits, "
        "quantize_seconds, total_seconds, peak_memory, seeds, mean_accuracy (over the tasks; "
        "mean_accuracy:characters by that rule where a task has it); and of all metrics, or of one "
        "as in "
        "perplexity:kjv: perplexity, accuracy, deviation, ratio, difference, bits_per_byte, kl, "
        "same_top, flips, to_wrong, to_right, published; or such expressions. docs/results.md has "
        "more.\n\n"
        "With --published only those lines are printed in which one of the papers' numbers and one "
        "of ours are of the same model, method, settings, data set and rule (docs/published.md). "
        "CSV and JSON with --pareto are the fronts alone: a line for each point, perplexity and "
        "cost; with --layers a line for each layer.",
    .examples = "bitbench table quickstart\n"
                "# a few columns of some of the points\n"
                "bitbench table embedded --where \"method = 'gptq' AND bits <= 3\" "
                "--show stored_bits,perplexity,flips\n"
                "# perplexity by two settings, for a paper\n"
                "bitbench table embedded --where \"method = 'pb-llm' AND gptq AND group_size = -1 "
                "AND scale_bits = '32' AND follow = 'code'\" --rows low_frac "
                "--columns salient_metric --value perplexity:kjv --format latex\n"
                "# the best of each method for every number of bits\n"
                "bitbench table embedded --rows bits --columns method --best\n"
                "# where the bits go\n"
                "bitbench table embedded --bits\n"
                "# our figures beside the papers'\n"
                "bitbench table pb-llm-table1 --published\n",
    .run = table_command,
};
