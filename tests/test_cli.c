/* The command line, run as a program: parsing, help, exit codes, completion, the man page, output
 * that cannot be written. */
#include "core/mem.h"
#include "harness/command.h"
#include "tests/program.h"

#include <jansson.h>

static char folder[] = "/tmp/bitbench-cli-XXXXXX";

static void fails(const char *arguments, int status, const char *err)
{
    char line[600], expected[600];
    snprintf(line, sizeof line, "$B %s", arguments);
    snprintf(expected, sizeof expected, "bitbench: %s", err);
    struct result r = shell(line);
    if (r.status != status || strncmp(r.err, expected, strlen(expected)) != 0)
        fail_msg("bitbench %s: expected %d <%s>, got %d <%s>", arguments, status, expected,
                 r.status, r.err);
}

static void every_command_has_help(void **state)
{
    for (int i = 0; commands[i]; i++) {
        char line[200], usage[100];
        const struct command *c = commands[i];
        snprintf(line, sizeof line, "$B %s --help", c->name);
        struct result r = shell(line);
        assert_int_equal(r.status, 0);
        assert_string_equal(r.err, "");
        snprintf(usage, sizeof usage, "Usage: bitbench %s", c->name);
        assert_int_equal(strncmp(r.out, usage, strlen(usage)), 0);
        for (const struct option *row = c->options; row && row->name; row++) {
            struct strbuf option = {0};
            assert_int_equal(usage_option(row, &option), 0);
            if (!strstr(r.out, option.data))
                fail_msg("bitbench %s --help does not mention %s", c->name, option.data);
            strbuf_release(&option);
        }
        const char *examples = strstr(r.out, "\nExamples:\n"); /* these are not wrapped */
        for (const char *at = r.out; *at && at != examples + 1; at += strcspn(at, "\n") + 1)
            if (strcspn(at, "\n") > 100)
                fail_msg("bitbench %s --help has a line of more than 100 columns: %.40s", c->name,
                         at);
        char *kept;
        assert_int_equal(mem_strdup(&kept, r.out), 0);
        snprintf(line, sizeof line, "$B help %s", c->name);
        r = shell(line);
        assert_int_equal(r.status, 0);
        assert_string_equal(r.out, kept);
        snprintf(line, sizeof line, "$B %s -h", c->name);
        assert_string_equal(shell(line).out, kept);
        mem_free(kept);
    }
}

/* What a descriptor promises holds: defaults parse, letters are free, one-line summaries. */
static void descriptors_are_sound(void **state)
{
    for (int i = 0; commands[i]; i++) {
        const struct command *c = commands[i];
        void *options;
        char letters[64] = "";
        assert_non_null(c->run);
        assert_null(strchr(c->summary, '\n'));
        assert_true(strlen(c->summary) < 90);
        assert_int_equal(mem_calloc(&options, c->options_size, 1), 0);
        if (c->options)
            assert_int_equal(options_defaults(c->options, options), 0);
        mem_free(options);
        for (const struct option *row = c->options; row && row->name; row++) {
            for (const struct option *global = global_option_table; global->name; global++)
                if (command_takes(c, global) && strcmp(global->name, row->name) == 0)
                    fail_msg("%s: the option %s hides a common one", c->name, row->name);
            char letter = command_letter(c, row->name);
            if (letter && (strchr("hq", letter) || strchr(letters, letter)))
                fail_msg("%s: the letter -%c is taken", c->name, letter);
            if (letter)
                letters[strlen(letters)] = letter;
        }
        for (int k = 0; k < i; k++)
            assert_string_not_equal(commands[k]->name, c->name);
    }
}

