#include "harness/command.h"

#include "core/err.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/nearest.h"
#include "core/pool.h"
#include "core/progress.h"
#include "linalg/blas_memory.h"
#include "linalg/matmul.h"

#include <stdio.h>
#include <string.h>

#define COMMAND(name) extern const struct command command_##name;
#include "harness/commands.def"
#undef COMMAND

#define COMMAND(name) &command_##name,
const struct command *const commands[] = {
#include "harness/commands.def"
    NULL,
};
#undef COMMAND

const struct command *command_find(const char *name)
{
    struct nearest nearest = {.word = name};
    for (int i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
        nearest_offer(&nearest, commands[i]->name);
    }
    if (nearest.best)
        err_set(ERR_USAGE, "unknown command '%.80s'; did you mean '%s'?", name, nearest.best);
    else
        err_set(ERR_USAGE, "unknown command '%.80s'; `bitbench help` lists them", name);
    return NULL;
}

char command_letter(const struct command *command, const char *option)
{
    static const char global_letters[] = "q=quiet h=help";
    const char *tables[] = {command->letters ? command->letters : "", global_letters};
    size_t length = strlen(option);
    for (int i = 0; i < 2; i++)
        for (const char *at = tables[i]; *at; at += strcspn(at, " "), at += strspn(at, " "))
            if (at[1] == '=' && strncmp(at + 2, option, length) == 0 &&
                (at[2 + length] == ' ' || !at[2 + length]))
                return at[0];
    if (command->list.name && strcmp(command->list.name, option) == 0)
        return command->list.letter;
    return 0;
}

/* ---- parsing ---- */

/* What a word of the command line may name. */
enum place { PLACE_OWN, PLACE_GLOBAL, PLACE_LIST };

struct parse {
    struct command_line *line;
    void *options;
    const char **arguments, **list;
    int argc;
    char **argv;
    int next; /* the word that comes next */
};

struct found {
    enum place place;
    const struct option *row; /* NULL for PLACE_LIST */
    bool negated;             /* --no-NAME */
};

static bool find_long(const struct command *command, const char *name, struct found *found)
{
    const struct option *row;
    *found = (struct found){.place = PLACE_OWN};
    if (command->list.name && name_equal(command->list.name, name)) {
        found->place = PLACE_LIST;
        return true;
    }
    for (int negated = 0; negated < 2; negated++) {
        const char *word = negated ? name + 3 : name;
        if (negated && strncmp(name, "no-", 3) != 0)
            break;
        found->negated = negated;
        row = command->options ? options_find(command->options, word) : NULL;
        found->place = row ? PLACE_OWN : PLACE_GLOBAL;
        if (!row && (row = options_find(global_option_table, word)) && !command_takes(command, row))
            row = NULL;
        found->row = row;
        if (row && (!negated || row->type == OPTION_BOOL))
            return true;
    }
    return false;
}

static int unknown_option(const struct command *command, const char *name)
{
    struct nearest nearest = {.word = name};
    for (const struct option *row = command->options; row && row->name; row++)
        nearest_offer(&nearest, row->name);
    if (command->list.name)
        nearest_offer(&nearest, command->list.name);
    for (const struct option *row = global_option_table; row->name; row++)
        if (command_takes(command, row))
            nearest_offer(&nearest, row->name);
    if (!nearest.best)
        return err_set(ERR_USAGE, "%s: unknown option --%.80s; `bitbench %s --help` lists them",
                       command->name, name, command->name);
    char best[80];
    snprintf(best, sizeof best, "%s", nearest.best);
    for (char *c = best; *c; c++)
        *c = *c == '_' ? '-' : *c;
    return err_set(ERR_USAGE, "%s: unknown option --%.80s; did you mean --%s?", command->name, name,
                   best);
}

/* The value of an option: behind its = or the next word. */
static int take_value(struct parse *parse, const char *usage, const char *inline_value,
                      const struct option *row, const char **value)
{
    int rc = 0;
    struct strbuf allowed = {0};
    *value = inline_value;
    if (!*value && parse->next < parse->argc && strncmp(parse->argv[parse->next], "--", 2) != 0)
        *value = parse->argv[parse->next++];
    if (*value)
        return 0;
    TRY(row ? options_allowed(row, &allowed)
            : strbuf_puts(&allowed, parse->line->command->list.value));
    rc = err_set(ERR_USAGE, "%s: %s: a value is missing: %s", parse->line->command->name, usage,
                 allowed.data);
out:
    strbuf_release(&allowed);
    return rc;
}

