#include "harness/compare_full.h"

#include "core/err.h"
#include "harness/table_internal.h"

#include <math.h>

static double value_of(const struct table_value *v, enum divergence what)
{
    switch (what) {
    case DIVERGENCE_KL: return v->kl;
    case DIVERGENCE_SAME_TOP: return v->same_top;
    case DIVERGENCE_TO_WRONG: return v->compared ? v->to_wrong : NAN;
    default: return v->compared ? v->to_right : NAN;
    }
}

static int pair_divergence(struct divergence_line *line, struct store *store,
                           const struct table_row *base, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    struct metric_part *ours, *theirs;
    struct paired paired;
    int rc, our_count, their_count;
    TRY(table_divergence_parts(store, line->row, line->metric, arena, &ours, &our_count));
    TRY(table_divergence_parts(store, base, line->metric, arena, &theirs, &their_count));
    if (our_count == their_count && our_count > 0 &&
        statistics_paired_means(ours, theirs, our_count, 0, &paired) == 0) {
        line->difference = paired.value;
        line->low = paired.low;
        line->high = paired.high;
    }
out:
    arena_reset(arena, mark);
    return rc;
}

static int add_line(struct divergences *divergences, struct store *store,
                    const struct table_row *base, const struct divergence_line *line, int index,
                    struct arena *arena)
{
    struct divergence_line *l = &divergences->lines[divergences->count];
    *l = *line;
    l->base = value_of(&base->values[index], line->what);
    l->ours = value_of(&line->row->values[index], line->what);
    l->difference = l->low = l->high = NAN;
    if (isnan(l->base) && isnan(l->ours))
        return 0;
    divergences->count++;
    return line->what == DIVERGENCE_KL ? pair_divergence(l, store, base, arena) : 0;
}

int divergences_make(struct divergences *divergences, struct store *store,
                     const struct table *table, const struct table_row *base,
                     const struct table_row *const *rows, int count, struct arena *arena)
{
    int rc;
    *divergences = (struct divergences){0};
    TRY(arena_alloc(arena, &divergences->lines, (size_t)count * (size_t)table->metric_count * 2,
                    sizeof *divergences->lines));
    for (int i = 0; i < count; i++)
        for (int j = 0; rows[i] != base && j < table->metric_count; j++) {
            const struct table_metric *metric = &table->metrics[j];
            const bool perplexity = table_metric_is_perplexity(metric);
            struct divergence_line line = {.row = rows[i], .metric = metric};
            if (!base->values[j].present || !rows[i]->values[j].present)
                continue;
            line.what = perplexity ? DIVERGENCE_KL : DIVERGENCE_TO_WRONG;
            TRY(add_line(divergences, store, base, &line, j, arena));
            line.what = perplexity ? DIVERGENCE_SAME_TOP : DIVERGENCE_TO_RIGHT;
            TRY(add_line(divergences, store, base, &line, j, arena));
        }
out:
    return rc;
}
