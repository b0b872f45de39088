/* Paired comparison of stored points: textbook values of the sign test and of Holm's procedure. */
#include "harness/compare.h"
#include "harness/compare_full.h"
#include "tests/store_sample.h"

enum { WINDOWS = 40 };

/* A point of 40 windows of 100 tokens: the first `above` lose `step` nats more than the base, the
 * others as much less. */
static void store_point(struct store *store, int number, const char *label, int above, double step)
{
    struct sample s;
    struct metric_part parts[WINDOWS];
    sample_init(&s, number);
    snprintf(s.id, sizeof s.id, "%d%063d", number, 0);
    s.point.label = label;
    for (int i = 0; i < WINDOWS; i++)
        parts[i] = (struct metric_part){
            .index = i, .value = 300 + i + (i < above ? step : -step), .count = 100};
    s.metrics[0].parts = parts;
    s.metrics[0].part_count = WINDOWS;
    sample_store(store, &s, number);
}

static struct store *store_points(void)
{
    struct store *store = open_writer();
    store_point(store, 1, "full", 0, 0);
    store_point(store, 2, "all worse", WINDOWS, 10);
    store_point(store, 3, "most worse", 28, 1);
    store_point(store, 4, "the same", 0, 0);
    store_point(store, 5, "the same", 0, 0);
    return store;
}

static double binomial_tail(int n, int most) /* sum of C(n, i) / 2^n for i <= most */
{
    double term = pow(0.5, n), sum = 0;
    for (int i = 0; i <= most; i++) {
        sum += term;
        term = term * (n - i) / (i + 1);
    }
    return sum;
}

static void textbook(void **state)
{
    struct store *store = store_points();
    struct arena arena = {0};
    struct table table;
    struct compare compare;
    const struct table_row *rows[3];
    assert_int_equal(table_load(&table, store, "trial", &arena), 0);
    for (int i = 0; i < 3; i++)
        rows[i] = &table.rows[i + 1];
    assert_int_equal(compare_make(&compare, store, &table, &table.rows[0], rows, 3, &arena), 0);
    assert_int_equal(compare.count, 6); /* a perplexity and an accuracy each */
    const struct compare_line *all = &compare.lines[0], *most = &compare.lines[2],
                              *same = &compare.lines[4];
    assert_true(fabs(all->paired.value - exp(0.1)) < 1e-12); /* 10 nats in each 100 tokens */
    assert_true(fabs(all->paired.low - exp(0.1)) < 1e-12 && all->resolvable < 1e-9);
    assert_true(fabs(most->paired.value - exp(16.0 / 4000)) < 1e-12); /* 28 up and 12 down */
    /* by hand: the standard deviation of +-1 nat with 28 of 40 up is 2 sqrt(.7 .3) = 0.9165; over
     * sqrt(40) 100 tokens 0.00145; times 1.96 + 0.84 */
    assert_true(fabs(most->resolvable - 2.8016 * 0.00145 * most->paired.value) < 3e-4);
    double p_all = 2 * pow(0.5, 40), p_most = 2 * binomial_tail(40, 12);
    assert_true(fabs(all->paired.p / p_all - 1) < 1e-9);
    assert_true(fabs(most->paired.p / p_most - 1) < 1e-9);
    assert_true(fabs(all->corrected / (6 * p_all) - 1) < 1e-9); /* Holm: 6 comparisons, then 5 */
    assert_true(fabs(most->corrected / (5 * p_most) - 1) < 1e-9);
    assert_true(same->paired.p == 1 && same->corrected == 1);
    assert_true(same->paired.above == 0 && same->paired.below == 0);
    arena_release(&arena);
    store_close(store);
}

