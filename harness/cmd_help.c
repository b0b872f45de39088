/* `bitbench help`: the list of commands, one command, the shell completion, the man page. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/command.h"

#include <stdio.h>

struct help_options {
    int completion; /* 0 none, 1 bash */
    bool man;
};

static const struct option help_table[] = {
    {.name = "completion",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct help_options, completion),
     .fallback = "none",
     .choices = "none|bash",
     .help = "print the completion script for a shell"},
    {.name = "man",
     .type = OPTION_BOOL,
     .offset = offsetof(struct help_options, man),
     .fallback = "false",
     .help = "print the man page, in roff"},
    {.name = NULL},
};

static int run_help(const struct command_line *line)
{
    int rc = 0;
    const struct help_options *options = line->options;
    const struct command *command = NULL;
    struct strbuf text = {0};
    if (line->argument_count && !(command = command_find(line->arguments[0])))
        return ERR_USAGE;
    if (options->man)
        TRY(usage_man(&text));
    else if (options->completion)
        TRY(usage_completion(&text));
    else
        TRY(usage_help(command, &text));
    fputs(text.data, stdout);
out:
    strbuf_release(&text);
    return rc;
}

const struct command command_help = {
    .name = "help",
    .summary = "explains the commands",
    .arguments = "[COMMAND]",
    .arguments_max = 1,
    .argument_kind = ARGUMENT_COMMAND,
    .options = help_table,
    .options_size = sizeof(struct help_options),
    .examples = "bitbench help run\n"
                "# completion in this shell\n"
                "source <(bitbench help --completion bash)\n"
                "# the man page\n"
                "bitbench help --man | man -l -\n",
    .run = run_help,
};
