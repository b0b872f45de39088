/* Pivots and SQL expressions over hand-made points. */
#include "tests/table_points.h"

/* Four PB-LLM points, two fractions by two criteria, one more that differs in gptq; full precision.
 */
static void write_points(void)
{
    static const struct {
        double low;
        const char *metric;
        int gptq;
        double nats;
    } points[] = {{0.95, "magnitude", 1, 40},
                  {0.95, "hessian", 1, 35},
                  {0.5, "magnitude", 1, 22},
                  {0.5, "hessian", 1, 21},
                  {0.5, "hessian", 0, 20}};
    struct store *store = open_writer();
    struct made made;
    made_init(&made, 1, "full", "full", "{}", 20, -1);
    sample_store(store, &made.sample, 0);
    for (int i = 0; i < 5; i++) {
        char label[64], settings[256];
        snprintf(label, sizeof label, "pb-llm low_frac=%g salient_metric=%s", points[i].low,
                 points[i].metric);
        snprintf(settings, sizeof settings,
                 "{\"options\": {\"low_frac\": %g, \"salient_metric\": \"%s\", \"gptq\": %s}, "
                 "\"harness\": {\"quant_only\": \"\"}, \"extra\": {\"deep\": %d}, "
                 "\"after\": {\"method\": \"prune\", \"options\": {\"sparsity\": 0.5}}, "
                 "\"calibration\": {\"corpus\": \"kjv\", \"seed\": 0}}",
                 points[i].low, points[i].metric, points[i].gptq ? "true" : "false", i);
        made_init(&made, i + 2, "pb-llm", label, settings, points[i].nats, -1);
        sample_store(store, &made.sample, i + 1);
    }
    store_close(store);
}

static const struct table_request pivot = {.form = TABLE_PIVOT,
                                           .where = "gptq OR method = 'full'",
                                           .rows = "low_frac",
                                           .columns = "salient_metric",
                                           .value = "perplexity:kjv"};

static void test_pivot(void **state)
{
    struct table_request request = pivot;
    write_points();
    char *text = answered(&request);
    holds(text, "kjv ppl, by salient_metric\n\n"
                "| low_frac | magnitude |  hessian |\n"
                "|:---------|----------:|---------:|\n"
                "| 0.5      |  **9.03** | **8.17** |\n"   /* exp(2.2), exp(2.1) */
                "| 0.95     |     54.60 |    33.12 |\n"); /* exp(4), exp(3.5): worse in 10 of 10 */
    holds(text, "\n- 1 point without one of low_frac, salient_metric: not in this table\n");
    free(text);
    request.format = TABLE_CSV;
    text = answered(&request);
    assert_string_equal(text, "low_frac,magnitude,magnitude mark,hessian,hessian mark\r\n"
                              "0.5,9.025013499,best,8.166169913,best\r\n"
                              "0.95,54.59815003,,33.11545196,\r\n");
    free(text);
    request.format = TABLE_LATEX;
    text = answered(&request);
    holds(text,
          "\\begin{tabular}{lrr}\n\\toprule\nlow\\_frac & magnitude & hessian \\\\\n\\midrule\n"
          "0.5 & \\textbf{9.03} & \\textbf{8.17} \\\\\n");
    free(text);
    request.format = TABLE_JSON;
    text = answered(&request);
    json_t *json = json_loads(text, 0, NULL), *row;
    assert_int_equal(json_array_size(json_object_get(json, "rows")), 2);
    row = json_array_get(json_object_get(json, "rows"), 0);
    assert_true(fabs(json_real_value(json_object_get(row, "hessian")) - exp(2.1)) < 1e-8);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(row, "marks"), "hessian")), "best");
    json_decref(json);
    free(text);
}

static void test_several(void **state)
{
    struct table_request request = pivot;
    write_points();
    request.where = "method = 'pb-llm'";
    refused(&request, ERR_USAGE, "fall into one cell; they differ in gptq: name one of these");
    request.best = true;
    char *text = answered(&request);
    holds(text, "| 0.5      |  **9.03** | **7.39** |");
    free(text);
    request.value = "label, position, perplexity"; /* decided by the perplexity */
    text = answered(&request);
    holds(text, " |                   3 |           **9.03** |");
    holds(text, " |                 5 |         **7.39** |");
    free(text);
    request.best = false;
    request.columns = "salient_metric, gptq";
    request.value = "perplexity, stored_bits";
    request.format = TABLE_CSV;
    text = answered(&request);
    holds(text,
          "low_frac,\"magnitude, gptq=true, kjv ppl\",\"magnitude, gptq=true, kjv ppl mark\",");
    holds(text, "\"hessian, gptq=false, kjv ppl\",\"hessian, gptq=false, stored bits\",");
    holds(text, "\r\n0.95,54.59815003,,6,,,33.11545196,,6\r\n");
    free(text);
    request.columns = NULL; /* then the values are the columns; 1 - low_frac is an alias */
    request.rows = "salient_frac, salient_metric, gptq";
    request.format = TABLE_MARKDOWN;
    text = answered(&request);
    holds(text, "| salient_frac | salient_metric | gptq  |  kjv ppl | stored bits |\n"
                "|:-------------|:---------------|:------|---------:|------------:|\n"
                "| 0.05         | magnitude      | true  |");
    free(text);
    request.rows = "calibration.samples";
    refused(&request, ERR_USAGE, "no column 'calibration.samples'");
    request.rows = "low_frac";
    request.value = "accuracy";
    refused(&request, ERR_USAGE, "nothing of that kind was measured");
    request.value = "perplexity:kvj";
    refused(&request, ERR_USAGE, "nothing called 'kvj' was measured, only 'kjv'");
}