static void names(void **state)
{
    struct store *store = store_points();
    struct arena arena = {0};
    struct table table;
    const struct table_row *row;
    assert_int_equal(table_load(&table, store, "trial", &arena), 0);
    assert_int_equal(compare_find(&table, "most worse", &row), 0);
    assert_ptr_equal(row, &table.rows[2]);
    assert_int_equal(compare_find(&table, "4000", &row), 0);
    assert_ptr_equal(row, &table.rows[3]);
    expect_error(compare_find(&table, "400", &row), ERR_USAGE, "no point '400', only 'full'");
    expect_error(compare_find(&table, "the same", &row), ERR_USAGE, "2 points 'the same'");
    expect_error(compare_find(&table, "", &row), ERR_USAGE, "no point ''");
    arena_release(&arena);
    store_close(store);
}

/* Windows that do not match one by one are not compared. */
static void other_windows(void **state)
{
    struct store *store = open_writer();
    struct arena arena = {0};
    struct table table;
    struct compare compare;
    struct sample s;
    sample_init(&s, 1);
    s.metrics[0].part_count = 2;
    s.point.metric_count = 1;
    sample_store(store, &s, 0);
    sample_init(&s, 2);
    sample_store(store, &s, 1);
    assert_int_equal(table_load(&table, store, "trial", &arena), 0);
    const struct table_row *rows[] = {&table.rows[1]};
    expect_error(compare_make(&compare, store, &table, &table.rows[0], rows, 1, &arena), ERR_USAGE,
                 "nothing was measured on both");
    arena_release(&arena);
    store_close(store);
}

/* How far two points are from full precision: divergences are paired by window, 0.1 nats more a
 * token in each; of four answers, one and then three are lost and none or one is won. */
static void against_full(void **state)
{
    struct store *store = open_writer();
    struct arena arena = {0};
    struct table table;
    struct divergences d;
    static const char *const right[] = {"1110", "0110", "0001"};
    for (int i = 0; i < 3; i++) {
        struct sample s;
        struct metric_part items[4];
        sample_init(&s, i + 1);
        s.point.method = i ? "rtn" : "full";
        s.metrics[0].compared = i > 0;
        s.metrics[0].kl_divergence = 0.1 * i;
        s.metrics[0].same_top = 1 - 0.25 * i;
        for (int k = 0; k < 3; k++)
            s.windows[k].kl = 0.7 * i + 0.01 * k;
        for (int k = 0; k < 4; k++)
            items[k] = (struct metric_part){.index = k, .value = right[i][k] == '1', .gold = 1};
        s.metrics[1].parts = items;
        s.metrics[1].part_count = 4;
        sample_store(store, &s, i);
    }
    assert_int_equal(table_load(&table, store, "trial", &arena), 0);
    const struct table_row *rows[] = {&table.rows[1], &table.rows[2]};
    assert_int_equal(divergences_make(&d, store, &table, rows[0], rows, 2, &arena), 0);
    assert_int_equal(d.count, 4);
    const double base[] = {0.1, 0.75, 1, 0}, ours[] = {0.2, 0.5, 3, 1};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(d.lines[i].what, i);
        assert_true(fabs(d.lines[i].base - base[i]) < 1e-12);
        assert_true(fabs(d.lines[i].ours - ours[i]) < 1e-12);
    }
    assert_true(fabs(d.lines[0].difference - 0.1) < 1e-12); /* 0.7 nats in each 7 tokens */
    assert_true(fabs(d.lines[0].low - 0.1) < 1e-12 && fabs(d.lines[0].high - 0.1) < 1e-12);
    assert_true(isnan(d.lines[1].difference));
    assert_int_equal(divergences_make(&d, store, &table, &table.rows[0], rows, 2, &arena), 0);
    assert_true(isnan(d.lines[0].base) && isnan(d.lines[0].difference)); /* it is full itself */
    assert_true(d.lines[2].base == 0 && d.lines[2].ours == 1);
    arena_release(&arena);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(textbook, setup, teardown),
        cmocka_unit_test_setup_teardown(names, setup, teardown),
        cmocka_unit_test_setup_teardown(other_windows, setup, teardown),
        cmocka_unit_test_setup_teardown(against_full, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
