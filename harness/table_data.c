#include "harness/table_data.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/store_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

int arena_printf(struct arena *arena, const char **out, const char *format, ...)
{
    va_list args, again;
    char *text;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int rc = arena_alloc(arena, &text, (size_t)length + 1, 1);
    if (rc == 0) {
        vsnprintf(text, (size_t)length + 1, format, again);
        *out = text;
    }
    va_end(again);
    return rc;
}

static int column_text(struct arena *arena, sqlite3_stmt *statement, int column, const char **out)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return arena_printf(arena, out, "%s", text ? text : "");
}

/* NULL is NaN. */
static double column_real(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? NAN
               : sqlite3_column_double(statement, column);
}

static int find_experiment(struct table *table, struct store *store, const char *name,
                           struct arena *arena)
{
    sqlite3_stmt *statement = NULL;
    char *found = NULL;
    int rc, row;
    TRY(store_find_experiment(store, name, &found));
    TRY(store_prepare(store, &statement, "SELECT name, title FROM experiments WHERE name = ?1"));
    TRY(store_bind(store, statement, "t", found));
    TRY(store_step(store, statement, &row));
    TRY(column_text(arena, statement, 0, &table->experiment));
    TRY(column_text(arena, statement, 1, &table->title));
out:
    sqlite3_finalize(statement);
    mem_free(found);
    return rc;
}

/* A heading has little room: "ids:/far/away/ids.safetensors:test" is "ids:ids.safetensors:test". */
static int shorten(struct arena *arena, const char *dataset, const char **name)
{
    const char *colon = strchr(dataset, ':'), *slash = strrchr(dataset, '/');
    if (!colon || !slash)
        return arena_printf(arena, name, "%s", dataset);
    return arena_printf(arena, name, "%.*s%s", (int)(colon + 1 - dataset), dataset, slash + 1);
}

/* Every column's title gets what tells it from the others of its data set. */
static int make_titles(struct table *table, struct arena *arena)
{
    int rc = 0;
    const char **names;
    TRY(arena_alloc(arena, &names, (size_t)table->metric_count, sizeof *names));
    for (int i = 0; i < table->metric_count; i++)
        TRY(shorten(arena, table->metrics[i].dataset, &names[i]));
    for (int i = 0; i < table->metric_count; i++) {
        struct table_metric *m = &table->metrics[i];
        int split = 0, rule = 0, window = 0, hash = 0;
        for (int j = 0; j < table->metric_count; j++) {
            const struct table_metric *other = &table->metrics[j];
            if (j == i || strcmp(m->kind, other->kind) != 0 || strcmp(names[i], names[j]) != 0)
                continue;
            int s = strcmp(m->split, other->split) != 0, r = strcmp(m->rule, other->rule) != 0;
            int w = m->window != other->window;
            split |= s;
            rule |= r;
            window |= w;
            hash |= !s && !r && !w; /* nothing else tells them apart */
        }
        char length[24];
        snprintf(length, sizeof length, " w%d", m->window);
        TRY(arena_printf(arena, &m->title, "%s%s%s%s%s%s%s%.6s", names[i], split ? " " : "",
                         split ? m->split : "", rule ? " " : "", rule ? m->rule : "",
                         window ? length : "", hash ? " #" : "", hash ? m->data_hash : ""));
    }
out:
    return rc;
}

static int load_metrics(struct table *table, struct store *store, struct arena *arena)
{
    static const char count_sql[] =
        "SELECT DISTINCT m.kind, m.dataset, m.split, m.rule, m.window, m.data_hash "
        "FROM experiment_rows r JOIN metrics m ON m.point_id = r.id WHERE r.experiment = ?1";
    static const char sql[] =
        "SELECT m.kind, m.dataset, m.split, m.rule, m.window, m.data_hash, max(m.count), "
        "max((SELECT count(*) FROM windows w WHERE w.metric_id = m.id)) "
        "FROM experiment_rows r JOIN metrics m ON m.point_id = r.id WHERE r.experiment = ?1 "
        "GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY m.kind <> 'perplexity', m.kind, min(m.id)";
    sqlite3_stmt *statement = NULL;
    int rc, row, count = 0;
    TRY(store_prepare(store, &statement, count_sql));
    TRY(store_bind(store, statement, "t", table->experiment));
    for (;; count++) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
    }
    TRY(arena_calloc(arena, &table->metrics, (size_t)count, sizeof *table->metrics));
    sqlite3_finalize(statement);
    statement = NULL;
    TRY(store_prepare(store, &statement, sql));
    TRY(store_bind(store, statement, "t", table->experiment));
    for (; table->metric_count < count; table->metric_count++) {
        struct table_metric *m = &table->metrics[table->metric_count];
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        TRY(column_text(arena, statement, 0, &m->kind));
        TRY(column_text(arena, statement, 1, &m->dataset));
        TRY(column_text(arena, statement, 2, &m->split));
        TRY(column_text(arena, statement, 3, &m->rule));
        m->window = sqlite3_column_int(statement, 4);
        TRY(column_text(arena, statement, 5, &m->data_hash));
        m->count = (long)sqlite3_column_int64(statement, 6);
        m->parts = (long)sqlite3_column_int64(statement, 7);
    }
    TRY(make_titles(table, arena));
