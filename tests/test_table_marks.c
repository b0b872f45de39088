/* What cannot be told from the best, seeds as one row, flips, and what a reader must know. */
#include "harness/table_data.h"
#include "tests/table_points.h"

static void add(struct store *store, int number, const char *label, double base, int worse)
{
    struct made made;
    made_init(&made, number, "gptq", label, "{}", base, worse);
    sample_store(store, &made.sample, number);
}

static char *line_of(const char *text, const char *begin)
{
    const char *line = strstr(text, begin);
    assert_non_null(line);
    return strndup(line, strcspn(line, "\n"));
}

/* Against the best, worse in 10, 9 and 8 of 10 windows: p = 2/1024, 22/1024, 112/1024 (the binomial
 * tail twice). Holm: 3 x 2/1024 and 2 x 22/1024 = 0.043 are found, 112/1024 = 0.109 is not. (By
 * Bonferroni, 3 x 22/1024 = 0.064, the second would not be.) */
static void test_marks(void **state)
{
    struct store *store = open_writer();
    struct made made;
    add(store, 1, "best", 20, -1);
    add(store, 2, "ten", 22, 10);
    add(store, 3, "nine", 20.5, 9);
    add(store, 4, "eight", 20.5, 8);
    made_init(&made, 5, "full", "full", "{}", 10, -1); /* not marked, though better */
    sample_store(store, &made.sample, 5);
    made_init(&made, 6, "gptq", "other model", "{}", 30, -1); /* alone in its model */
    made.sample.point.model_hash = "dd";
    sample_store(store, &made.sample, 6);
    store_close(store);
    struct table_request request = {.show = "perplexity", .format = TABLE_MARKDOWN};
    char *text = answered(&request);
    holds(text, "| best        | **7.39 [7.39, 7.39]** |");
    holds(text, "| ten         |     9.97 [9.97, 9.97] |");
    holds(text, " †: cannot be told from it");
    char *line = line_of(text, "| nine ");
    lacks(line, "†");
    free(line);
    line = line_of(text, "| eight ");
    holds(line, " † |");
    free(line);
    line = line_of(text, "| full ");
    lacks(line, "*");
    free(line);
    line = line_of(text, "| other model ");
    lacks(line, "*");
    free(line);
    free(text);
    request = (struct table_request){.format = TABLE_JSON};
    text = answered(&request);
    holds(text, "\"mark\":\"best\"");
    holds(text, "\"mark_p\":0.109375");
    holds(text, "\"mark_p\":0.04296875");
    holds(text, "\"mark_p\":0.005859375");
    free(text);
}

/* Three calibration seeds with perplexities 10, 12 and 14: 12 with a deviation of 2. The items'
 * means over the seeds are 2/3, 1, 2/3, 2/3, 0: a variance of 0.5333 / 4, over 5 items. */
static void test_seeds(void **state)
{
    struct store *store = open_writer();
    struct made made;
    char label[64], settings[128];
    made_init(&made, 9, "full", "full", "{}", 20, -1);
    made_items(&made, "11100");
    sample_store(store, &made.sample, 0);
    for (int i = 0; i < 3; i++) {
        snprintf(label, sizeof label, "gptq bits=2 calibration.seed=%d", 7 + i);
        snprintf(settings, sizeof settings,
                 "{\"options\": {\"bits\": 2}, \"calibration\": {\"seed\": %d, \"hash\": \"h%d\"}}",
                 7 + i, i);
        made_init(&made, i + 1, "gptq", label, settings, 23 + i, 5);
        made_items(&made, (const char *[]){"11110", "11000", "01110"}[i]);
        made.sample.metrics[0].value = 10 + 2 * i;
        made.sample.metrics[0].kl_divergence = 0.25 * (i + 1);
        made.sample.metrics[0].same_top = 0.5;
        made.sample.metrics[0].compared = true;
        made.sample.point.stored_bits = 2 + i;
        sample_store(store, &made.sample, i + 1);
    }
    made_init(&made, 4, "gptq", "gptq bits=3 calibration.seed=7",
              "{\"options\": {\"bits\": 3}, \"calibration\": {\"seed\": 7, \"hash\": \"h0\"}}", 21,
              -1);
    sample_store(store, &made.sample, 4);
    store_close(store);
    struct table_request request = {
        .show = "stored_bits, seeds, perplexity, deviation:kjv, accuracy, deviation:kjv_half, "
                "flips, kl, same_top"};
    char *text = answered(&request);
    holds(text, "| gptq bits=2 [a]                |        3.00 |     3 | ");
    holds(text, " 12.00 [");
    holds(text, " |     2.00 | 60.0 ± 16.3 "
                "|          20.0 |      -0.7 +0.7 | 0.5000 |           50.0 |");
    holds(text, "| gptq bits=3 calibration.seed=7 |");
    holds(text, "- [a] mean over 3 calibration seeds: 7, 8, 9\n");
    free(text);
    request.seeds_apart = true;
    text = answered(&request);
    holds(text, "| gptq bits=2 calibration.seed=8 |        3.00 |");
    lacks(text, "mean over");
    free(text);
}

/* The interval of the mean over seeds is the sampling error of the windows' means: seeds that are
 * copies of one another have the interval of the one. */
