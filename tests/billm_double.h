/* BiLLM (arXiv:2402.04291) as textbook loops in double precision, written from the algorithm and
 * sharing nothing with methods/: the twin that tells roundings from mistakes. With `follow_...` it
 * takes another implementation's decisions in place of its own and says by how much they were worse
 * than its own best: where two choices tie within rounding, that margin is of the size of a
 * rounding; where somebody is wrong, it is not. */
#ifndef TESTS_BILLM_DOUBLE_H
#define TESTS_BILLM_DOUBLE_H

#include "tests/fixture.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum { DOUBLE_LIMIT = 50, DOUBLE_LEVELS = 81, DOUBLE_INNER = 1, DOUBLE_OUTER, DOUBLE_SALIENT };

/* Decisions that were taken over from the other implementation although the twin's own differ. */
enum double_decision {
    DECIDED_COLUMNS,
    DECIDED_RANK,
    DECIDED_LEVEL,
    DECIDED_GROUP,
    DECIDED_SIGN,
    DECISIONS
};

struct billm_double {
    int rows, columns, block;
    bool magnitude; /* the metric |w| in place of w^2 / d^2 */
    double percdamp;
    const double *weight, *hessian; /* rows x columns, columns x columns */
    const uint8_t *follow_groups;   /* rows x columns of DOUBLE_INNER ..., or NULL */
    const float *follow_splits;     /* one a block, or NULL: the twin's own */
    const float *follow_values;     /* W_q, for the signs of weights that equal a mean; or NULL */
    /* out, all but the counts owned */
    double *quantized;
    double *seen; /* the weights as their block saw them: with the earlier blocks' errors */
    uint8_t *groups;
    double *splits; /* one a block */
    int *salient;   /* columns of each block */
    int taken[DECISIONS];
    double margin[DECISIONS]; /* the largest, relative */
};

static inline double *double_array(size_t count)
{
    double *values;
    FIXTURE_OK(mem_calloc(&values, count, sizeof *values));
    return values;
}

static inline void billm_double_release(struct billm_double *t)
{
    mem_free(t->quantized);
    mem_free(t->seen);
    mem_free(t->groups);
    mem_free(t->splits);
    mem_free(t->salient);
}

/* ---- the factor ---- */

/* a := a^-1 by Gauss and Jordan; no pivots are sought: a is positive definite. */
static inline void double_invert(double *a, int n)
{
    for (int k = 0; k < n; k++) {
        double *row = a + (size_t)k * (size_t)n, pivot = 1 / row[k];
        row[k] = 1;
        for (int j = 0; j < n; j++)
            row[j] *= pivot;
        for (int i = 0; i < n; i++) {
            double *other = a + (size_t)i * (size_t)n, factor = other[k];
            if (i == k)
                continue;
            other[k] = 0;
            for (int j = 0; j < n; j++)
                other[j] -= factor * row[j];
        }
    }
}

/* a := U with a = U^T U, zeros below its diagonal. */
static inline void double_cholesky(double *a, int n)
{
    for (int k = 0; k < n; k++) {
        double *row = a + (size_t)k * (size_t)n, root = sqrt(row[k]);
        for (int j = 0; j < n; j++)
            row[j] = j < k ? 0 : row[j] / root;
        for (int i = k + 1; i < n; i++)
            for (int j = i; j < n; j++)
                a[(size_t)i * (size_t)n + (size_t)j] -= row[i] * row[j];
    }
}

/* U with (H + damping)^-1 = U^T U, the diagonal of dead inputs 1. */
static inline double *double_factor(const struct billm_double *t)
{
    int n = t->columns;
    size_t step = (size_t)n + 1;
    double *u = double_array((size_t)n * (size_t)n), mean = 0;
    memcpy(u, t->hessian, (size_t)n * (size_t)n * sizeof *u);
    for (int i = 0; i < n; i++) {
        u[(size_t)i * step] = u[(size_t)i * step] == 0 ? 1 : u[(size_t)i * step];
        mean += u[(size_t)i * step] / n;
    }
    for (int i = 0; i < n; i++)
        u[(size_t)i * step] += t->percdamp * mean;
    double_invert(u, n);
    double_cholesky(u, n);
    return u;
}

/* ---- binarization ---- */

static inline void double_took(struct billm_double *t, enum double_decision what, double margin)
{
    t->taken[what]++;
    t->margin[what] = fmax(t->margin[what], margin);
}

