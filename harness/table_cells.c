/* What stands in a cell: the text of a measure of a row, and the number behind it. */
#include "core/err.h"
#include "harness/table_grid.h"
#include "harness/table_mean.h"
#include "harness/table_measure.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER = TABLE_NUMBER };

static int with_interval(struct arena *arena, const char **out, double value, double low,
                         double high, void (*format)(char *, double))
{
    char a[NUMBER], b[NUMBER], c[NUMBER];
    format(a, value);
    format(b, low);
    format(c, high);
    if (isnan(low) || isnan(high))
        return arena_printf(arena, out, "%s", a);
    return arena_printf(arena, out, "%s [%s, %s]", a, b, c);
}

/* An accuracy and its standard error, in percent. */
static int with_error(struct arena *arena, const char **out, double value, double error)
{
    char a[NUMBER], b[NUMBER];
    table_points(a, value);
    table_points(b, error);
    return arena_printf(arena, out, "%s ± %s", a, b);
}

static int measured(const struct table_metric *m, const struct table_value *v, struct arena *arena,
                    const char **out)
{
    if (table_metric_is_perplexity(m))
        return with_interval(arena, out, v->value, v->low, v->high, table_number);
    return with_error(arena, out, v->value, v->standard_error);
}

static int mean_accuracy(const struct table *table, const struct table_row *row, const char *rule,
                         struct arena *arena, const char **out, double *number)
{
    double error;
    table_mean_accuracy(table, row, rule, number, &error);
    return isnan(*number) ? 0 : with_error(arena, out, *number, error);
}

static int difference(const struct table_metric *m, const struct table_value *v,
                      struct arena *arena, const char **out, double *number)
{
    if (!v->compared)
        return 0;
    *number = v->paired.value;
    if (v->compared == 2)
        return arena_printf(arena, out, table_metric_is_perplexity(m) ? "1" : "0");
    return with_interval(arena, out, v->paired.value, v->paired.low, v->paired.high,
                         table_metric_is_perplexity(m) ? table_ratio : table_points);
}

/* Whole for one point, means for several seeds. */
static int flips(const struct table_value *v, int seeds, struct arena *arena, const char **out)
{
    if (!v->compared)
        return 0;
    if (v->compared == 2)
        return arena_printf(arena, out, "0");
    return arena_printf(arena, out, "-%.*f +%.*f", seeds > 1, v->to_wrong, seeds > 1, v->to_right);
}

static int number_cell(double value, void (*format)(char *, double), struct arena *arena,
                       const char **text, double *number)
{
    char shown[NUMBER];
    *number = value;
    format(shown, value);
    return arena_printf(arena, text, "%s", shown);
}

static void two_digits(char *out, double value)
{
    table_fixed(out, value, 2);
}

static void three_digits(char *out, double value)
{
    table_fixed(out, value, 3);
}

static void four_digits(char *out, double value)
{
    table_fixed(out, value, 4);
}

/* One decimal below 100, none above. */
static void seconds(char *out, double value)
{
    table_fixed(out, value, value < 100 ? 1 : 0);
}

static void megabytes(char *out, double value)
{
    table_fixed(out, value / 1e6, value < 1e8 ? 1 : 0);
}

static int metric_cell(const struct measure *measure, const struct table *table,
                       const struct table_row *row, struct arena *arena, const char **text,
                       double *number)
{
    const struct table_metric *m = &table->metrics[measure->metric];
    const struct table_value *v = &row->values[measure->metric];
    if (!v->present)
        return 0;
    switch (measure->quantity) {
    case QUANTITY_VALUE: *number = v->value; return measured(m, v, arena, text);
    case QUANTITY_DEVIATION:
        return number_cell(v->deviation,
                           table_metric_is_perplexity(m) ? table_number : table_points, arena, text,
                           number);
    case QUANTITY_DIFFERENCE: return difference(m, v, arena, text, number);
    case QUANTITY_BITS_PER_BYTE:
        return number_cell(v->bits_per_byte, three_digits, arena, text, number);
    case QUANTITY_KL: return number_cell(v->kl, four_digits, arena, text, number);
    case QUANTITY_SAME_TOP: return number_cell(v->same_top, table_points, arena, text, number);
    case QUANTITY_FLIPS: return flips(v, row->id_count, arena, text);
    case QUANTITY_TO_WRONG:
    case QUANTITY_TO_RIGHT:
        if (!v->compared)
            return 0;
        *number = measure->quantity == QUANTITY_TO_WRONG ? v->to_wrong : v->to_right;
        return arena_printf(arena, text, "%.*f", row->id_count > 1, *number);
    default: return 0;
    }
}

