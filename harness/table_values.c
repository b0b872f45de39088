/* What was measured of a row: the values, and their differences to full precision, paired by window
 * or item. */
#include "core/err.h"
#include "harness/table_internal.h"

#include <math.h>
#include <string.h>

/* ---- windows and items ---- */

enum part_kind { PART_NLL, PART_KL, PART_ITEM };

/* The parts of one point's metric are added to those in *parts, or begin them. *same = 0 where they
 * are of other windows or items. */
static int add_parts(struct store *store, int64_t metric, enum part_kind kind, struct arena *arena,
                     struct metric_part **parts, int *count, int *same)
{
    static const char *const sql[] = {
        [PART_NLL] = "SELECT number, nll, tokens, 0, count(*) OVER () FROM windows WHERE "
                     "metric_id = ?1 ORDER BY number",
        [PART_KL] = "SELECT number, kl, tokens, 0, count(*) OVER () FROM windows WHERE "
                    "metric_id = ?1 AND kl IS NOT NULL ORDER BY number",
        [PART_ITEM] = "SELECT number, correct, choice, gold, count(*) OVER () FROM items WHERE "
                      "metric_id = ?1 ORDER BY number"};
    sqlite3_stmt *statement = NULL;
    int rc, row, begun = *parts != NULL, seen = 0;
    TRY(store_prepare(store, &statement, sql[kind]));
    TRY(store_bind(store, statement, "i", metric));
    for (;; seen++) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        if (!*parts) {
            *count = (int)sqlite3_column_int64(statement, 4);
            TRY(arena_calloc(arena, parts, (size_t)*count, sizeof **parts));
        }
        const struct metric_part part = {.index = sqlite3_column_int(statement, 0),
                                         .value = table_column_real(statement, 1),
                                         .count = sqlite3_column_int(statement, 2),
                                         .gold = sqlite3_column_int(statement, 3)};
        if (seen >= *count ||
            (begun && ((*parts)[seen].index != part.index || (*parts)[seen].gold != part.gold ||
                       (kind != PART_ITEM && (*parts)[seen].count != part.count)))) {
            *same = 0;
            break;
        }
        if (begun)
            (*parts)[seen].value += part.value;
        else
            (*parts)[seen] = part;
    }
    *same &= seen == *count;
out:
    sqlite3_finalize(statement);
    return rc;
}

static const char metric_sql[] =
    "SELECT value, standard_error, low, high, bits_per_byte, id, kl_divergence, same_top, overlap, "
    "overlap_allowed FROM metrics WHERE point_id = ?1 AND kind = ?2 AND dataset = ?3 AND "
    "split = ?4 AND rule = ?5 AND window = ?6 AND data_hash = ?7";

static int bind_metric(struct store *store, sqlite3_stmt *statement, const char *id,
                       const struct table_metric *m)
{
    return store_bind(store, statement, "tttttit", id, m->kind, m->dataset, m->split, m->rule,
                      (int64_t)m->window, m->data_hash);
}

/* The mean over the row's points. */
static int mean_parts(struct store *store, const struct table_row *row,
                      const struct table_metric *metric, enum part_kind kind, struct arena *arena,
                      struct metric_part **parts, int *count)
{
    sqlite3_stmt *statement = NULL;
    int rc, found, points = 0, same = 1;
    *parts = NULL;
    *count = 0;
    TRY(store_prepare(store, &statement, metric_sql));
    for (int i = 0; i < row->id_count && same; i++) {
        TRY(bind_metric(store, statement, row->ids[i], metric));
        TRY(store_step(store, statement, &found));
        if (!found)
            continue;
        TRY(add_parts(store, sqlite3_column_int64(statement, 5), kind, arena, parts, count, &same));
        points++;
    }
    if (!same)
        *count = 0;
    for (int k = 0; k < *count; k++)
        (*parts)[k].value /= points;
out:
    sqlite3_finalize(statement);
    return rc;
}

int table_parts(struct store *store, const struct table_row *row, const struct table_metric *metric,
                struct arena *arena, struct metric_part **parts, int *count)
{
    return mean_parts(store, row, metric, table_metric_is_perplexity(metric) ? PART_NLL : PART_ITEM,
                      arena, parts, count);
}

