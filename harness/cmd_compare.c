/* bitbench compare A [B ...] */
#include "core/err.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/compare.h"
#include "harness/store.h"
#include "harness/table_grid.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct compare_command {
    char experiment[OPTION_TEXT_SIZE];
};

static const struct option compare_options[] = {
    {.name = "experiment",
     .type = OPTION_TEXT,
     .offset = offsetof(struct compare_command, experiment),
     .fallback = "",
     .choices = "NAME",
     .help = "the experiment that holds the points; needed when the database holds several"},
    {.name = NULL},
};

enum { COLUMNS = 8 };
static const double level = 0.05;

/* Perplexities differ by a ratio, accuracies by points of a hundred. */
static int difference_text(const struct compare_line *line, struct arena *arena, const char **out)
{
    const struct paired *d = &line->paired;
    if (table_metric_is_perplexity(line->metric))
        return arena_printf(arena, out, "x %.4f [%.4f, %.4f]", d->value, d->low, d->high);
    return arena_printf(arena, out, "%+.1f [%+.1f, %+.1f]", 100 * d->value, 100 * d->low,
                        100 * d->high);
}

static int resolvable_text(const struct compare_line *line, struct arena *arena, const char **out)
{
    if (isnan(line->resolvable))
        return arena_printf(arena, out, "–");
    if (table_metric_is_perplexity(line->metric))
        return arena_printf(arena, out, "%.2f %%", 100 * line->resolvable);
    return arena_printf(arena, out, "%.1f points", 100 * line->resolvable);
}

static int value_text(const struct compare_line *line, const struct table_value *value,
                      struct arena *arena, const char **out)
{
    char number[TABLE_NUMBER];
    table_number(number,
                 table_metric_is_perplexity(line->metric) ? value->value : 100 * value->value);
    return arena_printf(arena, out, "%s", number);
}

static int make_grid(struct grid *grid, const struct compare *compare, struct arena *arena)
{
    static const char *const heads[COLUMNS] = {"method",     "metric",   "first", "its own",
                                               "difference", "p (Holm)", "found", "resolves"};
    int rc;
    *grid = (struct grid){.rows = compare->count + 1, .columns = COLUMNS};
    TRY(arena_alloc(arena, &grid->cells, (size_t)grid->rows * COLUMNS, sizeof *grid->cells));
    for (int j = 0; j < COLUMNS; j++)
        grid->cells[j] = heads[j];
    for (int i = 0; i < compare->count; i++) {
        const struct compare_line *line = &compare->lines[i];
        const char **cells = grid->cells + (size_t)(i + 1) * COLUMNS;
        cells[0] = line->row->label;
        TRY(arena_printf(arena, &cells[1], "%s %s", line->metric->title,
                         table_metric_is_perplexity(line->metric) ? "ppl" : "%"));
        TRY(value_text(line, line->base, arena, &cells[2]));
        TRY(value_text(line, line->ours, arena, &cells[3]));
        TRY(difference_text(line, arena, &cells[4]));
        TRY(arena_printf(arena, &cells[5], "%.2g", line->corrected));
        cells[6] = line->corrected > level                   ? "no difference"
                   : line->paired.above > line->paired.below ? "higher"
                                                             : "lower";
        TRY(resolvable_text(line, arena, &cells[7]));
    }
out:
    return rc;
}

static int print_text(const struct compare *compare, struct arena *arena)
{
    struct grid grid;
    int rc;
    TRY(make_grid(&grid, compare, arena));
    printf("Compared with '%s', on the same windows and items\n\n", compare->base->label);
    TRY(grid_markdown(&grid, stdout, arena));
    printf("\n- difference: the ratio of perplexities, or points of a hundred, with its 95 %% "
           "interval, bootstrap over pairs\n"
           "- p: sign test over the windows or items that differ (of items: McNemar's exact test), "
           "corrected for %d comparison%s (Holm); found: where it is below %.2f\n"
           "- resolves: the smallest difference that a comparison with so many windows or items "
           "finds in four cases of five\n",
           compare->count, compare->count == 1 ? "" : "s", level);
out:
    return rc;
}

static int print_json(const struct compare *compare)
{
    json_t *lines = json_array();
    for (int i = 0; i < compare->count; i++) {
        const struct compare_line *l = &compare->lines[i];
        const struct paired *d = &l->paired;
        json_t *line = json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:i, s:i, s:i, s:f, s:f}",
                                 "id", l->row->id, "label", l->row->label, "kind", l->metric->kind,
                                 "metric", l->metric->title, "base", l->base->value, "value",
                                 l->ours->value, "difference", d->value, "pairs", d->pairs, "above",
                                 d->above, "below", d->below, "p", d->p, "p_holm", l->corrected);
        const struct {
            const char *name;
            double value;
        } reals[] = {{"low", d->low}, {"high", d->high}, {"resolvable", l->resolvable}};
        for (int k = 0; line && k < 3; k++) /* NaN has no place in JSON */
            if (!isnan(reals[k].value))
                json_object_set_new(line, reals[k].name, json_real(reals[k].value));
        if (json_array_append_new(lines, line) != 0)
            return err_set(ERR_MEMORY, "out of memory: the comparisons as JSON");
    }
    return command_print_json(json_pack("{s:s, s:s, s:o}", "base", compare->base->id, "label",
                                        compare->base->label, "comparisons", lines));
}

static int run_compare(const struct command_line *line)
{
    const struct compare_command *options = line->options;
    struct store *store = NULL;
    struct arena arena = {0};
    struct table table;
    struct compare compare;
    const struct table_row *base, **rows;
    int rc, count = 0;
    TRY(store_open(&store, line->global.database, 0));
    TRY(table_load(&table, store, *options->experiment ? options->experiment : NULL, &arena));
    TRY(compare_find(&table, line->arguments[0], &base));
    TRY(arena_alloc(&arena, &rows, (size_t)(table.row_count + line->argument_count), sizeof *rows));
    for (int i = 1; i < line->argument_count; i++)
        TRY(compare_find(&table, line->arguments[i], &rows[count++]));
    for (int i = 0; line->argument_count == 1 && i < table.row_count; i++)
        rows[count++] = &table.rows[i];
    TRY(compare_make(&compare, store, &table, base, rows, count, &arena));
    TRY(line->global.json ? print_json(&compare) : print_text(&compare, &arena));
out:
    arena_release(&arena);
    store_close(store);
    return rc;
}

const struct command command_compare = {
    .name = "compare",
    .summary = "tells whether points really differ, paired on the same windows and items",
    .arguments = "A [B ...]",
    .arguments_min = 1,
    .arguments_max = -1,
    .flags = COMMAND_JSON | COMMAND_DATABASE,
    .options = compare_options,
    .options_size = sizeof(struct compare_command),
    .letters = "e=experiment",
    .description =
        "A and B name points: by their label, as the table prints it, or by the first digits of "
        "their id, as --dry-run prints them. Without B, every other point of the experiment is "
        "compared with A. Differences are paired by window or item, with a 95 % interval from the "
        "bootstrap; p is the sign test's (McNemar's for items), corrected by Holm's procedure for "
        "the number of comparisons that are printed. What each comparison could have resolved "
        "stands beside it: where nothing was found, a smaller difference may still be there.",
    .examples = "bitbench compare full --experiment quickstart\n"
                "bitbench compare 'gptq bits=2' 'rtn bits=2' -e quickstart\n",
    .run = run_compare,
};
