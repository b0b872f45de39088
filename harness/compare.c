#include "harness/compare.h"

#include "core/err.h"
#include "core/mem.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* (z of 97.5 %) + (z of 80 %): a true difference of so many standard errors is found, at the level
 * of 5 %, in 80 % of all samples. */
static const double DETECTABLE = 1.959963984540054 + 0.8416212335729143;

enum { LEAST_DIGITS = 4 };

static bool is_beginning_of(const char *text, const char *id)
{
    size_t length = strlen(text);
    for (size_t i = 0; i < length; i++)
        if (!isxdigit((unsigned char)text[i]))
            return false;
    return length >= LEAST_DIGITS && strncmp(text, id, length) == 0;
}

int compare_find(const struct table *table, const char *text, const struct table_row **row)
{
    struct strbuf labels = {0};
    int found = 0, rc = 0;
    for (int i = 0; i < table->row_count; i++) {
        const struct table_row *r = &table->rows[i];
        bool named = strcmp(r->label, text) == 0;
        for (int k = 0; k < r->id_count; k++)
            named |= is_beginning_of(text, r->ids[k]);
        if (named) {
            *row = r;
            found++;
        }
        TRY(strbuf_printf(&labels, "%s'%s' (%.12s)", i ? ", " : "", r->label, r->id));
    }
    if (found == 0)
        rc = err_set(ERR_USAGE, "%s has no point '%s', only %s", table->experiment, text,
                     labels.data);
    else if (found > 1)
        rc = err_set(ERR_USAGE,
                     "%s has %d points '%s': name one by the beginning of its id; there are %s",
                     table->experiment, found, text, labels.data);
out:
    strbuf_release(&labels);
    return rc;
}

static int add_line(struct compare *compare, struct store *store, const struct table_row *row,
                    const struct table_metric *metric, int index, struct arena *arena)
{
    struct compare_line *line = &compare->lines[compare->count];
    int rc, same;
    *line = (struct compare_line){.row = row,
                                  .metric = metric,
                                  .base = &compare->base->values[index],
                                  .ours = &row->values[index]};
    if (!line->base->present || !line->ours->present)
        return 0;
    TRY(table_compare(store, row, compare->base, metric, &line->paired, &same, arena));
    if (!same)
        goto out;
    /* Where not one item differs, the spread of the differences is not known. */
    line->resolvable = line->paired.above + line->paired.below > 0
                           ? DETECTABLE * line->paired.standard_error
                           : NAN;
    compare->count++;
out:
    return rc;
}

int compare_correct(struct compare *compare, struct arena *arena)
{
    double *p, *corrected;
    int rc;
    TRY(arena_alloc(arena, &p, (size_t)compare->count, sizeof *p));
    TRY(arena_alloc(arena, &corrected, (size_t)compare->count, sizeof *corrected));
    for (int i = 0; i < compare->count; i++)
        p[i] = compare->lines[i].paired.p;
    statistics_holm(p, corrected, compare->count);
    for (int i = 0; i < compare->count; i++)
        compare->lines[i].corrected = corrected[i];
out:
    return rc;
}

int compare_make(struct compare *compare, struct store *store, const struct table *table,
                 const struct table_row *base, const struct table_row *const *rows, int count,
                 struct arena *arena)
{
    int rc;
    *compare = (struct compare){.base = base};
    TRY(arena_alloc(arena, &compare->lines, (size_t)count * (size_t)table->metric_count,
                    sizeof *compare->lines));
    for (int i = 0; i < count; i++)
        for (int j = 0; rows[i] != base && j < table->metric_count; j++)
            TRY(add_line(compare, store, rows[i], &table->metrics[j], j, arena));
    if (compare->count == 0)
        rc = err_set(ERR_USAGE, "nothing was measured on both '%s' and the others", base->label);
    else
        rc = compare_correct(compare, arena);
out:
    return rc;
}
