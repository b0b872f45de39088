/* Pareto fronts: which points give the least perplexity for what they cost, and how far one front
 * lies from another, as one figure. docs/statistics.md defines both. */
#ifndef HARNESS_PARETO_H
#define HARNESS_PARETO_H

/* Of both, less is better. A point with a cost or value that is not positive and finite belongs to
 * no front. */
struct pareto_point {
    double cost, value;
};

/* on[i] = 1 where no other point is at most as costly, at most as bad, and better in one of the
 * two. Points that are equal are on the front together. */
void pareto_front(const struct pareto_point *points, int count, int *on);

/* The least value among the points that cost at most `cost`; NaN when there are none. */
double pareto_best(const struct pareto_point *points, int count, double cost);

/* The area between the fronts of `ours` and `base`, over the logarithm of the cost, in logarithms
 * of the value, divided by its width and taken back from the logarithm: the geometric mean, over
 * the costs that both reach, of our best value over theirs. From the larger of the two least costs
 * to the largest of all costs. 1: the fronts are equal; NaN: one is empty. */
double pareto_ratio(const struct pareto_point *ours, int our_count, const struct pareto_point *base,
                    int base_count);

#endif
