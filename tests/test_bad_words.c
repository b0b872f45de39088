/* Texts, questions, specs and options that cannot be meant, as the user meets them: one line that
 * says what, where and what to do, and the exit status of docs/command-line.md. */
#include "datasets/dataset.h"
#include "harness/command.h"
#include "tests/fixture.h"
#include "tests/program.h"

static char *folder;

#define EVAL "$B eval -q --threads 1 --window 48 -m $T/model "

/* ---- texts and questions ---- */

static void texts(void **state)
{
    static const struct {
        const char *bytes, *text; /* bytes as for printf(1) */
    } bad[] = {
        {"", "there is no text in it (0 bytes)"},
        {" \\n \\n", "there is no text in it (4 bytes)"},
        {"caf\\351 au lait", "not UTF-8: byte 3 is 0xe9; convert it, for instance with iconv"},
        {"\\377\\376h\\000e\\000", "byte 0 is 0xff; it looks like UTF-16"},
        {"\\037\\213\\010\\000", "byte 1 is 0x8b; it is compressed"},
        {"a \\355\\240\\200 b", "not UTF-8: byte 2 is 0xed"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[200];
        snprintf(line, sizeof line, "printf '%s' >bad.txt; %s", bad[i].bytes,
                 EVAL "--corpora file:bad.txt");
        refuses(line, 1, bad[i].text);
        refuses(EVAL "--corpora docs:bad.txt", 1, bad[i].text);
        refuses("$B datasets file:bad.txt", 1, bad[i].text);
        refuses("$B run spec.yaml -q --set evaluation.perplexity.corpus=file:bad.txt", 1,
                bad[i].text);
        refuses("$B run spec.yaml -q --set calibration.corpus=file:bad.txt", 1, bad[i].text);
    }
    refuses("echo The king saw >bad.txt; " EVAL "--corpora file:bad.txt", 2,
            "less than one window of 48: give a shorter window");
    refuses("$B run spec.yaml -q --set calibration.corpus=file:bad.txt", 2,
            "fewer than one segment of 40: set a shorter length");
    refuses(EVAL "--corpora docs:bad.txt", 1, "or take the whole file as file:PATH");
    refuses(EVAL "--corpora file:/no/such.txt", 3, "/no/such.txt: No such file");
    refuses(EVAL "--corpora file:.", 1, ".: not a regular file");
    refuses(EVAL "--corpora file:", 2, "'file:': a path must follow the colon");
    refuses("$B datasets docs:", 2, "'docs:': a path must follow the colon");
    refuses(EVAL "--corpora kjw", 2, "there is no corpus 'kjw'; did you mean 'kjv'?");
    refuses(EVAL, 2, "nothing to measure: give --corpora");
    /* nothing of these refused runs was begun */
    works("test ! -e results");
}

static void questions(void **state)
{
    static const struct {
        const char *line, *text;
    } bad[] = {
        {"", "there is no question in it"},
        {"hello", "bad.jsonl:1: not a JSON object"},
        {"[1]", "bad.jsonl:1: not a JSON object"},
        {"{\"context\": \"a\", \"choices\": [\"b\"], \"answer\": 0}", "list of 2 to 64 texts"},
        {"{\"context\": \"a\", \"choices\": [\" b\", \" c\"], \"answer\": 2}", "from 0 to 1"},
        {"{\"context\": \"a\", \"choices\": [\" b\", \"\"], \"answer\": 0}", "is empty"},
        {"{\"context\": \"\351\", \"choices\": [\" b\", \" c\"], \"answer\": 0}", "byte 0xe9"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture_write(folder, "bad.jsonl", bad[i].line);
        refuses(EVAL "--tasks jsonl:bad.jsonl", 1, bad[i].text);
        refuses("$B datasets jsonl:bad.jsonl", 1, bad[i].text);
    }
    refuses("(printf '{\"context\": \"'; seq 5000 | tr '\\n' ' '; echo '\", \"choices\": [\" b\", "
            "\" c\"], \"answer\": 0}') >bad.jsonl; " EVAL "--tasks jsonl:bad.jsonl",
            2, "more than the model's 256 positions");
    refuses(EVAL "--tasks jsonl:/no/such", 3, "/no/such: No such file");
    refuses(EVAL "--tasks kjv_hafl", 2, "did you mean 'kjv_half'?");
}

/* Results name their data: a name with quotes and line ends is still JSON. */
static void json_holds_any_name(void **state)
{
    struct result r = shell(
        "cp text.txt 'a\"b\n.txt'; " EVAL
        "--tokens 300 --json --samples 's\".jsonl' --corpora 'file:a\"b\n.txt'");
    assert_int_equal(r.status, 0);
    for (const char *line = r.out, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        json_t *object = json_loadb(line, (size_t)(end - line), 0, NULL);
        assert_non_null(object);
        if (!end[1])
            assert_string_equal(json_string_value(json_object_get(object, "dataset")),
                                "file:a\"b\n.txt");
        json_decref(object);
    }
    json_t *sample = json_load_file("s\".jsonl", JSON_DISABLE_EOF_CHECK, NULL);
    assert_string_equal(json_string_value(json_object_get(sample, "corpus")), "file:a\"b\n.txt");
    json_decref(sample);
}

/* ---- specs ---- */

static void spec_files(void **state)
{
    static const struct {
        const char *make, *text; /* a line of shell that writes bad.yaml */
        int status;
    } bad[] = {
        {"printf 'name: caf\\351' >bad.yaml", "bad.yaml:1: byte 9 (0xe9) is not UTF-8", 1},
        {"printf 'name: \\001\\002' >bad.yaml", "control characters are not allowed", 1},
        {"cp model/model.safetensors bad.yaml", "bad.yaml:1: ", 1},
        {"yes '# filler' | head -c 5000000 >bad.yaml", "a YAML file of at most 4194304 is read", 1},
        {"(printf 'methods: '; printf '[%.0s' $(seq 5000)) >bad.yaml", "more than 32 deep", 1},
        {"(echo 'a: &a [x, x]'; for i in b.a c.b d.c e.d f.e g.f h.g i.h j.i; do n=${i%.*} "
         "o=${i#*.};"
         " echo \"$n: &$n [*$o, *$o, *$o, *$o, *$o, *$o, *$o, *$o]\"; done) >bad.yaml",
         "more than 262144 values, aliases included", 1},
        {"printf 'a: &a [*a]' >bad.yaml", "alias *a: no complete value before it", 1},
        {"printf 'name: a\\nname: b\\n' >bad.yaml", "stands here for the second time", 1},
        {"printf '\"na\\\\x1b[31m\\\\nme\": b\\n' >bad.yaml", "unknown key 'na?[31m?me'", 2},
        {"printf hello >bad.yaml", "is expected, not a text", 2},
        {"rm -f bad.yaml; mkdir bad.yaml", "bad.yaml: not a regular file", 1},
        {"rmdir bad.yaml; mkfifo bad.yaml", "bad.yaml: not a regular file", 1},
        {"rm bad.yaml", "bad.yaml: No such file", 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        works(bad[i].make);
        refuses("$B run bad.yaml", bad[i].status, bad[i].text);
        struct result r = shell("$B train bad.yaml");
        assert_int_equal(r.status, bad[i].status);
        assert_int_equal(strncmp(r.err, "bitbench: bad.yaml", 18), 0);
        assert_string_equal(strchr(r.err, '\n'), "\n");
    }
    refuses("$B run ''", 2, "the spec's name is empty");
    refuses("$B train ''", 2, "the spec's name is empty");
    works("test ! -e results");
}

static void spec_values(void **state)
{
    static const struct {
        const char *set, *text;
        int status;
    } bad[] = {
        {"model=", "model: a text is expected", 2},
        {"model=/no/such", "/no/such: no such model", 3},
        {"modle=x", "unknown key 'modle'; did you mean 'model'?", 2},
        {"name=../up", "only letters, digits", 2},
        {"calibration.samples=0", "'0' is out of range", 2},
        {"calibration.length=1000000", "fewer than one segment of 1000000", 2},
        {"calibration.corpus=kjw", "there is no corpus 'kjw'; did you mean 'kjv'?", 2},
        {"calibration={corpus: \"file:text.txt\", samples: 1048576, length: 2000}",
         "of memory or disk, where there are", 1},
        {"evaluation.perplexity.window=1", "'1' is out of range", 2},
        {"evaluation.perplexity.window=100000", "less than one window of 100000", 2},
        {"methods=[]", "methods: a list is expected", 2},
        {"methods=[{method: rtm}]", "there is no method 'rtm'; did you mean 'rtn'?", 2},
        {"methods.bits=99", "bits: '99' is out of range", 2},
        {"methods.bits=[]", "bits: an empty list gives no points", 2},
        {"methods.seed=[1", "--set methods.seed=[1:1: ", 1},
        {"a=b\nc", "--set a=b?c", 2},
        {"=", "KEY=VALUE is expected", 2},
        {"", "KEY=VALUE is expected", 2},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[200];
        snprintf(line, sizeof line, "$B run spec.yaml -q --set '%s'", bad[i].set);
        refuses(line, bad[i].status, bad[i].text);
    }
    works("test ! -e results");
    refuses("$B run spec.yaml -q --no-table --set methods.quant_only=nosuch", 2,
            "leave no layer of the model to quantize");
    works("test ! -e results");
}

static void training_values(void **state)
{
    static const struct {
        const char *set, *text;
        int status;
    } bad[] = {
        {"model.layers=0", "'0' is out of range", 2},
        {"model.width=33", "gives no even head size", 2},
        {"model.width=60000", "bytes were asked for", 1},
        {"training.tokens=nan", "'nan' is not a number", 2},
        {"training.learning_rate=-1", "'-1' is out of range", 2},
        {"training.shards=7", "training.shards 7 must divide", 2},
        {"corpora=[]", "'corpora' must be a list", 2},
        {"corpora=[{name: kjw}]", "there is no corpus 'kjw'; did you mean 'kjv'?", 2},
        {"corpora=[{name: \"docs:/no/such\"}]", "/no/such: No such file", 3},
        {"corpora=[{name: \"file:tiny.txt\"}]", "no two neighbouring characters occur twice", 2},
        {"output=text.txt", "a file of that name is in the way", 1},
        {"tokenizer.vocabulary=5", "'5' is out of range", 2},
    };
    fixture_write(folder, "tiny.txt", "word");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[200];
        snprintf(line, sizeof line, "$B train train.yaml -q --threads 1 --set '%s'", bad[i].set);
        refuses(line, bad[i].status, bad[i].text);
        works("rm -rf trained");
    }
}

/* ---- options ---- */

static void unknown_options(void **state)
{
    static const char *const words[] = {"--nosuch", "--nosuch=3", "--=", "---", "-Z", "--quiet=x"};
    for (int c = 0; commands[c]; c++)
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            char line[100], text[64];
            snprintf(line, sizeof line, "$B %s %s", commands[c]->name, words[i]);
            snprintf(text, sizeof text, "See `bitbench %s --help`.", commands[c]->name);
            refuses(line, 2, text);
        }
    refuses("$B models inspect", 2, "the model's folder, or embedded, is missing");
    refuses("$B plot --format gif", 2, "'gif' is no choice: allowed is svg, png, pdf");
    refuses("$B doctor --seconds nan", 2, "'nan' is not a number");
    refuses("$B tokenize --decode --json", 2, "--decode gives text");
}

static void threads(void **state)
{
    static const char *const bad[] = {"-1", "100000", "1.5", "x", "''", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char line[200];
        snprintf(line, sizeof line, EVAL "--corpora file:text.txt --threads %s", bad[i]);
        refuses(line, 2, "allowed is a whole number from 0 to 1024");
    }
    works(EVAL "--corpora file:text.txt --tokens 300 --json >one");
    works(EVAL "--corpora file:text.txt --tokens 300 --json --threads 0 >some");
    works(EVAL "--corpora file:text.txt --tokens 300 --json --threads 40 >many");
    works("for f in one some many; do grep perplexity $f >$f.value; done; cmp one.value some.value "
          "&& cmp one.value many.value");
}

/* ---- what is not installed ---- */

static void missing_packages(void **state)
{
    setenv("BITBENCH_CORPUS_ROOT", folder, 1);
    for (int i = 0; corpora[i]; i++) {
        char line[200], text[100];
        snprintf(line, sizeof line, "PATH=/nowhere $B datasets %s", corpora[i]->name);
        snprintf(text, sizeof text, "corpus %s: ", corpora[i]->name);
        refuses(line, 3, text);
        refuses(line, 3, corpora[i]->rows ? "give --data DIR" : ": apt-get install ");
    }
    refuses("PATH=/nowhere $B datasets kjv_half", 3, "apt-get install bible-kjv");
    refuses(EVAL "--corpora wordnet", 3, "apt-get install wordnet-base");
    refuses("$B run spec.yaml --set evaluation.perplexity.corpus=perldoc", 3,
            "apt-get install perl-doc");
    works("PATH=/nowhere $B datasets >/dev/null"); /* the list is there all the same */
    works("PATH=/nowhere $B doctor --seconds 0.01 >/dev/null");
    unsetenv("BITBENCH_CORPUS_ROOT");
}

int main(void)
{
    folder = fixture_folder("bad_words");
    fixture_model(folder);
    fixture_write(folder, "spec.yaml",
                  "name: bad\nmodel: model\ncalibration: {corpus: 'file:text.txt', samples: 2, "
                  "length: 40}\nevaluation: {perplexity: [{corpus: 'file:text.txt', tokens: 300, "
                  "window: 48}]}\nmethods: [{method: rtn, bits: 2}]\n");
    fixture_write(folder, "train.yaml",
                  "output: trained\ntokenizer: {vocabulary: 300}\nmodel: {layers: 2, width: 32, "
                  "hidden: 64, heads: 2, kv_heads: 1}\ntraining: {sequences: 2, shards: 1, "
                  "context: 32, tokens: 2000, warmup_tokens: 100}\ncorpora: [{name: "
                  "'docs:text.txt'}]\n");
    if (program_start(folder) != 0 || chdir(folder) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(questions),
        cmocka_unit_test(json_holds_any_name),
        cmocka_unit_test(spec_files),
        cmocka_unit_test(spec_values),
        cmocka_unit_test(training_values),
        cmocka_unit_test(unknown_options),
        cmocka_unit_test(threads),
        cmocka_unit_test(missing_packages),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    mem_free(folder);
    return failed;
}
