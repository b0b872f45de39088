#include "harness/statistics.h"

#include "core/err.h"
#include "core/rng.h"

#include <math.h>
#include <stdlib.h>

const double STATISTICS_NORMAL_975 = 1.959963984540054;

double statistics_quantile(const double *sorted, int n, double q)
{
    double position = q * (n - 1);
    int below = (int)position;
    if (below >= n - 1)
        return sorted[n - 1];
    return sorted[below] + (position - below) * (sorted[below + 1] - sorted[below]);
}

void statistics_wilson(double successes, double n, double *low, double *high)
{
    double z2 = STATISTICS_NORMAL_975 * STATISTICS_NORMAL_975, p = successes / n;
    double centre = (p + z2 / (2 * n)) / (1 + z2 / n);
    double half = STATISTICS_NORMAL_975 * sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    *low = successes <= 0 ? 0 : centre - half; /* exactly, without rounding noise at the ends */
    *high = successes >= n ? 1 : centre + half;
}

double statistics_sign_test(int wins, int losses)
{
    int n = wins + losses, fewer = wins < losses ? wins : losses, sign;
    double log_all = n * log(0.5), tail = 0;
    if (n == 0)
        return 1;
    for (int i = 0; i <= fewer; i++) /* C(n, i) / 2^n through logarithms: n may be thousands */
        tail += exp(lgamma_r(n + 1.0, &sign) - lgamma_r(i + 1.0, &sign) -
                    lgamma_r(n - i + 1.0, &sign) + log_all);
    return fmin(1, 2 * tail);
}

/* Two indices below n from one 64-bit draw: the high half of 32 random bits times n. Its bias is at
 * most n / 2^32. */
static void draw_pair(struct rng *rng, uint32_t n, uint32_t *first, uint32_t *second)
{
    uint64_t draw = rng_next(rng);
    *first = (uint32_t)(((draw >> 32) * n) >> 32);
    *second = (uint32_t)(((draw & 0xffffffffu) * n) >> 32);
}

/* One value a part: what is summed above and below the fraction line. */
struct ratio_terms {
    const struct metric_part *ours, *base; /* base: NULL, or subtracted */
    int by_count; /* the lower sum is that of the counts, else the number of parts */
};

static void add_terms(const struct ratio_terms *terms, uint32_t i, double *upper, double *lower)
{
    *upper += terms->base ? terms->ours[i].value - terms->base[i].value : terms->ours[i].value;
    *lower += terms->by_count ? terms->ours[i].count : 1;
}

static int compare_doubles(const void *a, const void *b)
{
    double x, y;
    x = *(const double *)a;
    y = *(const double *)b;
    return (x > y) - (x < y);
}

void statistics_sort(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
}

/* estimates[r] = sum upper / sum lower of the r-th resample of n parts with replacement. */
static void bootstrap(const struct ratio_terms *terms, int n, uint64_t seed,
                      double estimates[STATISTICS_RESAMPLES])
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (int r = 0; r < STATISTICS_RESAMPLES; r++) {
        double upper = 0, lower = 0;
        uint32_t i, j;
        for (int k = 0; k < n; k += 2) {
            draw_pair(&rng, (uint32_t)n, &i, &j);
            add_terms(terms, i, &upper, &lower);
            if (k + 1 < n)
                add_terms(terms, j, &upper, &lower);
        }
        estimates[r] = upper / lower;
    }
}

/* The standard deviation and the 95 % percentile interval of the estimates, which are sorted on
 * return. */
static void summarize(double estimates[STATISTICS_RESAMPLES], double *standard_error, double *low,
                      double *high)
{
    double mean = 0, squares = 0;
    for (int r = 0; r < STATISTICS_RESAMPLES; r++)
        mean += estimates[r] / STATISTICS_RESAMPLES;
    for (int r = 0; r < STATISTICS_RESAMPLES; r++)
        squares += (estimates[r] - mean) * (estimates[r] - mean);
    *standard_error = sqrt(squares / (STATISTICS_RESAMPLES - 1));
    statistics_sort(estimates, STATISTICS_RESAMPLES);
    *low = statistics_quantile(estimates, STATISTICS_RESAMPLES, 0.025);
    *high = statistics_quantile(estimates, STATISTICS_RESAMPLES, 0.975);
}

static int check_windows(const struct metric_part *parts, int count)
{
    if (count <= 0)
        return err_set(ERR_USAGE, "perplexity: there is not a single window");
    for (int i = 0; i < count; i++) {
        if (!isfinite(parts[i].value))
            return err_set(ERR_NUMERIC, "perplexity: the log-likelihood of window %d is not finite",
                           parts[i].index);
        if (parts[i].count <= 0)
            return err_set(ERR_NUMERIC, "perplexity: window %d has no scored tokens",
                           parts[i].index);
    }
    return 0;
}

static void give(double *out, double value)
{
    if (out)
        *out = value;
}