static int apply(struct parse *parse, const struct found *found, const char *usage,
                 const char *inline_value)
{
    const char *value = NULL;
    char where[120];
    struct command_line *line = parse->line;
    const struct option *row = found->row;
    int rc = 0;
    if (found->place != PLACE_LIST && row->type == OPTION_BOOL) {
        value = inline_value ? inline_value : "true";
        if (found->negated && inline_value)
            return err_set(ERR_USAGE, "%s: %s takes no value", line->command->name, usage);
        if (found->negated)
            value = "false";
    } else {
        TRY(take_value(parse, usage, inline_value, row, &value));
    }
    if (found->place == PLACE_LIST) {
        parse->list[line->list_count++] = value;
        return 0;
    }
    /* "--bits" for a row "bits"; the name is then not said twice. */
    snprintf(where, sizeof where, "--%s", row->name);
    for (char *c = where; *c; c++)
        *c = *c == '_' ? '-' : *c;
    if (found->place == PLACE_OWN)
        TRY(options_set(line->command->options, parse->options, row->name, value, where));
    else
        TRY(options_set(global_option_table, &line->global, row->name, value, where));
out:
    return rc;
}

static int parse_long(struct parse *parse, const char *word)
{
    char name[100], usage[104];
    struct found found;
    const char *equals = strchr(word, '=');
    size_t length = equals ? (size_t)(equals - word) : strlen(word);
    if (length >= sizeof name)
        return err_set(ERR_USAGE, "%s: unknown option --%.80s...", parse->line->command->name,
                       word);
    snprintf(name, sizeof name, "%.*s", (int)length, word);
    snprintf(usage, sizeof usage, "--%s", name);
    if (!find_long(parse->line->command, name, &found))
        return unknown_option(parse->line->command, name);
    return apply(parse, &found, usage, equals ? equals + 1 : NULL);
}

/* -q, -n 5, -n5, -qn5. */
static int parse_short(struct parse *parse, const char *word)
{
    const struct command *command = parse->line->command;
    for (; *word; word++) {
        struct found found = {.place = PLACE_LIST};
        char usage[3] = {'-', *word, '\0'};
        bool known = command->list.name && command->list.letter == *word;
        for (const struct option *row = command->options; !known && row && row->name; row++)
            if (command_letter(command, row->name) == *word) {
                known = true;
                found = (struct found){.place = PLACE_OWN, .row = row};
            }
        for (const struct option *row = global_option_table; !known && row->name; row++)
            if (command_letter(command, row->name) == *word && command_takes(command, row)) {
                known = true;
                found = (struct found){.place = PLACE_GLOBAL, .row = row};
            }
        if (!known)
            return err_set(ERR_USAGE, "%s: unknown option -%c; `bitbench %s --help` lists them",
                           command->name, *word, command->name);
        bool flag = found.place != PLACE_LIST && found.row->type == OPTION_BOOL;
        int rc = apply(parse, &found, usage, flag || !word[1] ? NULL : word + 1);
        if (rc || !flag)
            return rc;
    }
    return 0;
}

static int check_count(const struct command_line *line)
{
    const struct command *command = line->command;
    if (line->argument_count < command->arguments_min)
        return err_set(ERR_USAGE, "%s: an argument is missing; usage: bitbench %s %s [options]",
                       command->name, command->name, command->arguments);
    if (command->arguments_max >= 0 && line->argument_count > command->arguments_max)
        return err_set(ERR_USAGE,
                       "%s: unexpected argument '%.80s'; usage: bitbench %s %s%s[options]",
                       command->name, line->arguments[command->arguments_max], command->name,
                       command->arguments ? command->arguments : "", command->arguments ? " " : "");
    return 0;
}

static int parse_words(struct parse *parse)
{
    int rc = 0;
    bool only_arguments = false;
    while (parse->next < parse->argc) {
        const char *word = parse->argv[parse->next++];
        if (!only_arguments && strcmp(word, "--") == 0)
            only_arguments = true;
        else if (!only_arguments && word[0] == '-' && word[1] == '-')
            TRY(parse_long(parse, word + 2));
        else if (!only_arguments && word[0] == '-' && word[1])
            TRY(parse_short(parse, word + 1));
        else
            parse->arguments[parse->line->argument_count++] = word;
    }
    if (!parse->line->global.help)
        TRY(check_count(parse->line));
out:
    return rc;
}

