#include "harness/table_marks.h"

#include "core/err.h"

#include <math.h>
#include <string.h>

const char marks_note[] =
    "bold: the best quantized point of a column; †: cannot be told from it (paired on the same "
    "windows or items, exact sign test, p corrected by Holm's procedure for the column, above "
    "0.05).";

static bool takes_part(const struct table_row *row, int metric)
{
    return row && !row->failed && row->weights > 0 && row->values[metric].present &&
           isfinite(row->values[metric].value);
}

static int find_best(const struct table_metric *metric, int index,
                     const struct table_row *const *rows, int count)
{
    int best = -1;
    for (int i = 0; i < count; i++) {
        if (!takes_part(rows[i], index))
            continue;
        double value = rows[i]->values[index].value;
        if (best < 0 ||
            (table_metric_is_perplexity(metric) ? value < rows[best]->values[index].value
                                                : value > rows[best]->values[index].value))
            best = i;
    }
    return best;
}

/* p of the sign test over windows or items that differ. *same = 0 where they do not match. */
static int sign_test(const struct metric_part *ours, int count, const struct metric_part *base,
                     int base_count, bool perplexity, double *p)
{
    int above = 0, below = 0;
    if (count != base_count || count == 0)
        return 0;
    for (int k = 0; k < count; k++) {
        if (ours[k].index != base[k].index || (perplexity && ours[k].count != base[k].count) ||
            (!perplexity && ours[k].gold != base[k].gold) || !isfinite(ours[k].value) ||
            !isfinite(base[k].value))
            return 0;
        above += ours[k].value > base[k].value;
        below += ours[k].value < base[k].value;
    }
    *p = statistics_sign_test(above, below);
    return 1;
}

/* Comparisons with the best: their p and which row each is of. */
static int compare_all(struct store *store, const struct table_metric *metric, int index,
                       const struct table_row *const *rows, int count, int best, double *p, int *of,
                       int *compared, struct arena *arena)
{
    struct metric_part *base, *ours;
    int rc, base_count, our_count;
    const bool perplexity = table_metric_is_perplexity(metric);
    *compared = 0;
    TRY(table_parts(store, rows[best], metric, arena, &base, &base_count));
    for (int i = 0; i < count; i++) {
        if (i == best || !takes_part(rows[i], index) ||
            strcmp(rows[i]->model_hash, rows[best]->model_hash) != 0)
            continue;
        struct arena_mark mark = arena_mark(arena);
        TRY(table_parts(store, rows[i], metric, arena, &ours, &our_count));
        of[*compared] = i;
        *compared += sign_test(ours, our_count, base, base_count, perplexity, &p[*compared]);
        arena_reset(arena, mark);
    }
out:
    return rc;
}

int marks_of(struct store *store, const struct table_metric *metric, int metric_index,
             const struct table_row *const *rows, int count, enum table_mark *marks, double *p,
             struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    const int best = find_best(metric, metric_index, rows, count);
    int others = 0;
    double *raw, *corrected;
    int rc = 0, compared, *of;
    for (int i = 0; i < count; i++) {
        marks[i] = MARK_NONE;
        p[i] = NAN;
        others += i != best && takes_part(rows[i], metric_index);
    }
    if (others == 0) /* the only one is not the best of anything */
        return 0;
    TRY(arena_alloc(arena, &raw, (size_t)count, sizeof *raw));
    TRY(arena_alloc(arena, &corrected, (size_t)count, sizeof *corrected));
    TRY(arena_alloc(arena, &of, (size_t)count, sizeof *of));
    TRY(compare_all(store, metric, metric_index, rows, count, best, raw, of, &compared, arena));
    statistics_holm(raw, corrected, compared);
    marks[best] = MARK_BEST;
    for (int k = 0; k < compared; k++) {
        p[of[k]] = corrected[k];
        marks[of[k]] = corrected[k] > MARKS_LEVEL ? MARK_NEAR : MARK_NONE;
    }
out:
    arena_reset(arena, mark);
    return rc;
}

/* True for the first row of its model. */
static bool is_first(const struct table *table, int row)
{
    for (int i = 0; i < row; i++)
        if (strcmp(table->rows[i].model_hash, table->rows[row].model_hash) == 0)
            return false;
    return true;
}

static int mark_model(struct table *table, struct store *store, const char *model_hash, int metric,
                      struct arena *arena)
{
    const size_t n = (size_t)table->row_count;
    const struct table_row **rows;
    enum table_mark *marks;
    double *p;
    int rc;
    TRY(arena_calloc(arena, &rows, n, sizeof *rows));
    TRY(arena_alloc(arena, &marks, n, sizeof *marks));
    TRY(arena_alloc(arena, &p, n, sizeof *p));
    for (int i = 0; i < table->row_count; i++)
        if (strcmp(table->rows[i].model_hash, model_hash) == 0)
            rows[i] = &table->rows[i];
    TRY(marks_of(store, &table->metrics[metric], metric, rows, table->row_count, marks, p, arena));
    for (int i = 0; i < table->row_count; i++)
        if (rows[i]) {
            table->rows[i].values[metric].mark = marks[i];
            table->rows[i].values[metric].mark_p = p[i];
        }
out:
    return rc;
}

int table_mark(struct table *table, struct store *store, struct arena *arena)
{
    int rc = 0;
    for (int i = 0; i < table->row_count; i++)
        for (int j = 0; is_first(table, i) && j < table->metric_count; j++)
            TRY(mark_model(table, store, table->rows[i].model_hash, j, arena));
out:
    return rc;
}