static void wrong_words(void **state)
{
    fails("", 2, "a command is missing");
    fails("rnu", 2, "unknown command 'rnu'; did you mean 'run'?");
    fails("xyzzy", 2, "unknown command 'xyzzy'; `bitbench help` lists them");
    fails("--threads 2 methods", 2,
          "--threads: options come behind the command: bitbench COMMAND [options]");
    fails("methods --markdwon", 2,
          "methods: unknown option --markdwon; did you mean --markdown?\nSee `bitbench methods "
          "--help`.");
    fails("methods --threads 2", 2,
          "methods: unknown option --threads; `bitbench methods --help` lists them");
    fails("methods -x", 2, "methods: unknown option -x; `bitbench methods --help` lists them");
    fails("methods rtn gptq", 2,
          "methods: unexpected argument 'gptq'; usage: bitbench methods [NAME] [options]");
    fails("methods rtm", 2, "there is no method 'rtm'; did you mean 'rtn'?");
    fails("methods --markdown=maybe", 2,
          "--markdown: 'maybe' is neither: allowed is true or false");
    fails("methods --no-markdown=true", 2, "methods: --no-markdown takes no value");
    fails("run", 2, "run: an argument is missing; usage: bitbench run SPEC [options]");
    fails("run a.yaml --limit", 2, "run: --limit: a value is missing: ");
    fails("run a.yaml --limit --json", 2, "run: --limit: a value is missing: ");
    fails("run a.yaml --limit x", 2, "--limit: 'x' is not a whole number: ");
    fails("run a.yaml --threads=-1", 2,
          "--threads: '-1' is out of range: allowed is a whole number from 0 to 1024");
    fails("run a.yaml --set", 2, "run: --set: a value is missing: KEY=VALUE");
    fails("datasets kjw", 2, "there is no corpus or task 'kjw'; did you mean 'kjv'?");
    fails("help rnu", 2, "unknown command 'rnu'; did you mean 'run'?");
}

static void exit_codes(void **state)
{
    char line[400];
    fails("run /no/such.yaml", 3, "/no/such.yaml: No such file or directory");
    fails("models /no/such/folder", 3, "/no/such/folder: No such file or directory");
    snprintf(line, sizeof line, "printf 'methods: [' >%s/bad.yaml; $B run %s/bad.yaml", folder,
             folder);
    struct result r = shell(line);
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.err, "/bad.yaml:1: "));
    assert_null(strstr(r.err, "--help")); /* the command line was right */
    snprintf(line, sizeof line,
             "printf 'methods: [{method: rtn, bit: 3}]' >%s/bad.yaml; $B run %s/bad.yaml", folder,
             folder);
    r = shell(line);
    assert_int_equal(r.status, 2);
    assert_non_null(strstr(r.err, "/bad.yaml:1: unknown key 'bit'; did you mean 'bits'?"));
    assert_int_equal(command_exit_code(0), 0);
}

static void ways_to_write_options(void **state)
{
    char *markdown;
    assert_int_equal(mem_strdup(&markdown, shell("$B methods rtn --markdown").out), 0);
    assert_int_equal(strncmp(markdown, "| option |", 10), 0);
    assert_string_equal(shell("$B methods --markdown rtn").out, markdown);
    assert_string_equal(shell("$B methods --markdown=yes rtn").out, markdown);
    assert_string_equal(shell("$B methods --no-markdown --markdown -- rtn").out, markdown);
    assert_string_not_equal(shell("$B methods --markdown --no-markdown rtn").out, markdown);
    mem_free(markdown);
    fails("methods -- --markdown", 2, "there is no method '--markdown'");
    /* short ones, together and apart */
    assert_int_equal(shell("$B methods -q rtn").status, 0);
    assert_int_equal(shell("$B methods -qh").status, 0);
    fails("run a.yaml -nqx", 2, "run: unknown option -x");
    fails("run no.yaml -s", 2, "run: -s: a value is missing: KEY=VALUE");
    fails("run no.yaml -nsmodel=x", 3, "no.yaml: No such file or directory");
}

