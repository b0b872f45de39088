/* The fronts of an experiment: what `bitbench table --pareto` and the report print. */
#ifndef HARNESS_TABLE_PARETO_H
#define HARNESS_TABLE_PARETO_H

#include "harness/table.h"
#include "harness/table_grid.h"

/* A line a quantized point: for each perplexity the costs ("paper", "stored", "file", "time") on
 * whose front it is, among the points of its model. rows = 0 when no perplexity was measured. */
int pareto_marks(struct grid *grid, const struct table *table, struct arena *arena);

/* A line a method (of each model): for each perplexity and cost the pareto_ratio of its front to
 * that of all points of the model. */
int pareto_areas(struct grid *grid, const struct table *table, struct arena *arena);

/* Markdown and LaTeX: both tables; CSV and JSON: a line for each point, perplexity and cost. */
int pareto_print(const struct table *table, enum table_format format, FILE *out,
                 struct arena *arena);

#endif
