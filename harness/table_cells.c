/* Numbers to texts: how many digits, which units, which columns. */
#include "core/err.h"
#include "harness/table_grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define NOTHING "–"

enum { NUMBER = TABLE_NUMBER, HEAD_COLUMNS = 5 };

/* Digits for a reader: two behind the point up to 100, fewer above; powers of ten from a million.
 */
void table_number(char out[NUMBER], double value)
{
    double size = fabs(value);
    if (isnan(value))
        snprintf(out, NUMBER, NOTHING);
    else if (size < 1e6)
        snprintf(out, NUMBER, "%.*f", size < 100 ? 2 : size < 1000 ? 1 : 0, value);
    else
        snprintf(out, NUMBER, "%.2e", value);
}

static void fixed(char out[NUMBER], double value, int digits)
{
    if (isnan(value))
        snprintf(out, NUMBER, NOTHING);
    else
        snprintf(out, NUMBER, "%.*f", digits, value);
}

/* Ratios near one need more digits than the numbers they are made of. */
static void ratio(char out[NUMBER], double value)
{
    if (value < 10)
        fixed(out, value, 3);
    else
        table_number(out, value);
}

/* "-1.5", and never "-0.0". */
static void points(char out[NUMBER], double share)
{
    double value = round(share * 1000) / 10;
    fixed(out, value == 0 ? 0 : value, 1);
}

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

static int measured(const struct table_metric *m, const struct table_value *v, struct arena *arena,
                    const char **out)
{
    if (!v->present)
        return arena_printf(arena, out, NOTHING);
    if (table_metric_is_perplexity(m))
        return with_interval(arena, out, v->value, v->low, v->high, table_number);
    char value[NUMBER], error[NUMBER];
    points(value, v->value);
    points(error, v->standard_error);
    return arena_printf(arena, out, "%s ± %s", value, error);
}

static int difference(const struct table_metric *m, const struct table_value *v,
                      struct arena *arena, const char **out)
{
    if (!v->compared)
        return arena_printf(arena, out, NOTHING);
    if (v->compared == 2)
        return arena_printf(arena, out, table_metric_is_perplexity(m) ? "1" : "0");
    return with_interval(arena, out, v->paired.value, v->paired.low, v->paired.high,
                         table_metric_is_perplexity(m) ? ratio : points);
}

static int grid_init(struct grid *grid, int rows, int columns, struct arena *arena)
{
    int rc = arena_calloc(arena, &grid->cells, (size_t)rows * (size_t)columns, sizeof *grid->cells);
    grid->rows = rows;
    grid->columns = columns;
    for (int i = 0; rc == 0 && i < rows * columns; i++)
        grid->cells[i] = NOTHING;
    return rc;
}

void note_mark(int i, char out[4])
{
    if (i < 26)
        snprintf(out, 4, "%c", 'a' + i);
    else
        snprintf(out, 4, "%c%c", 'a' + (i / 26 - 1) % 26, 'a' + i % 26);
}

int table_notes(struct notes *notes, const struct table *table, struct arena *arena)
{
    int rc;
    *notes = (struct notes){0};
    TRY(arena_calloc(arena, &notes->texts, (size_t)table->row_count, sizeof *notes->texts));
    TRY(arena_calloc(arena, &notes->of_row, (size_t)table->row_count, sizeof *notes->of_row));
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        const char *text = row->warnings;
        int known = 0;
        if (row->failed)
            TRY(arena_printf(arena, &text, "failed: %s%s%s", row->error, *row->warnings ? "; " : "",
                             row->warnings));
        notes->of_row[i] = -1;
        if (!*text)
            continue;
        while (known < notes->count && strcmp(notes->texts[known], text) != 0)
            known++;
        if (known == notes->count)
            notes->texts[notes->count++] = text;
        notes->of_row[i] = known;
    }
out:
    return rc;
}

const char *table_model_name(const char *model)
{
    const char *slash = strrchr(model, '/');
    return slash && slash[1] ? slash + 1 : model;
}

/* With several models each row says which it is of. */
static int label(const struct table *table, const struct table_row *row, int note,
                 struct arena *arena, const char **out)
{
    char mark[4] = "";
    if (note >= 0)
        note_mark(note, mark);
    return arena_printf(arena, out, "%s%s%s%s%s%s",
                        table->models > 1 ? table_model_name(row->model) : "",
                        table->models > 1 ? ": " : "", row->label, note >= 0 ? " [" : "", mark,
                        note >= 0 ? "]" : "");
}

/* One decimal below 100 seconds, none above. */
static int seconds(double value, struct arena *arena, const char **out)
{
    char text[NUMBER];
    fixed(text, value, value < 100 ? 1 : 0);
    return arena_printf(arena, out, "%s", text);
}

static int bits(double value, struct arena *arena, const char **out)
{
    char text[NUMBER];
    fixed(text, value, 2);
    return arena_printf(arena, out, "%s", text);
}

/* True when some row counts marks apart: only then there is a column for them. */
static int has_marks(const struct table *table)
{
    for (int i = 0; i < table->row_count; i++)
        if (table->rows[i].marks_bits > 0)
            return 1;
    return 0;
}

