/* Options that belong to the process and not to one command. */
#include "datasets/data_folder.h"
#include "harness/command.h"
#include "harness/memory_limit.h"

#define FIELD(name) offsetof(struct global_options, name)
const struct option global_option_table[] = {
    {.name = "threads",
     .type = OPTION_INT,
     .offset = FIELD(threads),
     .fallback = "0",
     .low = 0,
     .high = 1024,
     .help = "threads to compute with; 0: one for each core. Results do not depend on it"},
    {.name = "database",
     .type = OPTION_TEXT,
     .offset = FIELD(database),
     .fallback = "results/bitbench.db",
     .choices = "PATH",
     .help = "the SQLite database"},
    {.name = "data",
     .type = OPTION_TEXT,
     .offset = FIELD(data),
     .fallback = "",
     .choices = "FOLDER",
     .help = "the folder with wikitext2, ptb, c4 and the zero-shot tasks (docs/datasets.md)"},
    {.name = "memory",
     .type = OPTION_TEXT,
     .offset = FIELD(memory),
     .fallback = "",
     .choices = "SIZE",
     .help = "memory to keep to, such as 12G; hidden states that do not fit go to a file. Without "
             "it the spec's, or three quarters of what there is. Results do not depend on it"},
    {.name = "spill_dir",
     .type = OPTION_TEXT,
     .offset = FIELD(spill_dir),
     .fallback = "",
     .choices = "FOLDER",
     .help = "where they go; without it $TMPDIR, or /var/tmp"},
    {.name = "json",
     .type = OPTION_BOOL,
     .offset = FIELD(json),
     .fallback = "false",
     .help = "JSON on standard output instead of text"},
    {.name = "quiet",
     .type = OPTION_BOOL,
     .offset = FIELD(quiet),
     .fallback = "false",
     .help = "no progress and no notes; warnings and errors stay"},
    {.name = "help",
     .type = OPTION_BOOL,
     .offset = FIELD(help),
     .fallback = "false",
     .help = "this text"},
    {.name = NULL},
};

bool command_takes(const struct command *command, const struct option *global)
{
    unsigned needed = global->offset == FIELD(threads)    ? COMMAND_COMPUTES
                      : global->offset == FIELD(database) ? COMMAND_DATABASE
                      : global->offset == FIELD(json)     ? COMMAND_JSON
                      : global->offset == FIELD(data)     ? COMMAND_DATA
                      : global->offset == FIELD(memory) || global->offset == FIELD(spill_dir)
                          ? COMMAND_STREAMS
                          : 0;
    return (command->flags & needed) == needed;
}

int global_options_apply(const struct global_options *global)
{
    int rc = data_folder_set(global->data);
    memory_set_spill_folder(global->spill_dir);
    return rc ? rc : memory_limit_from_command_line(global->memory, "--memory");
}