static void test_sampling_error(void **state)
{
    struct store *store = open_writer();
    struct made made;
    struct table one, three;
    struct arena arena = {0};
    for (int i = 0; i < 3; i++) {
        char settings[64];
        snprintf(settings, sizeof settings, "{\"calibration\": {\"seed\": %d}}", i);
        made_init(&made, i + 1, "gptq", "gptq", settings, 23, 5);
        made_items(&made, "11010");
        sample_store(store, &made.sample, i);
    }
    assert_int_equal(table_load(&one, store, "trial", &arena), 0);
    const struct table_selection together = {.seeds_together = true};
    assert_int_equal(table_select(&three, store, &together, &arena), 0);
    assert_int_equal(one.row_count, 3);
    assert_int_equal(three.row_count, 1);
    for (int j = 0; j < 2; j++) {
        const struct table_value *a = &one.rows[0].values[j], *b = &three.rows[0].values[j];
        assert_true(fabs(a->value - b->value) < 1e-12 && b->deviation < 1e-12);
        assert_true(fabs(a->standard_error - b->standard_error) < 1e-12);
        if (j == 0)
            assert_true(fabs(a->low - b->low) < 1e-9 && fabs(a->high - b->high) < 1e-9);
    }
    arena_release(&arena);
    store_close(store);
}

/* Both directions of flips, and the notes. */
static void test_flips_and_notes(void **state)
{
    struct store *store = open_writer();
    struct made made;
    made_init(&made, 1, "full", "full", "{}", 20, -1);
    made_items(&made, "11001");
    sample_store(store, &made.sample, 0);
    made_init(&made, 2, "rtn", "rtn bits=2", "{}", 22, -1);
    made_items(&made, "01100");
    made.sample.point.exception_count = 1;
    made.sample.point.repetition.busy = 1;
    made.sample.point.warnings = "corpus text differs";
    made.sample.metrics[0].overlap_measured = made.sample.metrics[0].overlap_allowed = true;
    made.sample.metrics[0].overlap = 0.073;
    sample_store(store, &made.sample, 1);
    store_close(store);
    struct table_request request = {0};
    char *text = answered(&request);
    holds(text, "| kjv_half flips |");
    holds(text, "|          -2 +1 |");
    holds(text, "- [a] corpus text differs; 1 exception: not every tensor got what was asked "
                "(--exceptions); the machine had other work: its times are no measure; calibration "
                "holds 7.3 % of the 13-grams of kjv (allowed)\n");
    free(text);
    request = (struct table_request){.form = TABLE_PIVOT, .rows = "method"};
    text = answered(&request); /* the cell of a pivot has its note too */
    holds(text, "| full   |     7.39 |\n");
    holds(text, "| rtn    | 9.03 [a] |\n");
    holds(text, "- [a] corpus text differs; 1 exception");
    lacks(text, "other work"); /* no times, no word of them */
    free(text);
    request.value = "quantize_seconds";
    text = answered(&request);
    holds(text, "other work");
    free(text);
    request = (struct table_request){.show = "stored_bits, total_seconds / 60"};
    text = answered(&request);
    holds(text, "other work");
    free(text);
    request.show = "stored_bits, perplexity";
    text = answered(&request);
    lacks(text, "other work");
    free(text);
    request = (struct table_request){.format = TABLE_CSV};
    text = answered(&request);
    holds(text, "kjv_half_accuracy_to_wrong,kjv_half_accuracy_to_right,");
    holds(text, ",2,1,");
    free(text);
}

/* The papers' rule and llama.cpp's, and windows of other lengths, never share a column. */
static void test_rules(void **state)
{
    struct store *store = open_writer();
    struct made made;
    made_init(&made, 1, "rtn", "papers", "{}", 20, -1);
    sample_store(store, &made.sample, 0);
    made_init(&made, 2, "rtn", "llama.cpp", "{}", 10, -1);
    made.sample.metrics[0].rule = "second-half";
    sample_store(store, &made.sample, 1);
    made_init(&made, 3, "rtn", "longer", "{}", 30, -1);
    made.sample.metrics[0].window = 16;
    sample_store(store, &made.sample, 2);
    store_close(store);
    struct table_request request = {.show = "perplexity", .format = TABLE_CSV};
    char *text = answered(&request);
    assert_string_equal(text,
                        "method,kjv windows w8 ppl,kjv second-half w8 ppl,kjv windows w16 ppl\r\n"
                        "papers,7.389056099,,\r\nllama.cpp,,2.718281828,\r\nlonger,,,20.08553692"
                        "\r\n");
    free(text);
    request.form = TABLE_PIVOT; /* and no column of a pivot mixes them */
    request.show = NULL;
    request.rows = "label";
    request.value = "perplexity";
    text = answered(&request);
    holds(text, "label,kjv windows w8 ppl,kjv second-half w8 ppl,kjv windows w16 ppl\r\n");
    holds(text, "\r\nllama.cpp,,2.718281828,\r\n");
    free(text);
}

static void test_holm(void **state)
{
    /* Textbook: 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02. */
    const double p[] = {0.01, 0.04, 0.03, 0.005}, want[] = {0.03, 0.06, 0.06, 0.02};
    double got[4], mean, deviation;
    statistics_holm(p, got, 4);
    for (int i = 0; i < 4; i++)
        assert_true(fabs(got[i] - want[i]) < 1e-15);
    statistics_holm((const double[]){0.9, 0.8}, got, 2);
    assert_true(got[0] == 1 && got[1] == 1);
    statistics_mean((const double[]){2, 4, 4, 4, 5, 5, 7, 9}, 8, &mean, &deviation);
    assert_true(mean == 5 && fabs(deviation - sqrt(32.0 / 7)) < 1e-15);
    statistics_mean((const double[]){3}, 1, &mean, &deviation);
    assert_true(mean == 3 && isnan(deviation));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_marks),          TEST(test_seeds),
                                       TEST(test_sampling_error), TEST(test_flips_and_notes),
                                       TEST(test_rules),          cmocka_unit_test(test_holm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
