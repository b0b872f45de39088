/* The completion script for bash, made from the descriptors. */
#include "core/err.h"
#include "core/mem.h"
#include "datasets/dataset.h"
#include "harness/command.h"
#include "methods/method.h"

#include <string.h>

/* Reads the words of the line by COMP_WORDS alone, so that it needs no library of completion
 * functions. "--name=value" is cut at the = by bash itself. */
static const char head[] =
    "# bash completion for bitbench: source this file, or put it into /etc/bash_completion.d\n"
    "_bitbench_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\"); }\n"
    "_bitbench_files() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "
    "\"$cur\"); }\n"
    "_bitbench_folders() { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d "
    "-- \"$cur\"); }\n"
    "_bitbench_specs() {\n"
    "    compopt -o filenames 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen -f -X '!*.yaml' -- \"$cur\"; compgen -d -- \"$cur\")\n"
    "}\n"
    "_bitbench() {\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} "
    "command=${COMP_WORDS[1]}\n"
    "    COMPREPLY=()\n"
    "    if [[ $cur == = ]]; then cur=; fi\n"
    "    if [[ $previous == = ]]; then previous=${COMP_WORDS[COMP_CWORD-2]}; fi\n"
    "    if [[ $COMP_CWORD -eq 1 ]]; then _bitbench_words \"$_bitbench_commands\"; return; fi\n";

static const char *kind_of_word(const char *word)
{
    static const char *const kinds[][2] = {{"PATH", "_bitbench_files"},
                                           {"FILE", "_bitbench_files"},
                                           {"FOLDER", "_bitbench_folders"},
                                           {"SPEC", "_bitbench_specs"},
                                           {"METHOD", "_bitbench_words \"$_bitbench_methods\""},
                                           {"DATASET", "_bitbench_words \"$_bitbench_datasets\""}};
    for (size_t i = 0; word && i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(word, kinds[i][0], strlen(kinds[i][0])) == 0)
            return kinds[i][1];
    return NULL;
}

/* What completes an option's value; nothing for flags. */
static int value_case(const struct command *command, const struct option *row, struct strbuf *out)
{
    int rc = 0;
    const char *action = row->type == OPTION_TEXT ? kind_of_word(row->choices) : NULL;
    char letter = command_letter(command, row->name);
    if (row->type == OPTION_BOOL)
        return 0;
    TRY(strbuf_puts(out, "        --"));
    for (const char *c = row->name; *c; c++)
        TRY(strbuf_add(out, *c == '_' ? "-" : c, 1));
    if (letter)
        TRY(strbuf_printf(out, "|-%c", letter));
    TRY(strbuf_puts(out, ") "));
    if (row->type == OPTION_CHOICE) {
        TRY(strbuf_puts(out, "_bitbench_words \""));
        for (const char *c = row->choices; *c; c++)
            TRY(strbuf_add(out, *c == '|' ? " " : c, 1));
        TRY(strbuf_puts(out, "\"; "));
    } else if (action) {
        TRY(strbuf_printf(out, "%s; ", action));
    }
    TRY(strbuf_puts(out, "return ;;\n"));
out:
    return rc;
}

static int option_word(const struct option *row, struct strbuf *out)
{
    int rc = 0, negatable = row->type == OPTION_BOOL && strcmp(row->name, "help") != 0;
    const char *names[] = {"--", "--no-"};
    for (int i = 0; i <= negatable; i++) {
        TRY(strbuf_printf(out, " %s", names[i]));
        for (const char *c = row->name; *c; c++)
            TRY(strbuf_add(out, *c == '_' ? "-" : c, 1));
    }
out:
    return rc;
}

static int command_case(const struct command *command, struct strbuf *out)
{
    static const char *const arguments[] = {
        [ARGUMENT_NONE] = ":",
        [ARGUMENT_FILE] = "_bitbench_files",
        [ARGUMENT_FOLDER] = "_bitbench_folders",
        [ARGUMENT_SPEC] = "_bitbench_specs",
        [ARGUMENT_METHOD] = "_bitbench_words \"$_bitbench_methods\"",
        [ARGUMENT_DATASET] = "_bitbench_words \"$_bitbench_datasets\"",
        [ARGUMENT_COMMAND] = "_bitbench_words \"$_bitbench_commands\"",
    };
    int rc;
    TRY(strbuf_printf(out, "    %s)\n        case $previous in\n", command->name));
    for (const struct option *row = command->options; row && row->name; row++)
        TRY(value_case(command, row, out));
    for (const struct option *row = global_option_table; row->name; row++)
        if (command_takes(command, row))
            TRY(value_case(command, row, out));
    if (command->list.name) {
        TRY(strbuf_printf(out, "        --%s", command->list.name));
        if (command->list.letter)
            TRY(strbuf_printf(out, "|-%c", command->list.letter));
        TRY(strbuf_puts(out, ") return ;;\n"));
    }
    TRY(strbuf_puts(out, "        esac\n        if [[ $cur == -* ]]; then _bitbench_words \""));
    size_t start = out->length;
    for (const struct option *row = command->options; row && row->name; row++)
        TRY(option_word(row, out));
    if (command->list.name)
        TRY(strbuf_printf(out, " --%s", command->list.name));
    for (const struct option *row = global_option_table; row->name; row++)
        if (command_takes(command, row))
            TRY(option_word(row, out));
    out->data[start] = ' ';
    TRY(strbuf_printf(out, "\"\n        else %s; fi ;;\n", arguments[command->argument_kind]));
out:
    return rc;
}

int usage_completion(struct strbuf *out)
{
    int rc;
    TRY(strbuf_puts(out, "_bitbench_commands=\""));
    for (int i = 0; commands[i]; i++)
        TRY(strbuf_printf(out, "%s%s", i ? " " : "", commands[i]->name));
    TRY(strbuf_puts(out, "\"\n_bitbench_methods=\""));
    for (int i = 0; methods[i]; i++)
        TRY(strbuf_printf(out, "%s%s", i ? " " : "", methods[i]->name));
    TRY(strbuf_puts(out, "\"\n_bitbench_datasets=\""));
    for (int i = 0; corpora[i]; i++)
        TRY(strbuf_printf(out, "%s%s", i ? " " : "", corpora[i]->name));
    for (int i = 0; tasks[i]; i++)
        TRY(strbuf_printf(out, " %s", tasks[i]->name));
    TRY(strbuf_puts(out, "\"\n"));
    TRY(strbuf_puts(out, head));
    TRY(strbuf_puts(out, "    case $command in\n"));
    for (int i = 0; commands[i]; i++)
        TRY(command_case(commands[i], out));
    TRY(strbuf_puts(out, "    esac\n}\ncomplete -F _bitbench bitbench\n"));
out:
    return rc;
}
