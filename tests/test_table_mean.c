/* The mean over the tasks, of hand-made points whose tasks are scored by one rule or by several. */
#include "tests/table_points.h"

enum { METRICS = 5 };

static const struct {
    const char *dataset, *rule;
} scored[METRICS] = {{"piqa", "sum"},
                     {"piqa", "characters"},
                     {"boolq", "sum"},
                     {"arc", "characters"},
                     {"pmi", "pmi"}};

/* Accuracies in the order above, the first `count` of them, each with an error of 3 points. */
static void write_point(struct store *store, int number, const double *accuracies, int count)
{
    struct made made;
    struct metric_record metrics[METRICS];
    char label[16];
    snprintf(label, sizeof label, "rtn bits=%d", number);
    made_init(&made, number, "rtn", label, "{}", 1, -1);
    for (int i = 0; i < count; i++) {
        metrics[i] = made.sample.metrics[1];
        metrics[i].dataset = scored[i].dataset;
        metrics[i].data_hash = scored[i].dataset;
        metrics[i].rule = scored[i].rule;
        metrics[i].value = accuracies[i];
        metrics[i].standard_error = 0.03;
    }
    made.sample.point.metrics = metrics;
    made.sample.point.metric_count = count;
    sample_store(store, &made.sample, number);
}

static void write_points(void)
{
    struct store *store = open_writer();
    write_point(store, 1, (const double[]){0.50, 0.70, 0.60, 0.40, 0.30}, METRICS);
    write_point(store, 2, (const double[]){0.90, 0.90}, 2); /* lacks tasks: no mean */
    struct made text;
    made_init(&text, 3, "rtn", "text alone", "{}", 1, -1);
    sample_store(store, &text.sample, 3);
    store_close(store);
}

static void test_mean(void **state)
{
    struct table_request request = {.show = "mean_accuracy, mean_accuracy:characters"};
    write_points();
    char *text = answered(&request);
    /* (50 + 60 + 40 + 30) / 4 and (70 + 60 + 40 + 30) / 4; 3 points times sqrt(4) / 4 */
    holds(text, "| method     |     mean % | mean characters % |");
    holds(text, "| rtn bits=1 | 45.0 ± 1.5 |        50.0 ± 1.5 |");
    holds(text, "| rtn bits=2 |          – |                 – |");
    free(text);
    request.show = "mean_accuracy";
    request.format = TABLE_CSV;
    text = answered(&request);
    holds(text, "rtn bits=1,0.45");
    free(text);
}

static void test_refused(void **state)
{
    struct table_request request = {.show = "mean_accuracy:bytes"};
    write_points();
    refused(&request, ERR_USAGE,
            "no task was scored by 'bytes', only by 'sum', 'characters', 'pmi'");
    request.where = "label = 'text alone'";
    request.show = "mean_accuracy";
    refused(&request, ERR_USAGE, "no task was measured");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_mean, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
