/* Intervals and paired differences against published values and closed forms. */
#include "core/err.h"
#include "core/rng.h"
#include "harness/statistics.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { WINDOWS = 400 };

static void close_to(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("got %.9g, wanted %.9g +- %.3g", got, want, tolerance);
}

/* Newcombe (1998), Statistics in Medicine 17, table I, method 3 (score interval without continuity
 * correction). */
static void test_wilson(void **state)
{
    static const struct {
        double successes, n, low, high;
    } rows[] = {{81, 263, 0.2553, 0.3662},
                {15, 148, 0.0624, 0.1605},
                {0, 20, 0, 0.1611},
                {1, 29, 0.0061, 0.1718}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double low, high;
        statistics_wilson(rows[i].successes, rows[i].n, &low, &high);
        close_to(low, rows[i].low, 5e-5);
        close_to(high, rows[i].high, 5e-5);
    }
    double low, high;
    statistics_wilson(20, 20, &low, &high);
    close_to(high, 1, 0);
}

static void test_sign_test(void **state)
{
    close_to(statistics_sign_test(8, 2), 112.0 / 1024, 1e-12);
    close_to(statistics_sign_test(1, 9), 22.0 / 1024, 1e-12);
    close_to(statistics_sign_test(0, 5), 2.0 / 32, 1e-12);
    close_to(statistics_sign_test(5, 5), 1, 0);
    close_to(statistics_sign_test(0, 0), 1, 0);
    /* Large counts stay finite, and meet the normal approximation with continuity correction. */
    double p = statistics_sign_test(5100, 4900);
    close_to(p, erfc((200 - 1) / 100.0 / sqrt(2)), 1e-4);
}

static void test_quantile(void **state)
{
    static const double sorted[] = {1, 2, 3, 4, 10};
    close_to(statistics_quantile(sorted, 5, 0), 1, 0);
    close_to(statistics_quantile(sorted, 5, 1), 10, 0);
    close_to(statistics_quantile(sorted, 5, 0.5), 3, 0);
    close_to(statistics_quantile(sorted, 5, 0.9), 7.6, 1e-12); /* quantile(c(1,2,3,4,10), 0.9) in R
                                                                */
    close_to(statistics_quantile(sorted, 1, 0.3), 1, 0);
}

/* Windows of unequal length with normal per-token losses. */
static void make_windows(struct metric_part *parts, int n, double mean, double spread,
                         uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (int i = 0; i < n; i++) {
        int tokens = 100 + (int)rng_below(&rng, 100);
        parts[i] = (struct metric_part){.index = i, .count = tokens};
        parts[i].value = tokens * (mean + spread * rng_normal(&rng));
    }
}

static void test_perplexity_value(void **state)
{
    struct metric_part two[] = {{.index = 0, .value = 2 * log(8), .count = 2},
                                {.index = 1, .value = 6 * log(2), .count = 6}};
    double value, error, low, high;
    assert_int_equal(statistics_perplexity(two, 2, 1, &value, &error, &low, &high), 0);
    close_to(value, exp(12 * log(2) / 8), 1e-12); /* (3 * 2 + 6) ln 2 over 8 tokens */
    close_to(low, 2, 1e-12);                      /* all resamples of one window */
    close_to(high, 8, 1e-12);
    assert_int_equal(statistics_perplexity(two, 1, 1, &value, &error, &low, &high), 0);
    close_to(value, 8, 1e-12);
    assert_true(isnan(error) && isnan(low) && isnan(high));
    assert_int_equal(statistics_perplexity(two, 2, 1, &value, NULL, NULL, NULL), 0);
}

/* The bootstrap's standard error of a ratio of sums against the delta method's. */
static void test_perplexity_interval(void **state)
{
    static struct metric_part parts[WINDOWS];
    double value, error, low, high, upper = 0, lower = 0, squares = 0, again;
    make_windows(parts, WINDOWS, 3, 0.4, 7);
    for (int i = 0; i < WINDOWS; i++) {
        upper += parts[i].value;
        lower += parts[i].count;
    }
    for (int i = 0; i < WINDOWS; i++) {
        double rest = parts[i].value - upper / lower * parts[i].count;
        squares += rest * rest;
    }
    double delta = sqrt(squares) / lower; /* of the mean log-likelihood */
    assert_int_equal(statistics_perplexity(parts, WINDOWS, 0, &value, &error, &low, &high), 0);
    close_to(value, exp(upper / lower), 1e-9);
    close_to(error / value, delta, 0.06 * delta);
    close_to(log(low), upper / lower - 1.96 * delta, 0.3 * delta);
    close_to(log(high), upper / lower + 1.96 * delta, 0.3 * delta);
    assert_int_equal(statistics_perplexity(parts, WINDOWS, 0, NULL, &again, NULL, NULL), 0);
    assert_memory_equal(&again, &error, sizeof error);
    assert_int_equal(statistics_perplexity(parts, WINDOWS, 1, NULL, &again, NULL, NULL), 0);
    assert_true(again != error);
}

/* The interval covers the true value in about 95 of 100 draws. */
static void test_perplexity_coverage(void **state)
{
    struct metric_part parts[60];
    int covered = 0;
    for (uint64_t trial = 0; trial < 200; trial++) {
        double low, high;
        make_windows(parts, 60, 3, 0.5, 1000 + trial);
        assert_int_equal(statistics_perplexity(parts, 60, trial, NULL, NULL, &low, &high), 0);
        covered += low <= exp(3) && exp(3) <= high;
    }
    assert_in_range(covered, 178, 200);
}