/* q = the residual approximation of w: each order takes the mean off what the orders before have
 * left, and keeps the sign times the mean size. With flip = order * count + i the i-th weight gets
 * the wrong sign at that order; -1 for none. *margin = by how much of the scale that sign was
 * right. Returns the squared error. */
static inline double double_residual(const double *w, int count, int order, int flip, double *q,
                                     double *margin)
{
    double error = 0;
    for (int i = 0; i < count; i++)
        q[i] = 0;
    for (int o = 0; o < order; o++) {
        double mean = 0, scale = 0;
        for (int i = 0; i < count; i++)
            mean += w[i] - q[i];
        mean /= count > 0 ? count : 1;
        for (int i = 0; i < count; i++)
            scale += fabs(w[i] - q[i] - mean);
        scale /= count > 0 ? count : 1;
        for (int i = 0; i < count; i++) {
            double u = w[i] - q[i] - mean, sign = (u > 0) - (u < 0);
            if (o * count + i == flip) {
                sign = -sign;
                *margin = fabs(u) / scale;
            }
            q[i] += mean + sign * scale;
        }
    }
    for (int i = 0; i < count; i++)
        error += (w[i] - q[i]) * (w[i] - q[i]);
    return error;
}

/* Whether a row's values are those of somebody else, but for roundings of `most`, its largest. */
static inline bool double_same(const double *q, const double *other, int count, double most)
{
    for (int i = 0; i < count; i++)
        if (!(fabs(q[i] - other[i]) <= 1e-4 * most))
            return false;
    return true;
}

/* Takes the sign of one weight over, where that makes the group's values those of somebody else. */
static inline void double_follow_sign(struct billm_double *t, const double *w, int count, int order,
                                      const double *other, double most, double *q)
{
    double trial[1024], margin = 0;
    if (double_same(q, other, count, most))
        return;
    for (int flip = 0; flip < order * count; flip++) {
        double_residual(w, count, order, flip, trial, &margin);
        if (double_same(trial, other, count, most)) {
            double_took(t, DECIDED_SIGN, margin);
            memcpy(q, trial, (size_t)count * sizeof *q);
            return;
        }
    }
}

/* The members of a group in a row, approximated together; q and other (W_q of somebody else, whose
 * signs are followed) may be NULL. */
static inline double double_group(struct billm_double *t, const double *w, const uint8_t *group,
                                  int width, int which, int order, const float *other, double *q)
{
    double members[1024], values[1024], others[1024], error, most = 0;
    int count = 0;
    for (int i = 0; i < width; i++) { /* without a branch: they are too often taken wrongly */
        members[count] = w[i];
        count += group[i] == which;
    }
    error = double_residual(members, count, order, -1, values, NULL);
    count = 0;
    for (int i = 0; other && i < width; i++) {
        others[count] = (double)other[i];
        count += group[i] == which;
        most = fmax(most, fabs(w[i]));
    }
    if (other)
        double_follow_sign(t, members, count, order, others, most, values);
    count = 0;
    for (int i = 0; q && i < width; i++)
        if (group[i] == which)
            q[i] = values[count++];
    return error;
}

/* ---- decisions in a block ---- */

/* One block: s is what the searches run on, rows x width; group what becomes of each weight. */
struct double_block {
    struct billm_double *twin;
    int index, start, width;
    double *s;
    uint8_t *group;
};

static inline size_t double_place(const struct double_block *b, int row, int i)
{
    return (size_t)row * (size_t)b->twin->columns + (size_t)(b->start + i);
}