int table_divergence_parts(struct store *store, const struct table_row *row,
                           const struct table_metric *metric, struct arena *arena,
                           struct metric_part **parts, int *count)
{
    return mean_parts(store, row, metric, PART_KL, arena, parts, count);
}

/* ---- pairs ---- */

/* Parts that do not match (a NaN, another window) are no failure: *same = 0. */
int table_compare(struct store *store, const struct table_row *ours, const struct table_row *base,
                  const struct table_metric *metric, struct paired *out, int *same,
                  struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    struct metric_part *parts, *base_parts;
    int rc, count, base_count;
    *same = 0;
    TRY(table_parts(store, ours, metric, arena, &parts, &count));
    TRY(table_parts(store, base, metric, arena, &base_parts, &base_count));
    if (count == base_count && count > 0)
        *same = (table_metric_is_perplexity(metric)
                     ? statistics_paired_perplexity(parts, base_parts, count, 0, out)
                     : statistics_paired_accuracy(parts, base_parts, count, 0, out)) == 0;
out:
    arena_reset(arena, mark);
    return rc;
}

/* The point of the same model in full precision that was measured on the same data, from whichever
 * experiment; *id = "" when there is none. */
static int find_base(struct store *store, const struct table_row *row, const struct table_metric *m,
                     struct arena *arena, const char **id)
{
    static const char sql[] =
        "SELECT p.id FROM points p JOIN metrics m ON m.point_id = p.id WHERE "
        "p.model_hash = ?2 AND p.method = 'full' AND p.status = 'done' AND m.kind = ?3 AND "
        "m.dataset = ?4 AND m.split = ?5 AND m.rule = ?6 AND m.window = ?7 AND m.data_hash = ?8 "
        "ORDER BY p.id = ?1 DESC, p.finished DESC LIMIT 1";
    sqlite3_stmt *statement = NULL;
    int rc, found;
    *id = "";
    TRY(store_prepare(store, &statement, sql));
    TRY(store_bind(store, statement, "ttttttit", row->id, row->model_hash, m->kind, m->dataset,
                   m->split, m->rule, (int64_t)m->window, m->data_hash));
    TRY(store_step(store, statement, &found));
    if (found)
        TRY(table_column_text(arena, statement, 0, id));
out:
    sqlite3_finalize(statement);
    return rc;
}

/* Flips of answers, both directions, each seed on its own. */
static int count_flips(struct table_value *value, struct store *store, const struct table_row *row,
                       const struct table_row *base, const struct table_metric *metric,
                       struct arena *arena)
{
    int rc = 0, same, points = 0;
    double wrong = 0, right = 0;
    for (int i = 0; i < row->id_count; i++) {
        struct table_row one = *row;
        struct paired paired;
        one.ids = &row->ids[i];
        one.id_count = 1;
        TRY(table_compare(store, &one, base, metric, &paired, &same, arena));
        if (!same)
            continue;
        wrong += paired.below;
        right += paired.above;
        points++;
    }
    value->to_wrong = wrong / points;
    value->to_right = right / points;
out:
    return rc;
}

static int compare_with_full(struct table_value *value, struct store *store,
                             const struct table_row *row, const struct table_metric *metric,
                             struct arena *arena)
{
    const char *id;
    int rc, same;
    TRY(find_base(store, row, metric, arena, &id));
    if (!*id)
        goto out;
    const struct table_row base = {.ids = &id, .id_count = 1};
    TRY(table_compare(store, row, &base, metric, &value->paired, &same, arena));
    value->compared = !same ? 0 : strcmp(id, row->id) == 0 ? 2 : 1;
    if (!value->compared || table_metric_is_perplexity(metric))
        goto out;
    if (row->id_count > 1) {
        TRY(count_flips(value, store, row, &base, metric, arena));
    } else {
        value->to_wrong = value->paired.below;
        value->to_right = value->paired.above;
    }
out:
    return rc;
}

/* ---- values ---- */