static int result_header(struct grid *grid, const struct table *table, int marks,
                         struct arena *arena)
{
    const char **cell = grid->cells;
    int rc = 0;
    *cell++ = "method";
    *cell++ = "paper bits";
    if (marks)
        *cell++ = "marks";
    *cell++ = "stored bits";
    *cell++ = "file bits";
    for (int j = 0; j < table->metric_count; j++) {
        const struct table_metric *m = &table->metrics[j];
        TRY(arena_printf(arena, cell++, "%s %s", m->title,
                         table_metric_is_perplexity(m) ? "ppl" : "%"));
    }
    *cell++ = "quantize s";
    *cell++ = "total s";
out:
    return rc;
}

static int result_row(const char **cell, const struct table *table, const struct table_row *row,
                      int marks, struct arena *arena)
{
    int rc;
    TRY(bits(row->weights > 0 ? row->paper_bits : NAN, arena, cell++));
    if (marks)
        TRY(bits(row->weights > 0 ? row->marks_bits : NAN, arena, cell++));
    TRY(bits(row->weights > 0 ? row->stored_bits : NAN, arena, cell++));
    TRY(bits(row->full_bits, arena, cell++));
    for (int j = 0; j < table->metric_count; j++)
        TRY(measured(&table->metrics[j], &row->values[j], arena, cell++));
    TRY(seconds(row->weights > 0 ? row->quantize_seconds : NAN, arena, cell++));
    TRY(seconds(row->total_seconds, arena, cell++));
out:
    return rc;
}

int table_results(struct grid *grid, const struct table *table, const struct notes *notes,
                  struct arena *arena)
{
    int rc, marks = has_marks(table);
    TRY(grid_init(grid, table->row_count + 1, HEAD_COLUMNS + 1 + (marks != 0) + table->metric_count,
                  arena));
    TRY(result_header(grid, table, marks, arena));
    for (int i = 0; i < table->row_count; i++) {
        const char **cell = grid->cells + (i + 1) * grid->columns;
        TRY(label(table, &table->rows[i], notes->of_row[i], arena, cell));
        if (table->rows[i].failed)
            cell[1] = "failed";
        else
            TRY(result_row(cell + 1, table, &table->rows[i], marks, arena));
    }
out:
    return rc;
}

/* *compared = 1 when a row that is not the full-precision one itself has a difference. */
static int count_differences(const struct table *table, int *perplexities)
{
    int compared = 0;
    *perplexities = 0;
    for (int j = 0; j < table->metric_count; j++) {
        *perplexities += table_metric_is_perplexity(&table->metrics[j]);
        for (int i = 0; i < table->row_count; i++)
            compared |= table->rows[i].values[j].compared == 1;
    }
    return compared;
}

int table_differences(struct grid *grid, const struct table *table, struct arena *arena)
{
    int rc = 0, perplexities, compared = count_differences(table, &perplexities);
    int differences = compared ? table->metric_count : 0;
    *grid = (struct grid){0};
    if (differences + perplexities == 0)
        return 0;
    TRY(grid_init(grid, table->row_count + 1, 1 + differences + perplexities, arena));
    grid->cells[0] = "method";
    for (int j = 0; j < table->metric_count; j++) {
        const struct table_metric *m = &table->metrics[j];
        int perplexity = table_metric_is_perplexity(m);
        if (compared)
            TRY(arena_printf(arena, &grid->cells[1 + j], "%s %s", m->title,
                             perplexity ? "ppl ratio" : "% diff."));
        if (perplexity)
            TRY(arena_printf(arena, &grid->cells[1 + differences + j], "%s bits/byte", m->title));
    }
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *row = &table->rows[i];
        const char **cell = grid->cells + (i + 1) * grid->columns;
        TRY(label(table, row, -1, arena, cell));
        for (int j = 0; j < table->metric_count; j++) {
            if (compared)
                TRY(difference(&table->metrics[j], &row->values[j], arena, cell + 1 + j));
            if (table_metric_is_perplexity(&table->metrics[j]) && row->values[j].present) {
                char text[NUMBER];
                fixed(text, row->values[j].bits_per_byte, 3);
                TRY(arena_printf(arena, cell + 1 + differences + j, "%s", text));
            }
        }
    }
out:
    return rc;
}

int table_legend(const struct table_metric *m, struct arena *arena, const char **out)
{
    if (table_metric_is_perplexity(m) && m->window == 0)
        return arena_printf(arena, out, "%s ppl: perplexity of %ld last words, data %.8s", m->title,
                            m->count, m->data_hash);
    if (table_metric_is_perplexity(m))
        return arena_printf(arena, out,
                            "%s ppl: perplexity, %s split, %ld windows of %d tokens (%ld scored), "
                            "rule %s, data %.8s",
                            m->title, m->split, m->parts, m->window, m->count, m->rule,
                            m->data_hash);
    return arena_printf(arena, out, "%s %%: accuracy, %s split, %ld items, scored by %s, data %.8s",
                        m->title, m->split, m->count, m->rule, m->data_hash);
}
