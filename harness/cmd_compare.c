/* bitbench compare A [B ...] */
#include "core/err.h"
#include "core/mem.h"
#include "harness/command.h"
#include "harness/compare.h"
#include "harness/compare_full.h"
#include "harness/store.h"
#include "harness/table_grid.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct compare_command {
    int seeds;
    char experiment[OPTION_TEXT_SIZE];
};

static const struct option compare_options[] = {
    {.name = "experiment",
     .type = OPTION_TEXT,
     .offset = offsetof(struct compare_command, experiment),
     .fallback = "",
     .choices = "NAME",
     .help = "the experiment that holds the points; needed when the database holds several"},
    {.name = "seeds",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct compare_command, seeds),
     .fallback = "together",
     .choices = "together|apart",
     .help = "points that differ in the calibration seed alone: as one, with the mean of each "
             "window or item, or one by one"},
    {.name = NULL},
};

enum { COLUMNS = 9, DIVERGENCE_COLUMNS = 5 };
static const double level = 0.05;

/* Perplexities differ by a ratio, accuracies by points of a hundred. A single window or item has no
 * interval. */
static int difference_text(const struct compare_line *line, struct arena *arena, const char **out)
{
    const struct paired *d = &line->paired;
    if (isnan(d->low))
        return table_metric_is_perplexity(line->metric)
                   ? arena_printf(arena, out, "x %.4f [-]", d->value)
                   : arena_printf(arena, out, "%+.1f [-]", 100 * d->value);
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
    static const char *const heads[COLUMNS] = {"method",   "metric",     "first",
                                               "its own",  "difference", "flips",
                                               "p (Holm)", "found",      "resolves"};
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
        cells[5] = TABLE_NOTHING;
        if (!table_metric_is_perplexity(line->metric))
            TRY(arena_printf(arena, &cells[5], "-%d +%d", line->paired.below, line->paired.above));
        TRY(arena_printf(arena, &cells[6], "%.2g", line->corrected));
        cells[7] = line->corrected > level                   ? "no difference"
                   : line->paired.above > line->paired.below ? "higher"
                                                             : "lower";
        TRY(resolvable_text(line, arena, &cells[8]));
    }
out:
    return rc;
}

static const char *const divergence_names[] = {[DIVERGENCE_KL] = "KL",
                                               [DIVERGENCE_SAME_TOP] = "same top %",
                                               [DIVERGENCE_TO_WRONG] = "to wrong",
                                               [DIVERGENCE_TO_RIGHT] = "to right"};

static int divergence_text(enum divergence what, double value, struct arena *arena,
                           const char **out)
{
    if (isnan(value))
        return arena_printf(arena, out, TABLE_NOTHING);
    if (what == DIVERGENCE_KL)
        return arena_printf(arena, out, "%.4f", value);
    return arena_printf(arena, out, what == DIVERGENCE_SAME_TOP ? "%.1f" : "%g",
                        what == DIVERGENCE_SAME_TOP ? 100 * value : value);
}

static int divergence_grid(struct grid *grid, const struct divergences *divergences,
                           struct arena *arena)
{
    static const char *const heads[DIVERGENCE_COLUMNS] = {"method", "against full precision",
                                                          "first", "its own", "difference"};
    int rc;
    *grid = (struct grid){.rows = divergences->count + 1, .columns = DIVERGENCE_COLUMNS};
    TRY(arena_alloc(arena, &grid->cells, (size_t)grid->rows * DIVERGENCE_COLUMNS,
                    sizeof *grid->cells));
    memcpy(grid->cells, heads, sizeof heads);
    for (int i = 0; i < divergences->count; i++) {
        const struct divergence_line *line = &divergences->lines[i];
        const char **cells = grid->cells + (size_t)(i + 1) * DIVERGENCE_COLUMNS;
        cells[0] = line->row->label;
        TRY(arena_printf(arena, &cells[1], "%s %s", line->metric->title,
                         divergence_names[line->what]));
        TRY(divergence_text(line->what, line->base, arena, &cells[2]));
        TRY(divergence_text(line->what, line->ours, arena, &cells[3]));
        cells[4] = TABLE_NOTHING;
        if (isnan(line->difference))
            continue;
        if (isnan(line->low))
            TRY(arena_printf(arena, &cells[4], "%+.4f [-]", line->difference));
        else
            TRY(arena_printf(arena, &cells[4], "%+.4f [%+.4f, %+.4f]", line->difference, line->low,
                             line->high));
    }
out:
    return rc;
}