static int read_value(struct store *store, sqlite3_stmt *statement, const char *id,
                      const struct table_metric *metric, struct table_value *value)
{
    int rc;
    *value = (struct table_value){.deviation = NAN, .mark_p = NAN};
    TRY(bind_metric(store, statement, id, metric));
    TRY(store_step(store, statement, &value->present));
    if (!value->present)
        goto out;
    value->value = table_column_real(statement, 0);
    value->standard_error = table_column_real(statement, 1);
    value->low = table_column_real(statement, 2);
    value->high = table_column_real(statement, 3);
    value->bits_per_byte = table_column_real(statement, 4);
    value->kl = table_column_real(statement, 6);
    value->same_top = table_column_real(statement, 7);
    value->overlap = table_column_real(statement, 8);
    value->overlap_allowed = sqlite3_column_int(statement, 9);
out:
    return rc;
}

/* The sampling error of a mean over seeds: all of them were measured on the same windows or items,
 * so that it is that of the windows' (items') means, and does not become less by more seeds. */
static int sampling_error(struct table_value *value, const struct metric_part *parts, int count,
                          int perplexity)
{
    double centre, squares = 0;
    value->standard_error = value->low = value->high = NAN;
    if (count < 2)
        return 0;
    if (perplexity) { /* around the geometric mean; moved to the arithmetic one */
        int rc = statistics_perplexity(parts, count, 0, &centre, &value->standard_error,
                                       &value->low, &value->high);
        value->standard_error *= value->value / centre;
        value->low *= value->value / centre;
        value->high *= value->value / centre;
        return rc;
    }
    for (int i = 0; i < count; i++)
        squares += (parts[i].value - value->value) * (parts[i].value - value->value);
    value->standard_error = sqrt(squares / (count - 1.0) / count);
    value->low = fmax(0, value->value - STATISTICS_NORMAL_975 * value->standard_error);
    value->high = fmin(1, value->value + STATISTICS_NORMAL_975 * value->standard_error);
    return 0;
}

static int combine_seeds(struct table_value *value, const struct table_value *seeds, int count,
                         struct store *store, const struct table_row *row,
                         const struct table_metric *metric, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    struct metric_part *parts;
    double *values;
    int rc, part_count;
    TRY(arena_alloc(arena, &values, (size_t)count, sizeof *values));
    *value = seeds[0];
    value->bits_per_byte = value->kl = value->same_top = value->overlap = 0;
    for (int i = 0; i < count; i++) {
        values[i] = seeds[i].value;
        value->bits_per_byte += seeds[i].bits_per_byte / count;
        value->kl += seeds[i].kl / count;
        value->same_top += seeds[i].same_top / count;
        value->overlap += seeds[i].overlap / count;
        value->overlap_allowed |= seeds[i].overlap_allowed;
    }
    statistics_mean(values, count, &value->value, &value->deviation);
    TRY(table_parts(store, row, metric, arena, &parts, &part_count));
    TRY(sampling_error(value, parts, part_count, table_metric_is_perplexity(metric)));
out:
    arena_reset(arena, mark);
    return rc;
}

int table_load_value(struct table_value *value, struct store *store, const struct table_row *row,
                     const struct table_metric *metric, struct arena *arena)
{
    sqlite3_stmt *statement = NULL;
    struct table_value *seeds;
    int rc, count = 0;
    TRY(arena_alloc(arena, &seeds, (size_t)row->id_count, sizeof *seeds));
    TRY(store_prepare(store, &statement, metric_sql));
    for (int i = 0; i < row->id_count; i++) {
        TRY(read_value(store, statement, row->ids[i], metric, &seeds[count]));
        count += seeds[count].present;
    }
    if (count == 0) {
        *value = (struct table_value){.deviation = NAN, .mark_p = NAN};
        goto out;
    }
    *value = seeds[0];
    if (count > 1)
        TRY(combine_seeds(value, seeds, count, store, row, metric, arena));
    TRY(compare_with_full(value, store, row, metric, arena));
out:
    sqlite3_finalize(statement);
    return rc;
}