int statistics_perplexity(const struct metric_part *parts, int count, uint64_t seed, double *value,
                          double *standard_error, double *low, double *high)
{
    double estimates[STATISTICS_RESAMPLES], upper = 0, lower = 0, error = NAN, from = NAN, to = NAN;
    struct ratio_terms terms = {parts, NULL, 1};
    int rc = check_windows(parts, count);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++)
        add_terms(&terms, (uint32_t)i, &upper, &lower);
    if (count > 1) {
        bootstrap(&terms, count, seed, estimates);
        for (int r = 0; r < STATISTICS_RESAMPLES; r++)
            estimates[r] = exp(estimates[r]);
        summarize(estimates, &error, &from, &to);
    }
    give(value, exp(upper / lower));
    give(standard_error, error);
    give(low, from);
    give(high, to);
    return 0;
}

static int check_items(const struct metric_part *parts, int count)
{
    if (count <= 0)
        return err_set(ERR_USAGE, "accuracy: there is not a single item");
    for (int i = 0; i < count; i++)
        if (!(parts[i].value >= 0 && parts[i].value <= 1))
            return err_set(ERR_NUMERIC, "accuracy: item %d is %g, neither right (1) nor wrong (0)",
                           parts[i].index, parts[i].value);
    return 0;
}

int statistics_accuracy(const struct metric_part *parts, int count, double *value,
                        double *standard_error, double *low, double *high)
{
    double right = 0, from, to;
    int rc = check_items(parts, count);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++)
        right += parts[i].value;
    double p = right / count;
    statistics_wilson(right, count, &from, &to);
    give(value, p);
    give(standard_error, count > 1 ? sqrt(p * (1 - p) / (count - 1)) : NAN);
    give(low, from);
    give(high, to);
    return 0;
}

/* Everything but the value, low, high and standard error, which the callers know how to scale. */
static void count_signs(const struct metric_part *ours, const struct metric_part *base, int count,
                        struct paired *out)
{
    *out = (struct paired){.pairs = count, .standard_error = NAN, .low = NAN, .high = NAN};
    for (int i = 0; i < count; i++) {
        out->above += ours[i].value > base[i].value;
        out->below += ours[i].value < base[i].value;
    }
    out->p = statistics_sign_test(out->above, out->below);
}

int statistics_paired_accuracy(const struct metric_part *ours, const struct metric_part *base,
                               int count, uint64_t seed, struct paired *out)
{
    double estimates[STATISTICS_RESAMPLES], upper = 0, lower = 0;
    struct ratio_terms terms = {ours, base, 0};
    int rc = check_items(ours, count);
    if (rc == 0)
        rc = check_items(base, count);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++) {
        if (ours[i].index != base[i].index || ours[i].gold != base[i].gold)
            return err_set(ERR_USAGE,
                           "paired difference: item %d of one point is not item %d of the other",
                           ours[i].index, base[i].index);
        add_terms(&terms, (uint32_t)i, &upper, &lower);
    }
    count_signs(ours, base, count, out);
    out->value = upper / lower;
    if (count > 1) {
        bootstrap(&terms, count, seed, estimates);
        summarize(estimates, &out->standard_error, &out->low, &out->high);
    }
    return 0;
}

/* The mean difference per token, or its exponential. */
static int paired_windows(const struct metric_part *ours, const struct metric_part *base, int count,
                          uint64_t seed, int exponential, struct paired *out)
{
    double estimates[STATISTICS_RESAMPLES], upper = 0, lower = 0;
    struct ratio_terms terms = {ours, base, 1};
    int rc = check_windows(ours, count);
    if (rc == 0)
        rc = check_windows(base, count);
    if (rc)
        return rc;
    for (int i = 0; i < count; i++) {
        if (ours[i].index != base[i].index || ours[i].count != base[i].count)
            return err_set(
                ERR_USAGE,
                "paired difference: window %d of one point is not window %d of the other",
                ours[i].index, base[i].index);
        add_terms(&terms, (uint32_t)i, &upper, &lower);
    }
    count_signs(ours, base, count, out);
    out->value = exponential ? exp(upper / lower) : upper / lower;
    if (count > 1) {
        bootstrap(&terms, count, seed, estimates);
        for (int r = 0; r < STATISTICS_RESAMPLES && exponential; r++)
            estimates[r] = exp(estimates[r]);
        summarize(estimates, &out->standard_error, &out->low, &out->high);
    }
    return 0;
}

int statistics_paired_perplexity(const struct metric_part *ours, const struct metric_part *base,
                                 int count, uint64_t seed, struct paired *out)
{
    return paired_windows(ours, base, count, seed, 1, out);
}

int statistics_paired_means(const struct metric_part *ours, const struct metric_part *base,
                            int count, uint64_t seed, struct paired *out)
{
    return paired_windows(ours, base, count, seed, 0, out);
}

void statistics_mean(const double *values, int count, double *mean, double *deviation)
{
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    *mean = count > 0 ? sum / count : NAN;
    for (int i = 0; i < count; i++)
        squares += (values[i] - *mean) * (values[i] - *mean);
    *deviation = count > 1 ? sqrt(squares / (count - 1)) : NAN;
}

void statistics_holm(const double *p, double *corrected, int count)
{
    double least = 0;
    for (int k = 0; k < count; k++)
        corrected[k] = -1; /* not ranked yet */
    for (int k = 0; k < count; k++) {
        int next = -1;
        for (int i = 0; i < count; i++)
            if (corrected[i] < 0 && (next < 0 || p[i] < p[next]))
                next = i;
        least = fmax(least, fmin(1, p[next] * (count - k)));
        corrected[next] = least;
    }
}