static int print_text(const struct compare *compare, const struct divergences *divergences,
                      struct arena *arena)
{
    struct grid grid;
    int rc;
    TRY(make_grid(&grid, compare, arena));
    printf("Compared with '%s', on the same windows and items\n\n", compare->base->label);
    TRY(grid_markdown(&grid, stdout, arena));
    if (divergences->count) {
        TRY(divergence_grid(&grid, divergences, arena));
        printf("\nHow far the first and each other are from full precision\n\n");
        TRY(grid_markdown(&grid, stdout, arena));
    }
    printf("\n- difference: the ratio of perplexities, or points of a hundred, with its 95 %% "
           "interval, bootstrap over pairs; flips: answers that were right in the first and are "
           "wrong here, and the other way round\n"
           "- p: sign test over the windows or items that differ (of items: McNemar's exact test), "
           "corrected for %d comparison%s (Holm); found: where it is below %.2f\n"
           "- resolves: the smallest difference that a comparison with so many windows or items "
           "finds in four cases of five\n",
           compare->count, compare->count == 1 ? "" : "s", level);
    if (divergences->count)
        printf("- KL: mean divergence from full precision's next-token distribution, nats a token; "
               "same top: where both have the same most likely token; to wrong: answers right in "
               "full precision and wrong here; to right: the other way round\n");
out:
    return rc;
}

static json_t *divergence_array(const struct divergences *divergences)
{
    static const char *const names[] = {[DIVERGENCE_KL] = "kl",
                                        [DIVERGENCE_SAME_TOP] = "same_top",
                                        [DIVERGENCE_TO_WRONG] = "to_wrong",
                                        [DIVERGENCE_TO_RIGHT] = "to_right"};
    json_t *lines = json_array();
    for (int i = 0; i < divergences->count; i++) {
        const struct divergence_line *l = &divergences->lines[i];
        json_array_append_new(
            lines,
            json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "id", l->row->id, "label",
                      l->row->label, "metric", l->metric->title, "what", names[l->what], "base",
                      json_number_or_null(l->base), "value", json_number_or_null(l->ours),
                      "difference", json_number_or_null(l->difference), "low",
                      json_number_or_null(l->low), "high", json_number_or_null(l->high)));
    }
    return lines;
}

static int print_json(const struct compare *compare, const struct divergences *divergences)
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
    return command_print_json(json_pack("{s:s, s:s, s:o, s:o}", "base", compare->base->id, "label",
                                        compare->base->label, "comparisons", lines,
                                        "full_precision", divergence_array(divergences)));
}

static int run_compare(const struct command_line *line)
{
    const struct compare_command *options = line->options;
    struct store *store = NULL;
    struct arena arena = {0};
    struct table table;
    struct compare compare;
    struct divergences divergences;
    const struct table_row *base, **rows;
    int rc, count = 0;
    TRY(store_open(&store, line->global.database, 0));
    const struct table_selection selection = {
        .experiment = *options->experiment ? options->experiment : NULL,
        .seeds_together = options->seeds == 0};
    TRY(table_select(&table, store, &selection, &arena));
    TRY(compare_find(&table, line->arguments[0], &base));
    TRY(arena_alloc(&arena, &rows, (size_t)(table.row_count + line->argument_count), sizeof *rows));
    for (int i = 1; i < line->argument_count; i++)
        TRY(compare_find(&table, line->arguments[i], &rows[count++]));
    for (int i = 0; line->argument_count == 1 && i < table.row_count; i++)
        rows[count++] = &table.rows[i];
    TRY(compare_make(&compare, store, &table, base, rows, count, &arena));
    TRY(divergences_make(&divergences, store, &table, base, rows, count, &arena));
    TRY(line->global.json ? print_json(&compare, &divergences)
                          : print_text(&compare, &divergences, &arena));
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
        "stands beside it: where nothing was found, a smaller difference may still be there.\n\n"
        "A second table has how far both are from full precision: mean KL divergence, share of "
        "equal most likely tokens, and flips of answers in both directions.",
    .examples = "bitbench compare full --experiment quickstart\n"
                "bitbench compare 'gptq bits=2' 'rtn bits=2' -e quickstart\n",
    .run = run_compare,
};