out:
    sqlite3_finalize(statement);
    return rc;
}

static int read_row(struct table_row *row, sqlite3_stmt *statement, struct arena *arena)
{
    int rc;
    const char *status;
    TRY(column_text(arena, statement, 0, &row->id));
    TRY(column_text(arena, statement, 1, &row->label));
    TRY(column_text(arena, statement, 2, &row->method));
    TRY(column_text(arena, statement, 3, &status));
    TRY(column_text(arena, statement, 4, &row->error));
    TRY(column_text(arena, statement, 5, &row->warnings));
    TRY(column_text(arena, statement, 6, &row->model_hash));
    row->failed = strcmp(status, "failed") == 0;
    row->position = sqlite3_column_int(statement, 7);
    double *const reals[] = {&row->paper_bits,  &row->marks_bits,       &row->stored_bits,
                             &row->full_bits,   &row->file_bytes,       &row->weights,
                             &row->peak_memory, &row->quantize_seconds, &row->total_seconds};
    for (int i = 0; i < (int)(sizeof reals / sizeof *reals); i++)
        *reals[i] = column_real(statement, 8 + i);
    TRY(column_text(arena, statement, 17, &row->model));
    TRY(column_text(arena, statement, 18, &row->settings));
out:
    return rc;
}

static int is_new_model(const struct table *table, const char *model)
{
    for (int i = 0; i < table->row_count; i++)
        if (strcmp(table->rows[i].model, model) == 0)
            return 0;
    return 1;
}

static int load_rows(struct table *table, struct store *store, struct arena *arena)
{
    static const char sql[] =
        "SELECT id, label, method, status, error, warnings, model_hash, position, paper_bits, "
        "paper_bits_marks, stored_bits, full_bits, file_bytes, weights, peak_memory, "
        "(SELECT wall FROM stage_times t WHERE t.point_id = r.id AND stage = 'quantize'), "
        "(SELECT wall FROM stage_times t WHERE t.point_id = r.id AND stage = 'total'), model, "
        "settings, count(*) OVER () FROM experiment_rows r WHERE experiment = ?1 ORDER BY "
        "position, id";
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(store_prepare(store, &statement, sql));
    TRY(store_bind(store, statement, "t", table->experiment));
    table->model = "";
    for (;; table->row_count++) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        if (table->row_count == 0) {
            size_t count = (size_t)sqlite3_column_int64(statement, 19);
            TRY(arena_calloc(arena, &table->rows, count, sizeof *table->rows));
        }
        struct table_row *r = &table->rows[table->row_count];
        TRY(read_row(r, statement, arena));
        table->models += is_new_model(table, r->model);
        TRY(arena_calloc(arena, &r->values, (size_t)table->metric_count, sizeof *r->values));
    }
    if (table->row_count > 0)
        table->model = table->rows[0].model;
    if (table->row_count == 0)
        rc = err_set(ERR_MISSING, "%s: the experiment '%s' has no points yet", store->path,
                     table->experiment);
out:
    sqlite3_finalize(statement);
    return rc;
}

/* *parts = the windows or items of a metric, in the arena. */
static int load_parts(struct store *store, int64_t metric, int perplexity, struct arena *arena,
                      struct metric_part **parts, int *count)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    *count = 0;
    TRY(store_prepare(store, &statement,
                      perplexity ? "SELECT number, nll, tokens, 0, count(*) OVER () FROM windows "
                                   "WHERE metric_id = ?1 ORDER BY number"
                                 : "SELECT number, correct, choice, gold, count(*) OVER () FROM "
                                   "items WHERE metric_id = ?1 ORDER BY number"));
    TRY(store_bind(store, statement, "i", metric));
    for (;; ++*count) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        if (*count == 0)
            TRY(arena_calloc(arena, parts, (size_t)sqlite3_column_int64(statement, 4),
                             sizeof **parts));
        (*parts)[*count] = (struct metric_part){.index = sqlite3_column_int(statement, 0),
                                                .value = column_real(statement, 1),
                                                .count = sqlite3_column_int(statement, 2),
                                                .gold = sqlite3_column_int(statement, 3)};
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