static int count_rows(const struct table_request *request)
{
    char *text = answered(request);
    json_t *json = json_loads(text, 0, NULL);
    int count = (int)json_array_size(json_object_get(json, "rows"));
    json_decref(json);
    free(text);
    return count;
}

static void test_where(void **state)
{
    static const struct {
        const char *where;
        int count;
    } filters[] = {{"method = 'pb-llm'", 5},
                   {"low_frac < 0.9", 3},
                   {"NOT gptq", 1},
                   {"gptq = true AND salient_metric LIKE 'hess%'", 2},
                   {"settings ->> '$.extra.deep' >= 3", 2},
                   {"\"perplexity:kjv\" < 8", 2},
                   {"calibration.seed = 0 AND calibration.corpus = 'kjv'", 5},
                   {"salient_frac > 0.4", 3},
                   {"after.sparsity = 0.5", 5},
                   {"position BETWEEN 1 AND 2 -- a comment", 2},
                   {"status = 'done' AND exceptions = 0 AND NOT busy", 6},
                   {"stored_bits = 6", 6}};
    struct table_request request = {.format = TABLE_JSON};
    write_points();
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        request.where = filters[i].where;
        int count = count_rows(&request);
        if (count != filters[i].count)
            fail_msg("%s: %d rows, wanted %d", filters[i].where, count, filters[i].count);
    }
}

/* One clear line each, and nothing is written. */
static void test_bad_where(void **state)
{
    static const struct {
        const char *where, *part;
        int code;
    } bad[] = {{"low_frc < 1", "no column 'low_frc', did you mean 'low_frac'", ERR_USAGE},
               {"method = \"pb-llm\"", "texts stand in single quotes", ERR_USAGE},
               {"low_frac <", "syntax error", ERR_USAGE},
               {"  ", "not an empty text", ERR_USAGE},
               {"1; DELETE FROM points", "--where", ERR_USAGE},
               {"1) FROM points; DELETE FROM points; --", "--where", ERR_USAGE},
               {"load_extension('x')", "--where", ERR_USAGE},
               {"settings ->> '$.['", "--where", ERR_USAGE},
               {"abs(-9223372036854775807 - 1) > 0", "integer overflow", ERR_USAGE},
               {"seed(3)", "no such function: seed", ERR_USAGE},
               {"(SELECT count(*) FROM sqlite_master, nothing)", "--where", ERR_USAGE},
               {"low_frac > 1", "no point for which --where 'low_frac > 1' is true", ERR_MISSING}};
    struct table_request request = {0};
    write_points();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        request.where = bad[i].where;
        refused(&request, bad[i].code, bad[i].part);
    }
    request.where = NULL;
    request.format = TABLE_JSON;
    assert_int_equal(count_rows(&request), 6);
}

static void test_show(void **state)
{
    struct table_request request = {.show = "low_frac, gptq, perplexity, round(low_frac * 2, 1), "
                                            "file_bits",
                                    .where = "low_frac = 0.95"};
    write_points();
    char *text = answered(&request);
    holds(text,
          "| low_frac | gptq |                  kjv ppl | round(low_frac \\* 2, 1) | file bits |");
    holds(text, "|     0.95 | true |");
    holds(text, "|                     1.9 |      6.00 |");
    lacks(text, "Against full precision");
    free(text);
    request.show = "published";
    refused(&request, ERR_USAGE, "add --beside");
    request.form = TABLE_FIELDS;
    text = answered(&request);
    holds(text, "\nlow_frac\n");
    holds(text, "\ncalibration.seed\n");
    holds(text, "\nperplexity:kjv\n");
    holds(text, "\nsalient_frac\n");
    free(text);
}

/* Quotes, backslashes, letters beyond ASCII, what Markdown and LaTeX take for their own. */
static void test_labels(void **state)
{
    static const char label[] = "a\\b \"q\" | *x* `y` ü 漢 $1_2 {&} 'z'";
    struct store *store = open_writer();
    struct made made;
    made_init(&made, 1, "rtn", label,
              "{\"options\": {\"text\": \"a\\\\b \\\"q\\\" "
              "漢\"}}",
              20, -1);
    sample_store(store, &made.sample, 0);
    store_close(store);
    struct table_request request = {.show = "text"};
    char *text = answered(&request);
    holds(text, "| a\\\\b \"q\" \\| \\*x\\* \\`y\\` ü 漢 $1_2 {&} 'z' | a\\\\b \"q\" 漢 |\n");
    holds(text, "\n| method                                    |        text |\n"); /* 漢: two
                                                                                         wide */
    free(text);
    request.format = TABLE_LATEX;
    text = answered(&request);
    holds(text, "a\\textbackslash{}b \"q\" \\textbar{} *x* `y` ü 漢 \\$1\\_2 \\{\\&\\} 'z' & ");
    free(text);
    request.format = TABLE_CSV;
    text = answered(&request);
    holds(text, "\r\n\"a\\b \"\"q\"\" | *x* `y` ü 漢 $1_2 {&} 'z'\",\"a\\b \"\"q\"\" 漢\"\r\n");
    free(text);
    request = (struct table_request){.form = TABLE_PIVOT, .rows = "text", .format = TABLE_JSON};
    text = answered(&request);
    json_t *json = json_loads(text, 0, NULL);
    const json_t *row = json_array_get(json_object_get(json, "rows"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "text")), "a\\b \"q\" 漢");
    json_decref(json);
    free(text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_pivot),     TEST(test_several), TEST(test_where),
                                       TEST(test_bad_where), TEST(test_show),    TEST(test_labels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
