#include "harness/table_mean.h"

#include "core/err.h"

#include <math.h>
#include <string.h>

static bool same_task(const struct table_metric *a, const struct table_metric *b)
{
    return strcmp(a->dataset, b->dataset) == 0 && strcmp(a->split, b->split) == 0 &&
           strcmp(a->data_hash, b->data_hash) == 0;
}

/* True for the first metric of each task. */
static bool begins_task(const struct table *table, int metric)
{
    if (table_metric_is_perplexity(&table->metrics[metric]))
        return false;
    for (int i = 0; i < metric; i++)
        if (!table_metric_is_perplexity(&table->metrics[i]) &&
            same_task(&table->metrics[i], &table->metrics[metric]))
            return false;
    return true;
}

/* The metric of the task that begins at `first` which is scored by `rule`, or -1. */
static int scored_by(const struct table *table, int first, const char *rule)
{
    for (int i = first; i < table->metric_count; i++)
        if (!table_metric_is_perplexity(&table->metrics[i]) &&
            same_task(&table->metrics[i], &table->metrics[first]) &&
            strcmp(table->metrics[i].rule, rule) == 0)
            return i;
    return -1;
}

/* The first metric of any task that is scored by `rule`, or -1. */
static int find_rule(const struct table *table, const char *rule)
{
    for (int i = 0; i < table->metric_count; i++)
        if (!table_metric_is_perplexity(&table->metrics[i]) &&
            strcmp(table->metrics[i].rule, rule) == 0)
            return i;
    return -1;
}

bool table_mean_has_rule(const struct table *table, const char *rule)
{
    return find_rule(table, rule) >= 0;
}

int table_mean_rules(const struct table *table, struct arena *arena, const char **rules)
{
    int rc = 0;
    *rules = "";
    for (int i = 0; i < table->metric_count; i++)
        if (find_rule(table, table->metrics[i].rule) == i)
            TRY(arena_printf(arena, rules, "%s%s'%s'", *rules, **rules ? ", " : "",
                             table->metrics[i].rule));
out:
    return rc;
}

void table_mean_accuracy(const struct table *table, const struct table_row *row, const char *rule,
                         double *mean, double *standard_error)
{
    double sum = 0, squares = 0;
    int tasks = 0;
    for (int i = 0; i < table->metric_count; i++) {
        if (!begins_task(table, i))
            continue;
        int at = scored_by(table, i, rule);
        at = at < 0 ? scored_by(table, i, "sum") : at;
        const struct table_value *value = &row->values[at < 0 ? i : at];
        sum += value->present ? value->value : NAN;
        squares += value->standard_error * value->standard_error;
        tasks++;
    }
    *mean = sum / tasks;
    *standard_error = sqrt(squares) / tasks;
}
