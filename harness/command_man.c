/* The man page, in roff, made from the descriptors. */
#include "core/err.h"
#include "core/mem.h"
#include "core/version.h"
#include "harness/command.h"

#include <string.h>

/* Text as roff: a backslash, a dash that is no hyphen, and a dot or quote that would begin a
 * request. */
static int roff(struct strbuf *out, const char *text)
{
    int rc = 0, start = out->length == 0 || out->data[out->length - 1] == '\n';
    for (; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            TRY(strbuf_puts(out, "\\&"));
        if (*text == '\\')
            TRY(strbuf_puts(out, "\\e"));
        else if (*text == '-')
            TRY(strbuf_puts(out, "\\-"));
        else if (*text == '\n' && text[1] == '\n')
            TRY(strbuf_puts(out, "\n.PP"));
        else
            TRY(strbuf_add(out, text, 1));
        start = *text == '\n';
    }
out:
    return rc;
}

static int man_row(const struct command *command, const struct option *table,
                   const struct option *row, struct strbuf *out)
{
    int rc;
    struct strbuf text = {0};
    char letter = command ? command_letter(command, row->name) : 0;
    TRY(usage_option(row, &text));
    TRY(strbuf_puts(out, ".TP\n.B "));
    if (letter)
        TRY(strbuf_printf(out, "\\-%c, ", letter));
    TRY(roff(out, text.data));
    TRY(strbuf_puts(out, "\n"));
    text.length = 0;
    TRY(usage_meaning(table, row, &text));
    TRY(roff(out, text.data));
    TRY(strbuf_puts(out, ".\n"));
out:
    strbuf_release(&text);
    return rc;
}

static int man_examples(const char *text, struct strbuf *out)
{
    int rc;
    TRY(strbuf_puts(out, ".PP\n.nf\n"));
    TRY(roff(out, text));
    TRY(strbuf_puts(out, ".fi\n"));
out:
    return rc;
}

static int man_command(const struct command *command, struct strbuf *out)
{
    int rc;
    TRY(strbuf_printf(out, ".SS bitbench %s ", command->name));
    TRY(roff(out, command->arguments ? command->arguments : ""));
    TRY(strbuf_puts(out, "\n"));
    TRY(roff(out, command->summary));
    TRY(strbuf_puts(out, ".\n"));
    if (command->description) {
        TRY(strbuf_puts(out, ".PP\n"));
        TRY(roff(out, command->description));
        TRY(strbuf_puts(out, "\n"));
    }
    for (const struct option *row = command->options; row && row->name; row++)
        TRY(man_row(command, command->options, row, out));
    if (command->list.name) {
        TRY(strbuf_puts(out, ".TP\n.B "));
        if (command->list.letter)
            TRY(strbuf_printf(out, "\\-%c, ", command->list.letter));
        TRY(strbuf_printf(out, "\\-\\-%s %s\n", command->list.name, command->list.value));
        TRY(roff(out, command->list.help));
        TRY(strbuf_puts(out, " (may be given repeatedly).\n"));
    }
    bool some = false;
    for (const struct option *row = global_option_table; row->name; row++) {
        if (!command_takes(command, row) || strcmp(row->name, "help") == 0 ||
            strcmp(row->name, "quiet") == 0)
            continue;
        TRY(strbuf_puts(out, some ? ", " : ".PP\nAlso takes "));
        struct strbuf usage = {0};
        rc = usage_option(row, &usage);
        if (rc == 0)
            rc = roff(out, usage.data);
        strbuf_release(&usage);
        TRY(rc);
        some = true;
    }
    if (some)
        TRY(strbuf_puts(out, ".\n"));
    if (command->examples)
        TRY(man_examples(command->examples, out));
out:
    return rc;
}

static const char top[] =
    ".TH BITBENCH 1 \"\" \"bitbench " BITBENCH_VERSION "\" \"User Commands\"\n"
    ".SH NAME\nbitbench \\- compares methods that quantize language models\n"
    ".SH SYNOPSIS\n.B bitbench\n.I COMMAND\n[arguments] [options]\n"
    ".SH DESCRIPTION\n"
    "bitbench quantizes the linear layers of transformer language models by the methods of the "
    "literature, block after "
    "block and with the same calibration, measures perplexity and the accuracy on "
    "multiple\\-choice questions, counts "
    "the bits that are really stored, and records everything in an SQLite database, from which "
    "tables and plots are "
    "made. An experiment is a YAML file that lists models, texts and methods; a list of values "
    "means a grid. A run that "
    "was stopped, in whatever way, goes on where it stopped when it is started again.\n"
    ".PP\nOptions come behind the command, as \\-\\-name value or \\-\\-name=value; \\-\\- ends "
    "them. "
    "Flags are negated by \\-\\-no\\-name.\n";

static const char bottom[] =
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nDone.\n"
    ".TP\n.B 1\nFailed: a file is not what it claims to be, the system refused a read or a write, "
    "numbers are not finite, "
    "another run holds the database, or a point of the run failed.\n"
    ".TP\n.B 2\nWrong usage: an unknown command, option or key, or a bad value.\n"
    ".TP\n.B 3\nSomething that is needed is missing: a file, a package, a tensor.\n"
    ".TP\n.B 130\nInterrupted, by Ctrl\\-C or a signal. Finished points are in the database.\n"
    ".SH ENVIRONMENT\n"
    ".TP\n.B OPENBLAS_CORETYPE\nThe kernel set of OpenBLAS. When it is not set, and the library's "
    "own choice is worse than what "
    "the CPU can do, bitbench sets it and executes itself once more.\n"
    ".TP\n.B BITBENCH_DATA\nThe folder of the program's own data (experiments, models, plots).\n"
    ".TP\n.B TERM\nWith dumb, progress is shown as plain lines.\n"
    ".SH FILES\n"
    ".TP\n.I results/bitbench.db\nThe default database.\n"
    ".TP\n.I experiments/*.yaml\nExperiments that come with the program.\n"
    ".SH SEE ALSO\n.BR sqlite3 (1),\n.BR gnuplot (1)\n";

int usage_man(struct strbuf *out)
{
    int rc;
    TRY(strbuf_puts(out, top));
    TRY(strbuf_puts(out, ".SH OPTIONS OF ALL COMMANDS\n"));
    for (const struct option *row = global_option_table; row->name; row++)
        TRY(man_row(commands[0], global_option_table, row, out));
    TRY(strbuf_puts(out, ".SH COMMANDS\n"));
    for (int i = 0; commands[i]; i++)
        TRY(man_command(commands[i], out));
    TRY(strbuf_puts(out, bottom));
out:
    return rc;
}
