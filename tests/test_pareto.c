/* Pareto fronts against ones worked out by hand. */
#include "harness/pareto.h"
#include "harness/table_pareto.h"
#include "tests/expect.h"
#include "tests/store_sample.h"

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static void front_is(const struct pareto_point *points, int count, const int *want)
{
    int on[16];
    pareto_front(points, count, on);
    for (int i = 0; i < count; i++)
        if (on[i] != want[i])
            fail_msg("point %d: %d, wanted %d", i, on[i], want[i]);
}

static void test_front(void **state)
{
    static const struct pareto_point points[] = {
        {1, 100}, {2, 50}, {2, 60},  {3, 55},  {4, 10}, {4, 10}, /* equal: both */
        {5, 10},  {6, 9},  {NAN, 1}, {1, NAN}, {0, 1},  {INFINITY, 1}};
    front_is(points, COUNT(points), (const int[]){1, 1, 0, 0, 1, 1, 0, 1, 0, 0, 0, 0});
    front_is(points, 1, (const int[]){1});
    assert_true(pareto_best(points, COUNT(points), 3.5) == 50);
    assert_true(isnan(pareto_best(points, COUNT(points), 0.5)));
}

static void near(double got, double want)
{
    if (!(fabs(got - want) <= 1e-12 * fabs(want)))
        fail_msg("%.17g, wanted %.17g", got, want);
}

static void test_ratio(void **state)
{
    static const struct pareto_point a[] = {{1, 100}, {2, 50}, {4, 10}};
    static const struct pareto_point twice[] = {{1, 200}, {2, 100}, {4, 20}};
    static const struct pareto_point late[] = {{2, 50}, {3, 70}, {4, 10}};
    static const struct pareto_point flat[] = {{1, 80}};
    static const struct pareto_point none[] = {{NAN, 1}};
    near(pareto_ratio(a, 3, a, 3), 1);
    near(pareto_ratio(twice, 3, a, 3), 2);
    near(pareto_ratio(a, 3, twice, 3), 0.5);
    near(pareto_ratio(late, 3, a, 3), 1); /* only where both are; 70 is on no front */
    /* from 1 to 2: 80/100, from 2 to 4: 80/50, equal widths of the logarithm */
    near(pareto_ratio(flat, 1, a, 3), sqrt(0.8 * 1.6));
    near(pareto_ratio(flat, 1, flat, 1), 1);
    near(pareto_ratio((const struct pareto_point[]){{1, 160}}, 1, flat, 1), 2);
    assert_true(isnan(pareto_ratio(none, 1, a, 3)));
}

static void put(struct store *store, int number, const char *method, double bits, double value)
{
    struct sample s;
    char label[32];
    sample_init(&s, number);
    snprintf(label, sizeof label, "%s %g", method, bits);
    s.point.method = method;
    s.point.label = label;
    s.point.paper_bits = s.point.stored_bits = s.point.full_bits = bits;
    s.metrics[0].value = value;
    s.timings[0] = (struct timing_record){"quantize", 5 - bits, 1, 0};
    sample_store(store, &s, number);
}

static char *printed(struct store *store, enum table_format format)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (table_answer(
            store,
            &(struct table_request){.form = TABLE_PARETO, .format = format, .experiment = "trial"},
            out) != 0)
        fail_msg("%s", err_text());
    fclose(out);
    return text;
}

static void test_table(void **state)
{
    struct store *store = open_writer();
    put(store, 1, "gptq", 2, 20);
    put(store, 2, "gptq", 4, 10);
    put(store, 3, "rtn", 2, 40); /* as fast as gptq with as many bits */
    put(store, 4, "rtn", 4, 10); /* as good, too */
    char *text = printed(store, TABLE_MARKDOWN);
    holds(text, "| gptq 2 |       paper, stored, file |");
    holds(text, "| gptq 4 | paper, stored, file, time |");
    holds(text, "| rtn 2  |                         – |");
    holds(text, "| rtn 4  | paper, stored, file, time |");
    holds(text, "| gptq     |      1.000 |");
    holds(text, "| rtn      |      2.000 |");
    /* Between 2 and 4 stored bits rtn has twice the perplexity: one bit of log2 perplexity. */
    holds(text, "| kjv: front of |   gptq |    rtn |\n");
    holds(text, "| gptq          | +0.000 | -1.000 |\n");
    holds(text, "| rtn           | +1.000 | +0.000 |\n");
    free(text);
    text = printed(store, TABLE_CSV);
    holds(text, "label,metric,cost,cost_value,perplexity,on_front,id,model\r\ngptq 2,kjv,paper,2,"
                "20,1,");
    holds(text, "rtn 2,kjv,time,3,40,0,");
    free(text);
    text = printed(store, TABLE_JSON);
    json_t *lines = json_loads(text, 0, NULL);
    assert_int_equal(json_array_size(lines), 16);
    json_decref(lines);
    free(text);
    text = printed(store, TABLE_LATEX);
    holds(text, "\\toprule");
    free(text);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_front), cmocka_unit_test(test_ratio),
        cmocka_unit_test_setup_teardown(test_table, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