int measure_cell(const struct measure *measure, const struct table *table, int row_index,
                 struct arena *arena, const char **text, double *number)
{
    const struct table_row *row = &table->rows[row_index];
    const bool quantized = row->weights > 0;
    *text = TABLE_NOTHING;
    *number = NAN;
    switch (measure->quantity) {
    case QUANTITY_PAPER_BITS:
        return number_cell(quantized ? row->paper_bits : NAN, two_digits, arena, text, number);
    case QUANTITY_MARKS_BITS:
        return number_cell(quantized ? row->marks_bits : NAN, two_digits, arena, text, number);
    case QUANTITY_STORED_BITS:
        return number_cell(quantized ? row->stored_bits : NAN, two_digits, arena, text, number);
    case QUANTITY_FILE_BITS: return number_cell(row->full_bits, two_digits, arena, text, number);
    case QUANTITY_QUANTIZE:
        return number_cell(quantized ? row->quantize_seconds : NAN, seconds, arena, text, number);
    case QUANTITY_TOTAL: return number_cell(row->total_seconds, seconds, arena, text, number);
    case QUANTITY_MEMORY: return number_cell(row->peak_memory, megabytes, arena, text, number);
    case QUANTITY_SEEDS:
        *number = row->id_count;
        return row->id_count > 1 ? arena_printf(arena, text, "%d", row->id_count) : 0;
    case QUANTITY_MEAN_ACCURACY:
        return mean_accuracy(table, row, measure->rule, arena, text, number);
    case QUANTITY_PUBLISHED:
    case QUANTITY_EXPRESSION:
        *number = measure->numbers[row_index];
        *text = measure->texts[row_index] ? measure->texts[row_index] : TABLE_NOTHING;
        return 0;
    default: return metric_cell(measure, table, row, arena, text, number);
    }
}

int measures_grid(struct grid *grid, const struct table *table, const struct measures *measures,
                  const struct notes *notes, struct arena *arena)
{
    struct grid_writer writer;
    int rc;
    TRY(grid_init(grid, table->row_count + 1, measures->count + 1, &writer, arena));
    grid->cells[0] = "method";
    for (int j = 0; j < measures->count; j++)
        grid->cells[j + 1] = measures->all[j].head;
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        const int at = (i + 1) * grid->columns;
        TRY(table_label(table, row, notes ? notes->of_row[i] : -1, arena, &grid->cells[at]));
        for (int j = 0; j < measures->count; j++) {
            const struct measure *measure = &measures->all[j];
            const bool asked = measure->quantity == QUANTITY_EXPRESSION;
            if (row->failed && !asked)
                continue;
            TRY(measure_cell(measure, table, i, arena, &grid->cells[at + 1 + j],
                             &writer.values[at + 1 + j]));
            if (measure_is_marked(measure))
                writer.marks[at + 1 + j] = row->values[measure->metric].mark;
        }
        if (row->failed && notes && measures->all[0].quantity != QUANTITY_EXPRESSION)
            grid->cells[at + 1] = "failed";
    }
out:
    return rc;
}

int table_results(struct grid *grid, const struct table *table, const struct notes *notes,
                  struct arena *arena)
{
    struct measures measures;
    int rc;
    TRY(measures_results(&measures, table, NULL, arena));
    TRY(measures_grid(grid, table, &measures, notes, arena));
out:
    return rc;
}