/* order = the columns by descending sum of |s|; the sums go to size. */
static inline void double_rank(const struct double_block *b, double *size, int *order)
{
    for (int i = 0; i < b->width; i++) {
        size[i] = 0;
        for (int r = 0; r < b->twin->rows; r++)
            size[i] += fabs(b->s[r * b->width + i]);
        int at = i;
        for (; at > 0 && size[order[at - 1]] < size[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
}

/* The squared error when the first `count` columns of the order are salient: both parts with order
 * 2. */
static inline double double_columns_error(const struct double_block *b, const int *order, int count)
{
    double error = 0, row[1024], q[1024];
    for (int r = 0; r < b->twin->rows; r++) {
        for (int i = 0; i < b->width; i++)
            row[i] = b->s[r * b->width + order[i]];
        error += double_residual(row, count, 2, -1, q, NULL);
        error += double_residual(row + count, b->width - count, 2, -1, q, NULL);
    }
    return error;
}

static inline int double_first_minimum(const double *error, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        best = error[i] < error[best] ? i : best;
    return best;
}

/* The other implementation's columns in place of the first `*count` of the order: they are brought
 * to its front. */
static inline void double_follow_columns(const struct double_block *b, const double *size,
                                         const double *error, int *order, int *count)
{
    struct billm_double *t = b->twin;
    int found = 0, best = *count;
    double last;
    for (int i = 0; i < b->width; i++)
        found += t->follow_groups[double_place(b, 0, i)] == DOUBLE_SALIENT;
    *count = found;
    if (found != best)
        double_took(t, DECIDED_COLUMNS,
                    found < 1 || found >= DOUBLE_LIMIT ? INFINITY
                                                       : error[found - 1] / error[best - 1] - 1);
    last = found > 0 ? size[order[found - 1]] : 0;
    for (int place = 0, i = 0; i < b->width; i++)
        if (t->follow_groups[double_place(b, 0, order[i])] == DOUBLE_SALIENT) {
            int column = order[i];
            if (i >= found)
                double_took(t, DECIDED_RANK, 1 - size[column] / last);
            memmove(order + place + 1, order + place, (size_t)(i - place) * sizeof *order);
            order[place++] = column;
        }
}

static inline void double_choose_columns(const struct double_block *b)
{
    struct billm_double *t = b->twin;
    double size[1024], error[DOUBLE_LIMIT];
    int order[1024], tried = b->width < DOUBLE_LIMIT ? b->width - 1 : DOUBLE_LIMIT - 1, count;
    double_rank(b, size, order);
    for (int k = 0; k < tried; k++)
        error[k] = double_columns_error(b, order, k + 1);
    count = double_first_minimum(error, tried) + 1;
    if (t->follow_groups)
        double_follow_columns(b, size, error, order, &count);
    for (int r = 0; r < t->rows; r++)
        for (int i = 0; i < b->width; i++)
            b->group[r * b->width + order[i]] = i < count ? DOUBLE_SALIENT : 0;
    t->salient[b->index] = count;
}

static inline int double_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Quantiles 0.1, 0.11, ... 0.9 of |s|, salient columns counting as zeros. Where they lie is found
 * in float32, as in the reference (with n values its places are rounded to 1 / 2^24 of n), what
 * they are in double. */
static inline void double_levels(const struct double_block *b, double *levels)
{
    size_t count = (size_t)b->twin->rows * (size_t)b->width;
    double *sorted = double_array(count);
    const float step = (0.9f - 0.1f) / 80;
    for (size_t i = 0; i < count; i++)
        sorted[i] = b->group[i] == DOUBLE_SALIENT ? 0 : fabs(b->s[i]);
    qsort(sorted, count, sizeof *sorted, double_compare);
    for (int i = 0; i < DOUBLE_LEVELS; i++) {
        float q = i < 40 ? fmaf(step, (float)i, 0.1f) : fmaf(-step, (float)(80 - i), 0.9f);
        float place = (float)(count - 1) * q;
        size_t low = (size_t)place;
        double t = (double)(place - floorf(place));
        levels[i] = low + 1 < count ? sorted[low] + t * (sorted[low + 1] - sorted[low])
                                    : sorted[count - 1];
    }
    mem_free(sorted);
}

/* group = what the weights that are not salient become at a split. */
static inline void double_divide(const struct double_block *b, double split)
{
    for (int i = 0; i < b->twin->rows * b->width; i++)
        if (b->group[i] != DOUBLE_SALIENT)
            b->group[i] = fabs(b->s[i]) >= split ? DOUBLE_OUTER : DOUBLE_INNER;
}

static inline double double_split_error(const struct double_block *b, double split)
{
    double error = 0;
    double_divide(b, split);
    for (int r = 0; r < b->twin->rows; r++)
        for (int which = DOUBLE_INNER; which <= DOUBLE_OUTER; which++)
            error += double_group(b->twin, b->s + r * b->width, b->group + r * b->width, b->width,
                                  which, 1, NULL, NULL);
    return error;
}

/* The level that the other implementation took is the one nearest to its split; then come the
 * groups of single weights. */
static inline void double_follow_split(const struct double_block *b, const double *levels,
                                       const double *error, int best)
{
    struct billm_double *t = b->twin;
    double theirs = t->follow_splits ? (double)t->follow_splits[b->index] : levels[best];
    int nearest = best;
    for (int i = 0; i < DOUBLE_LEVELS; i++)
        if (fabs(levels[i] - theirs) < fabs(levels[nearest] - theirs))
            nearest = i;
    if (nearest != best)
        double_took(t, DECIDED_LEVEL, error[nearest] / error[best] - 1);
    t->splits[b->index] = levels[nearest];
    double_divide(b, levels[nearest]);
    for (int r = 0; r < t->rows; r++)
        for (int i = 0; i < b->width; i++) {
            uint8_t *mine = &b->group[r * b->width + i],
                    their = t->follow_groups[double_place(b, r, i)];
            if (*mine != their)
                double_took(t, DECIDED_GROUP,
                            fabs(fabs(b->s[r * b->width + i]) / levels[nearest] - 1));
            *mine = their;
        }
}

static inline void double_choose_split(const struct double_block *b)
{
    double levels[DOUBLE_LEVELS], error[DOUBLE_LEVELS];
    double_levels(b, levels);
    for (int i = 0; i < DOUBLE_LEVELS; i++)
        error[i] = double_split_error(b, levels[i]);
    int best = double_first_minimum(error, DOUBLE_LEVELS);
    b->twin->splits[b->index] = levels[best];
    double_divide(b, levels[best]);
    if (b->twin->follow_groups)
        double_follow_split(b, levels, error, best);
}

/* ---- the blocks ---- */

/* Binarizes the block and feeds (w - q) / U_ii to the columns behind it. */
static inline void double_feed_back(const struct double_block *b, const double *u)
{
    struct billm_double *t = b->twin;
    size_t n = (size_t)t->columns;
    for (int r = 0; r < t->rows; r++) {
        double *w = t->seen + (size_t)r * n, *q = t->quantized + (size_t)r * n;
        const uint8_t *group = b->group + r * b->width;
        const float *other = t->follow_values ? t->follow_values + double_place(b, r, 0) : NULL;
        for (int which = DOUBLE_INNER; which <= DOUBLE_SALIENT; which++)
            double_group(t, w + b->start, group, b->width, which, which == DOUBLE_SALIENT ? 2 : 1,
                         other, q + b->start);
        for (int i = 0; i < b->width; i++) {
            size_t column = (size_t)(b->start + i);
            double error = (w[column] - q[column]) / u[column * n + column];
            for (size_t j = (size_t)(b->start + b->width); j < n; j++)
                w[j] -= error * u[column * n + j];
            t->groups[double_place(b, r, i)] = group[i];
        }
    }
}

static inline void billm_double_run(struct billm_double *t)
{
    size_t n = (size_t)t->columns, count = (size_t)t->rows * n;
    int blocks = (t->columns + t->block - 1) / t->block;
    double *u = double_factor(t), *s = double_array(count);
    uint8_t *group;
    FIXTURE_OK(mem_calloc(&group, count, 1));
    FIXTURE_OK(mem_calloc(&t->groups, count, 1));
    FIXTURE_OK(mem_calloc(&t->salient, (size_t)blocks, sizeof *t->salient));
    t->quantized = double_array(count);
    t->seen = double_array(count);
    t->splits = double_array((size_t)blocks);
    for (size_t i = 0; i < count; i++)
        t->seen[i] = t->hessian[i % n * (n + 1)] == 0 ? 0 : t->weight[i];
    for (int k = 0; k < blocks; k++) {
        struct double_block b = {
            .twin = t, .index = k, .start = k * t->block, .s = s, .group = group};
        b.width = t->columns - b.start < t->block ? t->columns - b.start : t->block;
        for (int r = 0; r < t->rows; r++)
            for (int i = 0; i < b.width; i++) {
                double w = t->seen[double_place(&b, r, i)];
                double d = u[(size_t)(b.start + i) * (n + 1)];
                s[r * b.width + i] = t->magnitude ? w : w * w / (d * d);
            }
        double_choose_columns(&b);
        double_choose_split(&b);
        double_feed_back(&b, u);
    }
    mem_free(u);
    mem_free(s);
    mem_free(group);
}

/* ---- what came out ---- */

/* The first weight of a row's block that has another value than the other implementation's, or -1.
 * The rows differ beyond rounding when a value is off by 1e-4 of the row's largest weight. */
static inline int double_first_difference(const struct billm_double *t, const double *quantized,
                                          const float *other, int row, int start, int width)
{
    const double *w = t->weight + (size_t)row * (size_t)t->columns;
    double most = 0;
    for (int i = 0; i < t->columns; i++)
        most = fmax(most, fabs(w[i]));
    for (int i = 0; i < width; i++)
        if (!(fabs(quantized[i] -
                   (double)other[(size_t)row * (size_t)t->columns + (size_t)(start + i)]) <=
              1e-4 * most))
            return i;
    return -1;
}

/* Changes the group of that weight in the row's block which makes it what the other implementation
 * has; 0 when no change of one weight does. */
static inline int double_explain_row(struct billm_double *t, const float *other, int row, int start,
                                     int width)
{
    size_t at = (size_t)row * (size_t)t->columns + (size_t)start;
    uint8_t *group = t->groups + at;
    double q[1024];
    for (int i = 0; i < width; i++) {
        if (group[i] == DOUBLE_SALIENT)
            continue;
        group[i] = DOUBLE_INNER + DOUBLE_OUTER - group[i];
        memcpy(q, t->quantized + at, sizeof *q * (size_t)width);
        double_group(t, t->seen + at, group, width, DOUBLE_INNER, 1, NULL, q);
        double_group(t, t->seen + at, group, width, DOUBLE_OUTER, 1, NULL, q);
        if (double_first_difference(t, q, other, row, start, width) < 0)
            return 1;
        group[i] = DOUBLE_INNER + DOUBLE_OUTER - group[i];
    }
    return 0;
}

/* Finds the decisions behind another implementation's W_q: t->groups become those that give it,
 * where a row's block differs by the group of one weight. The first block with differences is
 * looked at; the ones behind it have other weights then. Returns how many rows differ in it, or -1
 * when one of them is not explained so. */
static inline int double_explain(struct billm_double *t, const float *other)
{
    int rows = 0;
    for (int start = 0; start < t->columns && rows == 0; start += t->block) {
        int width = t->columns - start < t->block ? t->columns - start : t->block;
        for (int r = 0; r < t->rows; r++) {
            const double *q = t->quantized + (size_t)r * (size_t)t->columns + start;
            if (double_first_difference(t, q, other, r, start, width) < 0)
                continue;
            if (!double_explain_row(t, other, r, start, width))
                return -1;
            rows++;
        }
    }
    return rows;
}

/* How far apart, relatively, two things may lie that float32 takes for equal. What is compared is
 * w^2 / d^2 or sums of it. A weight of a later block is its first value less a sum of 128 products
 * for each block before: to first order that is off by 129 u of the terms, u = 2^-24 (Higham,
 * Accuracy and Stability of Numerical Algorithms, section 3.1); squaring doubles it, d and the
 * divisions add a few u. */
static const double double_tie = 2 * (128 + 8) * 0x1p-24;

/* Whether every decision that was taken over was a tie; prints them. */
static inline bool double_ties(const char *where, const struct billm_double *t)
{
    static const char *const names[DECISIONS] = {"number of salient columns", "salient column",
                                                 "split level", "group of a weight", "sign"};
    bool all = true;
    for (int i = 0; i < DECISIONS; i++) {
        bool tied = t->margin[i] <= double_tie;
        if (t->taken[i] > 0)
            printf("    %s: another %s, %d times, worse by %.1e at most: %s\n", where, names[i],
                   t->taken[i], t->margin[i],
                   tied ? "a tie in float32" : "more than float32's rounding");
        all = all && tied;
    }
    return all;
}

/* tr((W - Q) H (W - Q)^T) */
static inline double double_loss(const struct billm_double *t)
{
    size_t n = (size_t)t->columns;
    double loss = 0, *row = double_array(n);
    for (int r = 0; r < t->rows; r++) {
        const double *w = t->weight + (size_t)r * n, *q = t->quantized + (size_t)r * n;
        memset(row, 0, n * sizeof *row);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++)
                row[j] += (w[i] - q[i]) * t->hessian[i * n + j];
        for (size_t i = 0; i < n; i++)
            loss += row[i] * (w[i] - q[i]);
    }
    mem_free(row);
    return loss;
}

#endif
