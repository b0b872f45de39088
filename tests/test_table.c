/* Tables against small ones written by hand. */
#include "core/mem.h"
#include "harness/store_internal.h"
#include "harness/table.h"
#include "harness/table_grid.h"
#include "tests/expect.h"
#include "tests/store_sample.h"

/* A sample with nothing that would have to be noted. */
static void plain_init(struct sample *s, int number)
{
    sample_init(s, number);
    s->point.exception_count = 0;
    s->point.repetition.busy = 0;
}

/* Sets a perplexity of three windows with these log-likelihoods, 10 tokens each. */
static void set_windows(struct sample *s, double a, double b, double c)
{
    const double values[3] = {a, b, c};
    for (int i = 0; i < 3; i++)
        s->windows[i] = (struct metric_part){.index = i, .value = values[i], .count = 10};
    struct metric_record *m = &s->metrics[0];
    m->count = 30;
    assert_int_equal(
        statistics_perplexity(s->windows, 3, 0, &m->value, &m->standard_error, &m->low, &m->high),
        0);
}

static void name_it(struct sample *s, const char *label, const char *method)
{
    s->point.label = label;
    s->point.method = method;
}

/* Full precision, two quantized points that share a warning, and a failed one. */
static void write_experiment(struct store *store)
{
    static const struct timing_record times[2] = {{"quantize", 1.26, 2, 0}, {"total", 123.4, 2, 0}};
    struct sample s;
    plain_init(&s, 1);
    name_it(&s, "full", "full");
    set_windows(&s, 20, 20, 20);
    s.point.weights = 0;
    s.items[0].value = 1;
    s.metrics[1].value = 1;
    s.metrics[1].standard_error = 0;
    sample_store(store, &s, 0);

    plain_init(&s, 2);
    set_windows(&s, 22, 22, 22);
    s.point.warnings = "kjv: the text changed";
    memcpy(s.timings, times, sizeof times);
    sample_store(store, &s, 1);

    plain_init(&s, 3);
    name_it(&s, "gptq|x \"q\", bits=2", "gptq");
    set_windows(&s, 80, 80, 80);
    s.point.warnings = "kjv: the text changed";
    s.point.metric_count = 1;
    sample_store(store, &s, 2);

    plain_init(&s, 4);
    name_it(&s, "gptq bits=1", "gptq");
    s.point.status = "failed";
    s.point.error = "NaN in 'a_b'";
    s.point.metric_count = 0;
    sample_store(store, &s, 3);
}

static char *printed(const char *experiment, enum table_format format)
{
    struct store *store;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (store_open(&store, database, 0) != 0 || table_print(store, experiment, format, out) != 0)
        fail_msg("%s", err_text());
    store_close(store);
    fclose(out);
    return text;
}

/* Compares line by line, so that a failure shows the line. */
static void lines_are(const char *text, const char *const *want)
{
    for (; *want; want++) {
        size_t length = strcspn(text, "\n");
        if (length != strlen(*want) || memcmp(text, *want, length) != 0)
            fail_msg("got    %.*s\nwanted %s", (int)length, text, *want);
        text += length + (text[length] == '\n');
    }
    if (*text)
        fail_msg("more was printed: %s", text);
}

static char *experiment_as(enum table_format format)
{
    struct store *store = open_writer();
    write_experiment(store);
    store_close(store);
    return printed("trial", format);
}