/* ---- running ---- */

static int print_help(const struct command *command)
{
    struct strbuf text = {0};
    int rc = usage_help(command, &text);
    if (rc == 0)
        fputs(text.data, stdout);
    strbuf_release(&text);
    return rc;
}

static int dispatch(const struct command_line *line)
{
    int rc = 0;
    const struct command *command = line->command;
    if (line->global.help)
        return print_help(command);
    log_set_mode(line->global.quiet ? LOG_QUIET : LOG_NORMAL);
    progress_set_mode(line->global.json    ? PROGRESS_JSON
                      : line->global.quiet ? PROGRESS_QUIET
                                           : PROGRESS_AUTO);
    TRY(global_options_apply(&line->global));
    if (command->flags & COMMAND_COMPUTES) {
        matmul_init();
        TRY(pool_start(line->global.threads));
        TRY(blas_memory_reserve());
    }
    rc = command->run(line);
    progress_end();
    if (command->flags & COMMAND_COMPUTES)
        pool_stop();
out:
    return rc;
}

/* The word as a shell takes it. */
static int add_word(struct strbuf *line, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "%+,-./:=@_";
    int rc;
    if (*word && word[strspn(word, plain)] == '\0')
        return strbuf_printf(line, " %s", word);
    TRY(strbuf_puts(line, " '"));
    for (; *word; word++)
        TRY(*word == '\'' ? strbuf_puts(line, "'\\''") : strbuf_add(line, word, 1));
    TRY(strbuf_puts(line, "'"));
out:
    return rc;
}

/* The command's words are argv[0 .. argc - 1]. Until they are parsed, an error is theirs. */
static int run_words(const struct command *command, int argc, char **argv,
                     const struct command **misused)
{
    int rc;
    struct command_line line = {.command = command};
    struct parse parse = {.line = &line, .argc = argc, .argv = argv};
    struct strbuf words = {0};
    TRY(strbuf_printf(&words, "bitbench %s", command->name));
    for (int i = 0; i < argc; i++)
        TRY(add_word(&words, argv[i]));
    line.words = words.data;
    TRY(mem_calloc(&parse.arguments, (size_t)argc + 1, sizeof *parse.arguments));
    TRY(mem_calloc(&parse.list, (size_t)argc + 1, sizeof *parse.list));
    TRY(mem_calloc(&parse.options, command->options_size, 1));
    line.options = parse.options;
    line.arguments = parse.arguments;
    line.list = parse.list;
    TRY(options_defaults(global_option_table, &line.global));
    if (command->options)
        TRY(options_defaults(command->options, parse.options));
    if (misused)
        *misused = command;
    TRY(parse_words(&parse));
    if (misused)
        *misused = NULL;
    TRY(dispatch(&line));
out:
    strbuf_release(&words);
    mem_free(parse.arguments);
    mem_free(parse.list);
    mem_free(parse.options);
    return rc;
}

int command_line_run(int argc, char **argv, const struct command **misused)
{
    if (misused)
        *misused = NULL;
    /* `bitbench`, `bitbench -h` and `bitbench --version` are commands, too. */
    if (argc < 2)
        return print_help(NULL) ? ERR_MEMORY : err_set(ERR_USAGE, "a command is missing");
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return print_help(NULL);
    const char *name = strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0 ? "version"
                                                                                       : argv[1];
    if (name[0] == '-')
        return err_set(ERR_USAGE,
                       "%.80s: options come behind the command: bitbench COMMAND [options]", name);
    const struct command *command = command_find(name);
    return command ? run_words(command, argc - 2, argv + 2, misused) : ERR_USAGE;
}

int command_print_json(json_t *object)
{
    if (!object)
        return err_set(ERR_MEMORY, "out of memory: JSON");
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(object);
    return 0;
}

int command_exit_code(int rc)
{
    switch (rc) {
    case ERR_OK: return 0;
    case ERR_USAGE: return 2;
    case ERR_MISSING: return 3;
    case ERR_INTERRUPTED: return 130;
    default: return 1;
    }
}
