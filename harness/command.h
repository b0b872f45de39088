/* Commands of the program. A command is one file cmd_NAME.c with one constant descriptor, listed in
 * commands.def; the descriptor drives parsing, --help, `bitbench help`, the shell completion and
 * the man page. A body looks like this:
 *
 *     struct plot_options { char out[OPTION_TEXT_SIZE]; int width; };
 *     static const struct option plot_table[] = {
 *         {.name = "out", .type = OPTION_TEXT, .offset = offsetof(struct plot_options, out),
 * .fallback = "plots-out", .choices = "FOLDER", .help = "where the pictures go"},
 *         ...,
 *         {.name = NULL},
 *     };
 *     static int run_plot(const struct command_line *line)
 *     {
 *         const struct plot_options *options = line->options;
 *         ... line->arguments[0], line->global.database, line->global.json ...
 *         return 0, or err_set(...): main.c prints the text and makes the exit code of it
 *     }
 *     const struct command command_plot = {.name = "plot", .summary = "draws pictures from the
 * database", ...};
 *
 * and commands.def gets the line COMMAND(plot). Results go to stdout; notes, warnings, progress to
 * stderr (core/log.h, core/progress.h). With --json one JSON object (or one a line) goes to stdout
 * and nothing else. */
#ifndef HARNESS_COMMAND_H
#define HARNESS_COMMAND_H

#include "core/options.h"

#include <stdbool.h>
#include <stddef.h>

struct strbuf;

enum command_flags {
    COMMAND_JSON = 1 << 0,     /* takes --json */
    COMMAND_DATABASE = 1 << 1, /* takes --database */
    COMMAND_COMPUTES = 1 << 2, /* takes --threads; the pool is started before run() */
    COMMAND_DATA = 1 << 3,   /* takes --data: the folder with data sets (datasets/data_folder.h) */
    COMMAND_STREAMS = 1 << 4 /* takes --memory and --spill-dir (harness/memory_limit.h) */
};

/* What positional arguments name, for the shell completion. */
enum argument_kind {
    ARGUMENT_NONE,
    ARGUMENT_FILE,
    ARGUMENT_FOLDER,
    ARGUMENT_SPEC, /* YAML files */
    ARGUMENT_METHOD,
    ARGUMENT_DATASET,
    ARGUMENT_COMMAND
};

struct global_options {
    int threads; /* 0: one for each core */
    bool quiet, json, help;
    char database[OPTION_TEXT_SIZE], data[OPTION_TEXT_SIZE];
    char memory[OPTION_TEXT_SIZE], spill_dir[OPTION_TEXT_SIZE];
};

struct command_line {
    const struct command *command;
    const char *words;   /* as a shell takes them: "bitbench run a.yaml --set 'model=my model'" */
    const void *options; /* command->options_size bytes, filled by the option table */
    struct global_options global;
    const char *const *arguments; /* positional ones; ends with NULL */
    int argument_count;
    const char *const *list; /* values of the repeatable option, in order; ends with NULL */
    int list_count;
};

struct command {
    const char *name;
    const char *summary;              /* one line, "draws pictures from the database" */
    const char *arguments;            /* as in the usage line: "SPEC", "[NAME]"; NULL: none */
    int arguments_min, arguments_max; /* how many; max -1: any number */
    enum argument_kind argument_kind;
    unsigned flags;               /* enum command_flags */
    const struct option *options; /* may be NULL. But for OPTION_CHOICE, `choices` is the word in
                                   * the usage: "PATH", "FOLDER", "SPEC", "METHOD", "DATASET" (these
                                   * complete accordingly), or any other */
    size_t options_size;
    const char *letters; /* short forms: "n=limit o=out"; NULL: none */
    struct {
        const char *name, *value, *help; /* "set", "KEY=VALUE", "one sentence" */
        char letter;                     /* 0: none */
    } list;                  /* one option that may be given repeatedly; name NULL: none */
    const char *description; /* paragraphs of plain text separated by an empty line; NULL: the
                                summary only */
    const char *examples; /* lines "bitbench plot --out pictures", each ended by a newline; a line
                           * that starts with # is a remark on the next */
    int (*run)(const struct command_line *line);
};

extern const struct command *const commands[];        /* ends with NULL */
const struct command *command_find(const char *name); /* NULL with err_set naming the nearest */

/* Parses and runs. Every error is returned with its text; nothing is printed about it here.
 * *misused (may be NULL) receives the command whose words were wrong, when they were; else NULL. */
int command_line_run(int argc, char **argv, const struct command **misused);

/* Prints the object to stdout, indented, and takes it over; NULL is answered with ERR_MEMORY. For
 * --json. */
int command_print_json(json_t *object);

/* The exit codes, in one place: 0 done; 1 failed; 2 wrong usage; 3 something needed is missing; 130
 * interrupted. */
int command_exit_code(int rc);

/* The options that this command takes beside its own: rows of global_option_table whose flag it
 * has. */
extern const struct option global_option_table[];
bool command_takes(const struct command *command, const struct option *global);
/* What they say takes effect; the options are borrowed until the command ends. */
int global_options_apply(const struct global_options *global);

/* Text made from the descriptors. */
int usage_help(const struct command *command, struct strbuf *out); /* NULL: the list of commands */
int usage_man(struct strbuf *out);
int usage_completion(struct strbuf *out);

/* "--limit N", "--[no-]table", "--format markdown|csv|latex": an option as the command line takes
 * it; and what it means, with what is allowed and the default where they say anything. Both append.
 */
int usage_option(const struct option *row, struct strbuf *out);
int usage_meaning(const struct option *table, const struct option *row, struct strbuf *out);
/* The short form of an option, or 0. */
char command_letter(const struct command *command, const char *option);

#endif