static void test_markdown(void **state)
{
    static const char *const want[] = {
        "A trial (trial, model embedded)",
        "",
        "| method                  | paper bits | stored bits | file bits |               kjv ppl "
        "|  kjv_half % | quantize s | total s |",
        "|:------------------------|-----------:|------------:|----------:|----------------------:"
        "|------------:|-----------:|--------:|",
        "| full                    |          – |           – "
        "|      6.00 |     7.39 [7.39, 7.39] "
        "| 100.0 ± 0.0 |          – |       – |",
        "| rtn bits=2 [a]          |       2.00 |        6.00 |      6.00 | **9.03 [9.03, 9.03]** "
        "| 50.0 ± 50.0 |        1.3 |     123 |",
        "| gptq\\|x \"q\", bits=2 [a] |       2.00 |        6.00 |      6.00 |   2981 [2981, "
        "2981] † "
        "|           – |          – |       – |",
        "| gptq bits=1 [b]         |     failed |           – |         – |            "
        "         – "
        "|           – |          – |       – |",
        "",
        "Against full precision, on the same windows and items",
        "",
        "| method              |        kjv ppl ratio |    kjv_half % diff. | kjv_half flips "
        "| kjv bits/byte |",
        "|:--------------------|---------------------:|--------------------:|---------------:"
        "|--------------:|",
        "| full                |                    1 |                   0 |              0 "
        "|         1.500 |",
        "| rtn bits=2          | 1.221 [1.221, 1.221] | -50.0 [-100.0, 0.0] |          -1 +0 "
        "|         1.500 |",
        "| gptq\\|x \"q\", bits=2 | 403.4 [403.4, 403.4] "
        "|                   – |              – "
        "|         1.500 |",
        "| gptq bits=1         |                    – |                   – |              – "
        "|             – |",
        "",
        "- [a] kjv: the text changed",
        "- [b] failed: NaN in 'a_b'",
        "- kjv ppl: perplexity, test split, 3 windows of 8 tokens (30 scored), rule windows, data "
        "aaaaaaaa",
        "- kjv_half %: accuracy, test split, 2 items, scored by pmi, data bbbbbbbb",
        "- bits: a weight as the paper counts; as stored, everything included; the whole file over "
        "all parameters. [low, high]: 95 % intervals, bootstrap over windows or items. ±: "
        "standard error.",
        "- bold: the best quantized point of a column; †: cannot be told from it (paired on the "
        "same windows or items, exact sign test, p corrected by Holm's procedure for the column, "
        "above 0.05).",
        "- flips: -n answers that are right in full precision and wrong here, +n the other way "
        "round.",
        NULL};
    char *text = experiment_as(TABLE_MARKDOWN);
    lines_are(text, want);
    free(text);
}

/* 3 fields behind the last comma-free label are enough to see quoting, emptiness and line ends. */
static void test_csv(void **state)
{
    char *text = experiment_as(TABLE_CSV);
    holds(text, "label,method,status,paper_bits,");
    holds(text, ",kjv_perplexity,kjv_perplexity_standard_error,kjv_perplexity_low,");
    holds(text, ",kjv_half_accuracy_to_right,kjv_half_accuracy_mark,kjv_half_accuracy_mark_p,"
                "warnings,error,id,model\r\n");
    holds(
        text,
        "\r\n\"gptq|x \"\"q\"\", bits=2\",gptq,done,2,0,6,6,48,64,,,1000000000,1,0,0,2980.957987,");
    holds(text, ",1.26,123.4,1000000000,1,0,0,9.025013499,");
    holds(text, ",1.221402758,1.221402758,1.221402758,0.25,,1.5,,,,best,,0.5,0.5,");
    holds(text, ",near,0.25,"); /* three of three windows worse: 2 / 2^3 */
    holds(text, ",NaN in 'a_b',");
    int lines = 0, fields[5] = {1, 1, 1, 1, 1}, quoted = 0;
    for (const char *at = text; *at; at++) {
        quoted ^= *at == '"';
        if (*at == '\n')
            assert_true(at[-1] == '\r' && ++lines <= 5);
        else
            fields[lines < 5 ? lines : 4] += *at == ',' && !quoted;
    }
    assert_int_equal(lines, 5);
    for (int i = 1; i < 5; i++)
        assert_int_equal(fields[i], fields[0]);
    free(text);
}

static void test_latex(void **state)
{
    char *text = experiment_as(TABLE_LATEX);
    holds(text, "\\begin{tabular}{lrrrrrrr}\n\\toprule\nmethod & paper bits & ");
    holds(text, " & kjv\\_half \\% & ");
    holds(text, "gptq\\textbar{}x \"q\", bits=2 [a] & 2.00 & ");
    holds(text, "50.0 $\\pm$ 50.0");
    holds(text, "$-$50.0 [$-$100.0, 0.0]");
    holds(text, "full & -- & -- & 6.00");
    holds(text, "[b] failed: NaN in 'a\\_b'");
    free(text);
    FILE *out = open_memstream(&text, &(size_t){0});
    latex_text("\\a{b}~^#$&<>-1 -2", out);
    fclose(out);
    assert_string_equal(text,
                        "\\textbackslash{}a\\{b\\}\\textasciitilde{}\\textasciicircum{}\\#\\$\\&"
                        "\\textless{}\\textgreater{}-1 $-$2");
    free(text);
}

