/* The mean accuracy over the tasks of a row, as the papers' tables end with. */
#ifndef HARNESS_TABLE_MEAN_H
#define HARNESS_TABLE_MEAN_H

#include "harness/table_data.h"

/* Each task counts once, however many items it has. Of a task that is scored by several rules the
 * value of `rule` is taken where it has that one, else the first ("sum" where it has that). Items
 * of different tasks are independent, so that the error is sqrt(sum of squares) / tasks. NaN both
 * where the row lacks a task of the table. */
void table_mean_accuracy(const struct table *table, const struct table_row *row, const char *rule,
                         double *mean, double *standard_error);

/* Whether some task of the table is scored by `rule`. */
bool table_mean_has_rule(const struct table *table, const char *rule);

/* *rules = "'sum', 'characters'": those that tasks of the table are scored by, "" without tasks. */
int table_mean_rules(const struct table *table, struct arena *arena, const char **rules);

#endif
