#include "harness/pareto.h"

#include <math.h>
#include <stdbool.h>

static bool counts(const struct pareto_point *p)
{
    return isfinite(p->cost) && isfinite(p->value) && p->cost > 0 && p->value > 0;
}

void pareto_front(const struct pareto_point *points, int count, int *on)
{
    for (int i = 0; i < count; i++) {
        const struct pareto_point *p = &points[i];
        on[i] = counts(p);
        for (int j = 0; j < count && on[i]; j++) {
            const struct pareto_point *q = &points[j];
            on[i] = !(counts(q) && q->cost <= p->cost && q->value <= p->value &&
                      (q->cost < p->cost || q->value < p->value));
        }
    }
}

double pareto_best(const struct pareto_point *points, int count, double cost)
{
    double best = NAN;
    for (int i = 0; i < count; i++)
        if (counts(&points[i]) && points[i].cost <= cost)
            best = fmin(best, points[i].value); /* fmin passes a NaN over */
    return best;
}

static double extreme(const struct pareto_point *points, int count, bool largest)
{
    double found = NAN;
    for (int i = 0; i < count; i++)
        if (counts(&points[i]))
            found = largest ? fmax(found, points[i].cost) : fmin(found, points[i].cost);
    return found;
}

/* The least cost above `cost` at which either front may step. */
static double next_step(const struct pareto_point *points, int count, double cost, double next)
{
    for (int i = 0; i < count; i++)
        if (counts(&points[i]) && points[i].cost > cost && points[i].cost < next)
            next = points[i].cost;
    return next;
}

double pareto_ratio(const struct pareto_point *ours, int our_count, const struct pareto_point *base,
                    int base_count)
{
    double first = extreme(ours, our_count, false), theirs = extreme(base, base_count, false);
    double last = fmax(extreme(ours, our_count, true), extreme(base, base_count, true));
    double area = 0;
    if (isnan(first) || isnan(theirs))
        return NAN;
    first = fmax(first, theirs);
    for (double at = first; at < last;) {
        double next = next_step(base, base_count, at, next_step(ours, our_count, at, last));
        area += log(next / at) *
                log(pareto_best(ours, our_count, at) / pareto_best(base, base_count, at));
        at = next;
    }
    if (last <= first) /* one cost: the ratio there */
        return pareto_best(ours, our_count, first) / pareto_best(base, base_count, first);
    return exp(area / log(last / first));
}
