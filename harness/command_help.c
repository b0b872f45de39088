/* Help texts, made from the descriptors. */
#include "core/err.h"
#include "core/mem.h"
#include "core/text.h"
#include "harness/command.h"

#include <stdio.h>
#include <string.h>

enum { WIDTH = 100 };

static int dashed(struct strbuf *out, const char *name)
{
    int rc = 0;
    for (; *name; name++)
        TRY(strbuf_add(out, *name == '_' ? "-" : name, 1));
out:
    return rc;
}

int usage_option(const struct option *row, struct strbuf *out)
{
    static const char *const words[] = {
        [OPTION_INT] = "N", [OPTION_REAL] = "X", [OPTION_TEXT] = "TEXT"};
    int rc;
    bool on = row->type == OPTION_BOOL && row->fallback && strcmp(row->fallback, "true") == 0;
    TRY(strbuf_puts(out, on ? "--[no-]" : "--"));
    TRY(dashed(out, row->name));
    if (row->type == OPTION_CHOICE)
        TRY(strbuf_printf(out, " %s", strlen(row->choices) <= 24 ? row->choices : "WORD"));
    else if (row->type != OPTION_BOOL)
        TRY(strbuf_printf(out, " %s", row->choices ? row->choices : words[row->type]));
out:
    return rc;
}

int usage_meaning(const struct option *table, const struct option *row, struct strbuf *out)
{
    int rc;
    if (row->type != OPTION_BOOL && row->type != OPTION_TEXT)
        return options_meaning(table, row, out);
    TRY(strbuf_puts(out, row->help));
    if (row->type == OPTION_BOOL && strcmp(row->fallback, "true") == 0)
        TRY(strbuf_puts(out, " (the default)"));
    else if (row->type == OPTION_TEXT && row->fallback && row->fallback[0])
        TRY(strbuf_printf(out, " (default %s)", row->fallback));
out:
    return rc;
}

/* "-q, --quiet" or "    --limit N". */
static int left_column(const struct command *command, const struct option *row, struct strbuf *out)
{
    int rc;
    char letter = command_letter(command, row->name);
    out->length = 0;
    TRY(letter ? strbuf_printf(out, "  -%c, ", letter) : strbuf_puts(out, "      "));
    TRY(usage_option(row, out));
out:
    return rc;
}

struct columns {
    size_t width; /* of the left column */
    struct strbuf left, right;
};

static int add_row(struct columns *columns, struct strbuf *out)
{
    int rc;
    size_t used = text_columns(columns->left.data), indent = columns->width + 2;
    if (used + 2 > indent) {
        TRY(strbuf_printf(out, "%s\n%*s", columns->left.data, (int)indent, ""));
    } else {
        TRY(strbuf_printf(out, "%s%*s", columns->left.data, (int)(indent - used), ""));
    }
    TRY(text_wrap(out, columns->right.data, indent, indent, WIDTH));
    TRY(strbuf_puts(out, "\n"));
out:
    return rc;
}

static int option_rows(const struct command *command, const struct option *table, bool global,
                       struct strbuf *out)
{
    int rc = 0;
    struct columns columns = {.width = 26};
    for (const struct option *row = table; row && row->name; row++) {
        if (global && !command_takes(command, row))
            continue;
        TRY(left_column(command, row, &columns.left));
        columns.right.length = 0;
        TRY(usage_meaning(table, row, &columns.right));
        TRY(add_row(&columns, out));
    }
    if (!global && command->list.name) {
        char letter = command->list.letter;
        columns.left.length = columns.right.length = 0;
        TRY(letter ? strbuf_printf(&columns.left, "  -%c, ", letter)
                   : strbuf_puts(&columns.left, "      "));
        TRY(strbuf_printf(&columns.left, "--%s %s", command->list.name, command->list.value));
        TRY(strbuf_printf(&columns.right, "%s (may be given repeatedly)", command->list.help));
        TRY(add_row(&columns, out));
    }
out:
    strbuf_release(&columns.left);
    strbuf_release(&columns.right);
    return rc;
}

/* Examples, indented. */
static int examples(const char *text, struct strbuf *out)
{
    int rc = 0;
    while (*text) {
        size_t length = strcspn(text, "\n");
        TRY(strbuf_puts(out, "  "));
        TRY(strbuf_add(out, text, length));
        TRY(strbuf_puts(out, "\n"));
        text += length + (text[length] == '\n');
    }
out:
    return rc;
}

static int help_of(const struct command *command, struct strbuf *out)
{
    int rc;
    TRY(strbuf_printf(out, "Usage: bitbench %s%s%s [options]\n\nbitbench %s: %s.\n", command->name,
                      command->arguments ? " " : "", command->arguments ? command->arguments : "",
                      command->name, command->summary));
    if (command->description) {
        TRY(strbuf_puts(out, "\n"));
        TRY(text_wrap(out, command->description, 0, 0, WIDTH));
        TRY(strbuf_puts(out, "\n"));
    }
    if (command->options || command->list.name) {
        TRY(strbuf_puts(out, "\nOptions:\n"));
        TRY(option_rows(command, command->options, false, out));
    }
    TRY(strbuf_puts(out, "\nCommon options:\n"));
    TRY(option_rows(command, global_option_table, true, out));
    if (command->examples) {
        TRY(strbuf_puts(out, "\nExamples:\n"));
        TRY(examples(command->examples, out));
    }
out:
    return rc;
}

static int help_of_all(struct strbuf *out)
{
    int rc;
    TRY(strbuf_puts(
        out,
        "Usage: bitbench COMMAND [arguments] [options]\n\n"
        "Compares methods that quantize language models: same model, same texts, same rules.\n\n"
        "Commands:\n"));
    for (int i = 0; commands[i]; i++)
        TRY(strbuf_printf(out, "  %-10s %s\n", commands[i]->name, commands[i]->summary));
    TRY(strbuf_puts(
        out, "\n`bitbench COMMAND --help` tells a command's arguments, options and examples.\n\n"
             "Exit status: 0 done, 1 failed, 2 wrong usage, 3 something needed is missing,\n"
             "130 interrupted.\n"));
out:
    return rc;
}

int usage_help(const struct command *command, struct strbuf *out)
{
    return command ? help_of(command, out) : help_of_all(out);
}