static void json_output(void **state)
{
    static const char *const lines[] = {"$B methods --json", "$B methods gptq --json",
                                        "$B datasets --json", "$B version --json"};
    for (int i = 0; i < 4; i++) {
        struct result r = shell(lines[i]);
        json_t *object = json_loads(r.out, 0, NULL);
        assert_int_equal(r.status, 0);
        assert_non_null(object);
        if (i == 1)
            assert_string_equal(json_string_value(json_object_get(
                                    json_array_get(json_object_get(object, "options"), 0), "name")),
                                "bits");
        json_decref(object);
    }
}

static void output_that_fails(void **state)
{
    fails("methods >/dev/full", 1,
          "standard output: No space left on device; what is there is not complete");
    fails("help --man >/dev/full", 1, "standard output: No space left on device");
    /* a reader that has seen enough is no failure */
    struct result r = shell("bash -c 'set -o pipefail; (sleep 0.2; $B help --man) | true'");
    assert_string_equal(r.err, "");
    assert_int_equal(r.status, 0);
    /* a closed stdout is one */
    assert_int_equal(shell("$B methods >&-").status, 1);
}

static void man_page(void **state)
{
    if (shell("command -v groff").status != 0)
        skip();
    struct result r = shell("$B help --man | groff -man -ww -Tascii -rLL=100n");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.err, "");
    assert_non_null(strstr(r.out, "BITBENCH(1)"));
    for (int i = 0; commands[i]; i++)
        assert_non_null(strstr(r.out, commands[i]->name));
}

/* What completes a line whose last word is being typed; words separated by spaces. */
static void completes(const char *words, const char *expected)
{
    char line[1200];
    snprintf(line, sizeof line,
             "bash -c 'source <($B help --completion bash) && COMP_WORDS=(bitbench %s) && "
             "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) && cd %s && _bitbench && printf \"%%s \" "
             "\"${COMPREPLY[@]}\"'",
             words, folder);
    struct result r = shell(line);
    if (r.status != 0 || *r.err)
        fail_msg("completion of <%s>: %s", words, r.err);
    char text[300];
    snprintf(text, sizeof text, " %s ", expected);
    char out[4000];
    snprintf(out, sizeof out, " %s", r.out);
    if (!strstr(out, text))
        fail_msg("completion of <%s>: expected <%s> in <%s>", words, expected, r.out);
}

static void bash_completion(void **state)
{
    if (shell("command -v bash").status != 0)
        skip();
    assert_int_equal(shell("$B help --completion bash >$T/c.sh && bash -n $T/c.sh").status, 0);
    assert_int_equal(shell("touch $T/one.yaml $T/two.txt; mkdir -p $T/sub").status, 0);
    completes("me", "methods");
    completes("\"\"", "run");
    completes("methods --ma", "--markdown");
    completes("methods --no-m", "--no-markdown");
    completes("methods gp", "gptq");
    completes("datasets kjv_h", "kjv_half");
    completes("help --completion b", "bash");
    completes("help --completion = b", "bash");
    completes("help ru", "run");
    completes("run on", "one.yaml");
    completes("run --dr", "--dry-run");
    completes("run one.yaml --threads 2 --js", "--json");
    completes("datasets --split t", "train test");
    struct result r = shell(
        "bash -c 'source <($B help --completion bash); COMP_WORDS=(bitbench run t); COMP_CWORD=2; "
        "cd $T; _bitbench; echo ${COMPREPLY[@]}'");
    assert_string_equal(r.out, "\n"); /* two.txt is no spec */
}

static int start(void **state)
{
    return mkdtemp(folder) ? program_start(folder) : -1;
}

static int finish(void **state)
{
    return shell("rm -r \"$T\"").status;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_has_help),
        cmocka_unit_test(descriptors_are_sound),
        cmocka_unit_test(wrong_words),
        cmocka_unit_test(exit_codes),
        cmocka_unit_test(ways_to_write_options),
        cmocka_unit_test(json_output),
        cmocka_unit_test(output_that_fails),
        cmocka_unit_test(man_page),
        cmocka_unit_test(bash_completion),
    };
    return cmocka_run_group_tests(tests, start, finish);
}