/* The metric of the same data for the same model in full precision, from whichever experiment. */
static int find_base(struct store *store, const struct table_row *row, const struct table_metric *m,
                     int64_t *base, int *itself)
{
    static const char sql[] =
        "SELECT m.id, p.id = ?1 FROM points p JOIN metrics m ON m.point_id = p.id WHERE "
        "p.model_hash = ?2 AND p.method = 'full' AND p.status = 'done' AND m.kind = ?3 AND "
        "m.dataset = ?4 AND m.split = ?5 AND m.rule = ?6 AND m.window = ?7 AND m.data_hash = ?8 "
        "ORDER BY p.id = ?1 DESC, p.finished DESC LIMIT 1";
    sqlite3_stmt *statement = NULL;
    int rc, found;
    *base = 0;
    TRY(store_prepare(store, &statement, sql));
    TRY(store_bind(store, statement, "ttttttit", row->id, row->model_hash, m->kind, m->dataset,
                   m->split, m->rule, (int64_t)m->window, m->data_hash));
    TRY(store_step(store, statement, &found));
    if (found) {
        *base = sqlite3_column_int64(statement, 0);
        *itself = sqlite3_column_int(statement, 1);
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

/* Parts that do not match (a NaN, another window) are no failure: *same = 0. */
static int pair(struct store *store, int64_t ours, int64_t base, int perplexity, struct paired *out,
                int *same, struct arena *arena)
{
    struct arena_mark mark = arena_mark(arena);
    struct metric_part *parts = NULL, *base_parts = NULL;
    int rc, count, base_count;
    *same = 0;
    TRY(load_parts(store, ours, perplexity, arena, &parts, &count));
    TRY(load_parts(store, base, perplexity, arena, &base_parts, &base_count));
    if (count == base_count && count > 0)
        *same = (perplexity ? statistics_paired_perplexity(parts, base_parts, count, 0, out)
                            : statistics_paired_accuracy(parts, base_parts, count, 0, out)) == 0;
out:
    arena_reset(arena, mark);
    return rc;
}

static int compare(struct table_value *value, struct store *store, const struct table_row *row,
                   const struct table_metric *m, int64_t ours, struct arena *arena)
{
    int64_t base;
    int rc, itself = 0, same;
    TRY(find_base(store, row, m, &base, &itself));
    if (!base)
        goto out;
    TRY(pair(store, ours, base, table_metric_is_perplexity(m), &value->paired, &same, arena));
    value->compared = !same ? 0 : itself ? 2 : 1;
out:
    return rc;
}

static const char metric_sql[] =
    "SELECT value, standard_error, low, high, bits_per_byte, id FROM metrics WHERE "
    "point_id = ?1 AND kind = ?2 AND dataset = ?3 AND split = ?4 AND rule = ?5 AND "
    "window = ?6 AND data_hash = ?7";

static int bind_metric(struct store *store, sqlite3_stmt *statement, const struct table_row *row,
                       const struct table_metric *m)
{
    return store_bind(store, statement, "tttttit", row->id, m->kind, m->dataset, m->split, m->rule,
                      (int64_t)m->window, m->data_hash);
}

static int load_value(struct table_value *value, struct store *store, const struct table_row *row,
                      const struct table_metric *m, struct arena *arena)
{
    sqlite3_stmt *statement = NULL;
    int rc;
    TRY(store_prepare(store, &statement, metric_sql));
    TRY(bind_metric(store, statement, row, m));
    TRY(store_step(store, statement, &value->present));
    if (!value->present)
        goto out;
    value->value = column_real(statement, 0);
    value->standard_error = column_real(statement, 1);
    value->low = column_real(statement, 2);
    value->high = column_real(statement, 3);
    value->bits_per_byte = column_real(statement, 4);
    TRY(compare(value, store, row, m, sqlite3_column_int64(statement, 5), arena));
out:
    sqlite3_finalize(statement);
    return rc;
}

static int metric_id(struct store *store, const struct table_row *row, const struct table_metric *m,
                     int64_t *id)
{
    sqlite3_stmt *statement = NULL;
    int rc, found;
    TRY(store_prepare(store, &statement, metric_sql));
    TRY(bind_metric(store, statement, row, m));
    TRY(store_step(store, statement, &found));
    *id = found ? sqlite3_column_int64(statement, 5) : 0;
out:
    sqlite3_finalize(statement);
    return rc;
}

int table_compare(struct store *store, const struct table_row *ours, const struct table_row *base,
                  const struct table_metric *metric, struct paired *out, int *same,
                  struct arena *arena)
{
    int64_t our_id, base_id;
    int rc;
    *same = 0;
    TRY(metric_id(store, ours, metric, &our_id));
    TRY(metric_id(store, base, metric, &base_id));
    if (our_id && base_id)
        TRY(pair(store, our_id, base_id, table_metric_is_perplexity(metric), out, same, arena));
out:
    return rc;
}

int table_load(struct table *table, struct store *store, const char *experiment,
               struct arena *arena)
{
    int rc;
    *table = (struct table){0};
    TRY(find_experiment(table, store, experiment, arena));
    TRY(load_metrics(table, store, arena));
    TRY(load_rows(table, store, arena));
    for (int i = 0; i < table->row_count; i++)
        for (int j = 0; j < table->metric_count; j++)
            TRY(load_value(&table->rows[i].values[j], store, &table->rows[i], &table->metrics[j],
                           arena));
out:
    return rc;
}