static void test_json(void **state)
{
    char *text = experiment_as(TABLE_JSON);
    json_t *object = json_loads(text, 0, NULL), *rows = json_object_get(object, "rows");
    assert_int_equal(json_array_size(rows), 4);
    json_t *row = json_array_get(rows, 1), *metrics = json_object_get(row, "metrics");
    assert_int_equal(json_array_size(metrics), 2);
    assert_string_equal(json_string_value(json_object_get(row, "label")), "rtn bits=2");
    double ratio = json_real_value(json_object_get(json_array_get(metrics, 0), "ratio"));
    assert_true(fabs(ratio - exp(0.2)) < 1e-8);
    assert_true(json_is_null(json_object_get(json_array_get(rows, 0), "total_seconds")));
    json_decref(object);
    free(text);
}

/* The same data set measured otherwise is another column; nothing is paired across. */
static void test_columns(void **state)
{
    struct store *store = open_writer();
    struct sample s;
    plain_init(&s, 1);
    name_it(&s, "full", "full");
    sample_store(store, &s, 0);
    plain_init(&s, 2);
    s.metrics[0].window = 16;
    s.metrics[1].rule = "sum";
    sample_store(store, &s, 1);
    plain_init(&s, 3);
    s.metrics[0].data_hash = "dddddddddddd";
    s.metrics[1].data_hash = "eeeeeeeeeeee";
    sample_store(store, &s, 2);
    store_close(store);
    char *text = printed(NULL, TABLE_MARKDOWN);
    holds(text, "|   kjv w8 #aaaaaa ppl |          kjv w16 ppl |   kjv w8 #dddddd ppl |");
    holds(text, "| kjv_half pmi #bbbbbb % | kjv_half sum % | kjv_half pmi #eeeeee % |");
    lacks(text, "ratio");
    free(text);
}

/* The full-precision point may have been measured by another experiment, but of the same model. */
static void test_base_elsewhere(void **state)
{
    struct store *store = open_writer();
    struct sample s;
    assert_int_equal(store_experiment(store, "other", "", "", ""), 0);
    plain_init(&s, 1);
    name_it(&s, "full", "full");
    s.point.experiment = "other";
    sample_store(store, &s, 0);
    plain_init(&s, 2);
    sample_store(store, &s, 0);
    plain_init(&s, 3);
    s.point.model_hash = "another";
    s.point.label = "stranger";
    sample_store(store, &s, 1);
    store_close(store);
    char *text = printed("trial", TABLE_MARKDOWN);
    holds(text, "| rtn bits=2 | 1.154 [1.154, 1.154] |"); /* exp(1 / 7) */
    holds(text, "| stranger   |                    – |");
    free(text);
}

static void test_refusals(void **state)
{
    struct store *store = open_writer();
    FILE *out = fopen("/dev/full", "w");
    expect_error(table_print(store, NULL, TABLE_CSV, out), ERR_MISSING, "has no points yet");
    write_experiment(store);
    assert_int_equal(store_experiment(store, "other", "", "", ""), 0);
    expect_error(table_print(store, NULL, TABLE_CSV, out), ERR_USAGE,
                 "name one of them: other, trial");
    expect_error(table_print(store, "tryal", TABLE_CSV, out), ERR_USAGE, "no experiment 'tryal'");
    expect_error(table_print(store, "trial", TABLE_CSV, out), ERR_IO, "cannot write");
    fclose(out);
    assert_int_equal(store_execute(store, "DELETE FROM experiments"), 0);
    out = fopen("/dev/null", "w");
    expect_error(table_print(store, NULL, TABLE_CSV, out), ERR_MISSING, "no experiments in it yet");
    fclose(out);
    store_close(store);
}

static void test_memory(void **state)
{
    struct store *store = open_writer();
    write_experiment(store);
    for (long k = 1;; k++) {
        FILE *out = fopen("/dev/null", "w");
        mem_fail_at(k);
        int rc = table_print(store, "trial", TABLE_MARKDOWN, out), reached = !mem_fail_pending();
        mem_fail_at(0);
        fclose(out);
        assert_int_equal(rc, reached ? ERR_MEMORY : 0);
        if (!reached)
            break;
    }
    store_close(store);
}

static void test_marks(void **state)
{
    char mark[4];
    static const struct {
        int i;
        const char *want;
    } rows[] = {{0, "a"}, {25, "z"}, {26, "aa"}, {51, "az"}, {52, "ba"}, {701, "zz"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        note_mark(rows[i].i, mark);
        assert_string_equal(mark, rows[i].want);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_markdown), TEST(test_csv),     TEST(test_latex),
        TEST(test_json),     TEST(test_columns), TEST(test_base_elsewhere),
        TEST(test_refusals), TEST(test_memory),  TEST(test_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