static void make_items(struct metric_part *parts, int n, int right)
{
    for (int i = 0; i < n; i++)
        parts[i] = (struct metric_part){.index = i, .value = i < right, .gold = i % 4};
}

static void test_accuracy(void **state)
{
    struct metric_part parts[100];
    double value, error, low, high;
    make_items(parts, 100, 80);
    assert_int_equal(statistics_accuracy(parts, 100, &value, &error, &low, &high), 0);
    close_to(value, 0.8, 1e-15);
    close_to(error, sqrt(0.8 * 0.2 / 99), 1e-15); /* 0.0402 */
    close_to(low, 0.7112, 5e-5);                  /* Wilson at 80 of 100 */
    close_to(high, 0.8666, 5e-5);
    assert_int_equal(statistics_accuracy(parts, 1, &value, &error, &low, &high), 0);
    assert_true(value == 1 && isnan(error));
}

/* Windows differ a lot, the points differ by a constant factor with little noise: the paired
 * interval is narrow. */
static void test_paired_perplexity(void **state)
{
    static struct metric_part base[WINDOWS], ours[WINDOWS];
    struct paired paired;
    struct rng rng;
    double upper = 0, lower = 0, squares = 0;
    rng_seed(&rng, 3);
    make_windows(base, WINDOWS, 3, 0.5, 11);
    for (int i = 0; i < WINDOWS; i++) {
        ours[i] = base[i];
        ours[i].value += base[i].count * (log(1.2) + 0.02 * rng_normal(&rng));
        upper += ours[i].value - base[i].value;
        lower += base[i].count;
    }
    for (int i = 0; i < WINDOWS; i++) {
        double rest = ours[i].value - base[i].value - upper / lower * base[i].count;
        squares += rest * rest;
    }
    assert_int_equal(statistics_paired_perplexity(ours, base, WINDOWS, 0, &paired), 0);
    close_to(paired.value, 1.2, 0.005);
    close_to(paired.standard_error, 1.2 * sqrt(squares) / lower, 0.06 * paired.standard_error);
    assert_true(paired.low > 1.19 && paired.high < 1.21 && paired.low < paired.value &&
                paired.value < paired.high);
    assert_int_equal(paired.above, WINDOWS);
    assert_true(paired.p < 1e-100);
    /* To itself: a ratio of exactly one, without spread. */
    assert_int_equal(statistics_paired_perplexity(base, base, WINDOWS, 0, &paired), 0);
    assert_true(paired.value == 1 && paired.low == 1 && paired.high == 1 && paired.p == 1);
}

/* 2 x 2 table: 60 right in both, 10 only in base, 1 only in ours, 29 in neither. */
static void test_paired_accuracy(void **state)
{
    struct metric_part base[100], ours[100];
    struct paired paired;
    make_items(base, 100, 70);
    make_items(ours, 100, 60);
    ours[99].value = 1;
    assert_int_equal(statistics_paired_accuracy(ours, base, 100, 5, &paired), 0);
    close_to(paired.value, -0.09, 1e-12);
    close_to(paired.p, 2 * (1 + 11) / 2048.0, 1e-12); /* McNemar's exact test on 1 against 10 */
    assert_true(paired.above == 1 && paired.below == 10 && paired.pairs == 100);
    double variance = (11 / 100.0 - 0.09 * 0.09) / 100; /* of the mean of -1, 0, 1 */
    close_to(paired.standard_error, sqrt(variance), 0.06 * sqrt(variance));
    close_to(paired.low, -0.09 - 1.96 * sqrt(variance), 0.015);
    close_to(paired.high, -0.09 + 1.96 * sqrt(variance), 0.015);
}

static void test_bad_input(void **state)
{
    struct metric_part a[2] = {{.index = 0, .value = 1, .count = 4},
                               {.index = 1, .value = 1, .count = 4}},
                       b[2];
    struct paired paired;
    double value = 42;
    memcpy(b, a, sizeof a);
    assert_int_equal(statistics_perplexity(a, 0, 0, &value, NULL, NULL, NULL), ERR_USAGE);
    assert_int_equal(statistics_accuracy(a, 0, &value, NULL, NULL, NULL), ERR_USAGE);
    b[1].count = 5;
    assert_int_equal(statistics_paired_perplexity(a, b, 2, 0, &paired), ERR_USAGE);
    b[1].count = 0;
    assert_int_equal(statistics_perplexity(b, 2, 0, &value, NULL, NULL, NULL), ERR_NUMERIC);
    b[1] = (struct metric_part){.index = 7, .value = NAN, .count = 4};
    assert_int_equal(statistics_perplexity(b, 2, 0, &value, NULL, NULL, NULL), ERR_NUMERIC);
    assert_non_null(strstr(err_text(), "window 7"));
    assert_int_equal(statistics_paired_accuracy(a, b, 2, 0, &paired), ERR_NUMERIC);
    b[1] = (struct metric_part){.index = 1, .value = 1, .gold = 3};
    assert_int_equal(statistics_paired_accuracy(a, b, 2, 0, &paired), ERR_USAGE);
    a[0].value = 2.5;
    assert_int_equal(statistics_accuracy(a, 2, &value, NULL, NULL, NULL), ERR_NUMERIC);
    close_to(value, 42, 0); /* untouched by every failure */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson),
        cmocka_unit_test(test_sign_test),
        cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_perplexity_value),
        cmocka_unit_test(test_perplexity_interval),
        cmocka_unit_test(test_perplexity_coverage),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_paired_perplexity),
        cmocka_unit_test(test_paired_accuracy),
        cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
