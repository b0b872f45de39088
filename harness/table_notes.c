/* What stands below a table: what a reader of a row, or of a column, must know. */
#include "core/err.h"
#include "harness/table_grid.h"

#include <string.h>

static int add(struct arena *arena, const char **text, const char *more)
{
    return arena_printf(arena, text, "%s%s%s", *text, **text ? "; " : "", more);
}

static int overlap_note(const struct table *table, const struct table_row *row, struct arena *arena,
                        const char **text)
{
    int rc = 0;
    for (int j = 0; j < table->metric_count; j++) {
        const struct table_value *v = &row->values[j];
        const char *more;
        if (!v->present || !v->overlap_allowed)
            continue;
        TRY(arena_printf(arena, &more, "calibration holds %.1f %% of the 13-grams of %s (allowed)",
                         100 * v->overlap, table->metrics[j].title));
        TRY(add(arena, text, more));
    }
out:
    return rc;
}

static int row_note(const struct table *table, const struct table_row *row, bool times,
                    struct arena *arena, const char **text)
{
    const char *more;
    int rc = 0;
    *text = "";
    if (row->failed) {
        TRY(arena_printf(arena, &more, "failed: %s", row->error));
        TRY(add(arena, text, more));
    }
    if (*row->warnings)
        TRY(add(arena, text, row->warnings));
    if (row->exceptions) {
        TRY(arena_printf(arena, &more,
                         "%d exception%s: not every tensor got what was asked (--exceptions)",
                         row->exceptions, row->exceptions == 1 ? "" : "s"));
        TRY(add(arena, text, more));
    }
    if (row->busy && times)
        TRY(add(arena, text, "the machine had other work: its times are no measure"));
    TRY(overlap_note(table, row, arena, text));
    if (row->id_count > 1) {
        TRY(arena_printf(arena, &more, "mean over %d calibration seeds: %s", row->id_count,
                         row->seeds));
        TRY(add(arena, text, more));
    }
out:
    return rc;
}

int table_notes(struct notes *notes, const struct table *table, bool times, struct arena *arena)
{
    int rc;
    *notes = (struct notes){0};
    TRY(arena_calloc(arena, &notes->texts, (size_t)table->row_count, sizeof *notes->texts));
    TRY(arena_calloc(arena, &notes->of_row, (size_t)table->row_count, sizeof *notes->of_row));
    for (int i = 0; i < table->row_count; i++) {
        const char *text;
        int known = 0;
        TRY(row_note(table, &table->rows[i], times, arena, &text));
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

int table_label(const struct table *table, const struct table_row *row, int note,
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
