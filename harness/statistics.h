/* Standard errors, 95 % intervals and paired differences of stored metrics. Everything is a pure
 * function of the parts and the seed: the same rows give the same digits on every machine and for
 * every number of threads. */
#ifndef HARNESS_STATISTICS_H
#define HARNESS_STATISTICS_H

#include "harness/store.h"

#include <stdint.h>

enum { STATISTICS_RESAMPLES = 2000, STATISTICS_SEED = 1 }; /* of every bootstrap here */

extern const double STATISTICS_NORMAL_975; /* the 97.5 % quantile of the standard normal */

/* parts: windows, .value = summed negative log-likelihood (nats), .count = scored tokens (> 0).
 * *value = exp(sum value / sum count). *low, *high: percentile bootstrap over windows of the same
 * ratio of sums; *standard_error: the standard deviation over the resamples. A single window has no
 * spread: the three are then NaN. ERR_NUMERIC when a part is not finite or has no tokens; ERR_USAGE
 * without parts. Any out pointer may be NULL. */
int statistics_perplexity(const struct metric_part *parts, int count, uint64_t seed, double *value,
                          double *standard_error, double *low, double *high);

/* parts: items, .value = 1 right or 0 wrong. *value = p, their mean; *standard_error = sqrt(p (1 -
 * p) / (n - 1)); *low, *high: Wilson's score interval, which stays inside [0, 1]. One item: the
 * standard error is NaN. */
int statistics_accuracy(const struct metric_part *parts, int count, double *value,
                        double *standard_error, double *low, double *high);

/* The difference between two points that were measured on the same windows or items. */
struct paired {
    double value;          /* perplexity: the ratio ours / base; accuracy: ours - base */
    double standard_error; /* of value (perplexity: of the ratio), from the bootstrap */
    double low, high;      /* 95 % percentile bootstrap over the pairs */
    double p; /* two-sided exact sign test over windows or items that differ (items: McNemar's exact
                 test) */
    int pairs, above, below; /* pairs; those where ours has the higher, the lower value */
};

/* ratio = exp((sum ours - sum base) / sum count) over windows. ERR_USAGE unless both lists hold the
 * same windows (index and count, in the same order). */
int statistics_paired_perplexity(const struct metric_part *ours, const struct metric_part *base,
                                 int count, uint64_t seed, struct paired *out);

/* (sum ours - sum base) / sum count over windows, of other sums than log-likelihoods: of
 * divergences, in nats a token. The same errors. */
int statistics_paired_means(const struct metric_part *ours, const struct metric_part *base,
                            int count, uint64_t seed, struct paired *out);

/* The mean of ours - base over items. ERR_USAGE unless both lists hold the same items (index and
 * gold). */
int statistics_paired_accuracy(const struct metric_part *ours, const struct metric_part *base,
                               int count, uint64_t seed, struct paired *out);

/* Two-sided p of the exact sign test: twice the binomial tail of min(wins, losses) among wins +
 * losses fair draws, at most 1; 1 when there are none. Also McNemar's exact test, on the two
 * discordant counts. */
double statistics_sign_test(int wins, int losses);

/* Into ascending order, as statistics_quantile wants them. */
void statistics_sort(double *values, int n);

/* The q-quantile (0..1) of n sorted values, linear between order statistics (the default of R and
 * NumPy). */
double statistics_quantile(const double *sorted, int n, double q);

/* *mean and *deviation (n - 1 below the line); NaN without values, and for the deviation of one. */
void statistics_mean(const double *values, int count, double *mean, double *deviation);

/* Holm's step-down correction (1979) of `count` p-values: the k-th smallest times count - k + 1,
 * never less than the one before, at most 1. No p may be NaN. */
void statistics_holm(const double *p, double *corrected, int count);

/* Wilson's score interval of a share of successes/n at 95 %. */
void statistics_wilson(double successes, double n, double *low, double *high);

#endif
