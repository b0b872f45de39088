/* `bitbench methods`: what there is to compare, and the options of each method. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/spec.h"

#include <stdio.h>
#include <string.h>

struct methods_options {
    bool markdown;
};

static const struct option methods_table[] = {
    {.name = "markdown",
     .type = OPTION_BOOL,
     .offset = offsetof(struct methods_options, markdown),
     .fallback = "false",
     .help = "print the tables of options as Markdown, as in docs/methods"},
    {.name = NULL},
};

/* {name, type, default, allowed, help} of each row. */
static int rows_to_json(const struct option *table, json_t **out)
{
    static const char *const types[] = {"int", "real", "bool", "choice", "text"};
    int rc = 0;
    struct strbuf allowed = {0};
    json_t *list = json_array();
    for (const struct option *row = table; row->name; row++) {
        allowed.length = 0;
        TRY(options_allowed(row, &allowed));
        json_t *object = json_pack("{s:s, s:s, s:s?, s:s, s:s}", "name", row->name, "type",
                                   types[row->type], "default", row->fallback, "allowed",
                                   allowed.data, "help", row->help);
        if (row->alias_of)
            json_object_set_new(object, row->complement ? "complement_of" : "alias_of",
                                json_string(row->alias_of));
        json_array_append_new(list, object);
    }
    *out = list;
    list = NULL;
out:
    json_decref(list);
    strbuf_release(&allowed);
    return rc;
}

static int method_to_json(const struct quant_method *method, bool with_options, json_t **out)
{
    int rc = 0;
    json_t *options = NULL, *harness = NULL;
    json_t *object = json_pack("{s:s, s:s, s:s?, s:i, s:b, s:b, s:b}", "name", method->name,
                               "title", method->title, "paper", method->paper, "version",
                               method->version, "calibrates", !!(method->caps & QM_NEEDS_HESSIAN),
                               "packs", !!(method->caps & QM_PACKS), "matvec",
                               !!(method->caps & QM_MATVEC));
    if (with_options) {
        TRY(rows_to_json(method->options, &options));
        TRY(rows_to_json(harness_option_table, &harness));
        json_object_set_new(object, "options", options);
        json_object_set_new(object, "harness_options", harness);
    }
    *out = object;
    object = NULL;
out:
    json_decref(object);
    return rc;
}

static const char *needs(const struct quant_method *method)
{
    return method->caps & QM_NEEDS_HESSIAN ? "calibration text" : "the weights only";
}

static int list_all(bool json, bool markdown)
{
    int rc = 0;
    json_t *list = json ? json_array() : NULL;
    if (markdown)
        puts("| method | title | paper | needs |\n|---|---|---|---|");
    for (int i = 0; methods[i]; i++) {
        const struct quant_method *m = methods[i];
        json_t *object;
        if (json) {
            TRY(method_to_json(m, false, &object));
            json_array_append_new(list, object);
        } else if (markdown) {
            printf("| `%s` | %s | %s | %s |\n", m->name, m->title, m->paper ? m->paper : "",
                   needs(m));
        } else {
            printf("%-10s %s\n%-10s %s%sneeds %s\n", m->name, m->title, "",
                   m->paper ? m->paper : "", m->paper ? "; " : "", needs(m));
        }
    }
    if (json)
        return command_print_json(list);
    if (!markdown)
        puts("\n`bitbench methods NAME` lists a method's options.");
out:
    json_decref(list);
    return rc;
}

static int show(const struct quant_method *method, bool markdown)
{
    int rc;
    struct strbuf text = {0};
    if (markdown) {
        TRY(options_markdown(method->options, &text));
    } else {
        TRY(strbuf_printf(&text, "%s: %s\n", method->name, method->title));
        if (method->paper)
            TRY(strbuf_printf(&text, "paper: %s\n", method->paper));
        TRY(strbuf_printf(&text, "needs %s; %s; version %d\n\nOptions:\n", needs(method),
                          method->caps & QM_PACKS ? "has a packed form" : "has no packed form",
                          method->version));
        TRY(options_help(method->options, &text));
        TRY(strbuf_puts(&text, "\nOptions of every method, which the harness applies:\n"));
        TRY(options_help(harness_option_table, &text));
        TRY(strbuf_printf(
            &text,
            "\nIn a spec: - {method: %s, NAME: VALUE, ...}; a list of values means a grid.\n",
            method->name));
    }
    fputs(text.data, stdout);
out:
    strbuf_release(&text);
    return rc;
}

static int run_methods(const struct command_line *line)
{
    const struct methods_options *options = line->options;
    if (!line->argument_count)
        return list_all(line->global.json, options->markdown);
    const struct quant_method *method = method_find(line->arguments[0]);
    json_t *object;
    if (!method)
        return ERR_USAGE;
    if (!line->global.json)
        return show(method, options->markdown);
    int rc = method_to_json(method, true, &object);
    return rc ? rc : command_print_json(object);
}

const struct command command_methods = {
    .name = "methods",
    .summary = "lists the methods, or one method's options",
    .arguments = "[NAME]",
    .arguments_max = 1,
    .argument_kind = ARGUMENT_METHOD,
    .flags = COMMAND_JSON,
    .options = methods_table,
    .options_size = sizeof(struct methods_options),
    .description = "An option has the same name in a spec, on the command line (`bitbench layer -o "
                   "bits=2`) and in the "
                   "database.",
    .examples = "bitbench methods\n"
                "bitbench methods gptq\n",
    .run = run_methods,
};
