#include "harness/table_data.h"

#include "core/err.h"
#include "core/mem.h"
#include "harness/table_internal.h"
#include "harness/table_query.h"

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

int table_column_text(struct arena *arena, sqlite3_stmt *statement, int column, const char **out)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return arena_printf(arena, out, "%s", text ? text : "");
}

double table_column_real(sqlite3_stmt *statement, int column)
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
    TRY(table_column_text(arena, statement, 0, &table->experiment));
    TRY(table_column_text(arena, statement, 1, &table->title));
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
        TRY(table_column_text(arena, statement, 0, &m->kind));
        TRY(table_column_text(arena, statement, 1, &m->dataset));
        TRY(table_column_text(arena, statement, 2, &m->split));
        TRY(table_column_text(arena, statement, 3, &m->rule));
        m->window = sqlite3_column_int(statement, 4);
        TRY(table_column_text(arena, statement, 5, &m->data_hash));
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
    TRY(table_column_text(arena, statement, 0, &row->id));
    TRY(table_column_text(arena, statement, 1, &row->label));
    TRY(table_column_text(arena, statement, 2, &row->method));
    TRY(table_column_text(arena, statement, 3, &status));
    TRY(table_column_text(arena, statement, 4, &row->error));
    TRY(table_column_text(arena, statement, 5, &row->warnings));
    TRY(table_column_text(arena, statement, 6, &row->model_hash));
    row->failed = strcmp(status, "failed") == 0;
    row->position = sqlite3_column_int(statement, 7);
    TRY(table_column_text(arena, statement, 8, &row->model));
    TRY(table_column_text(arena, statement, 9, &row->settings));
    row->exceptions = sqlite3_column_int(statement, 10);
    row->busy = sqlite3_column_int(statement, 11);
    double *const reals[] = {&row->paper_bits,   &row->marks_bits,    &row->stored_bits,
                             &row->full_bits,    &row->file_bytes,    &row->weights,
                             &row->peak_memory,  &row->weights_left,  &row->bytes_left,
                             &row->bytes_outer,  &row->bytes_vectors, &row->quantize_seconds,
                             &row->total_seconds};
    for (int i = 0; i < (int)(sizeof reals / sizeof *reals); i++)
        *reals[i] = table_column_real(statement, 12 + i);
    TRY(arena_alloc(arena, &row->ids, 1, sizeof *row->ids));
    row->ids[0] = row->id;
    row->id_count = 1;
    row->seeds = "";
out:
    return rc;
}

static int load_rows(struct table *table, struct store *store, struct arena *arena)
{
    static const char sql[] =
        "SELECT id, label, method, status, error, warnings, model_hash, position, model, settings, "
        "(SELECT count(*) FROM exceptions x WHERE x.point_id = r.id), "
        "(SELECT min(busy) FROM repetitions x WHERE x.point_id = r.id), paper_bits, "
        "paper_bits_marks, stored_bits, full_bits, file_bytes, weights, peak_memory, weights_left, "
        "bytes_left, "
        "bytes_outer, bytes_vectors, "
        "(SELECT wall FROM stage_times t WHERE t.point_id = r.id AND stage = 'quantize'), "
        "(SELECT wall FROM stage_times t WHERE t.point_id = r.id AND stage = 'total'), "
        "count(*) OVER () FROM experiment_rows r WHERE experiment = ?1 ORDER BY position, id";
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(store_prepare(store, &statement, sql));
    TRY(store_bind(store, statement, "t", table->experiment));
    for (;; table->row_count++) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        if (table->row_count == 0) {
            size_t count = (size_t)sqlite3_column_int64(statement, 25);
            TRY(arena_calloc(arena, &table->rows, count, sizeof *table->rows));
        }
        struct table_row *r = &table->rows[table->row_count];
        TRY(read_row(r, statement, arena));
    }
    if (table->row_count == 0)
        rc = err_set(ERR_MISSING, "%s: the experiment '%s' has no points yet", store->path,
                     table->experiment);
out:
    sqlite3_finalize(statement);
    return rc;
}

/* Keeps the rows that the expression is true for. */
static int filter(struct table *table, struct store *store, const char *where, struct arena *arena)
{
    unsigned char *keep;
    int rc, kept = 0;
    TRY(arena_calloc(arena, &keep, (size_t)table->row_count, sizeof *keep));
    TRY(query_filter(store, table, where, keep));
    for (int i = 0; i < table->row_count; i++)
        if (keep[i])
            table->rows[kept++] = table->rows[i];
    table->row_count = kept;
    if (kept == 0)
        rc = err_set(ERR_MISSING, "%s has no point for which --where '%s' is true",
                     table->experiment, where);
out:
    return rc;
}

static bool is_measured(const struct table *table, int metric)
{
    for (int i = 0; i < table->row_count; i++)
        if (table->rows[i].values[metric].present)
            return true;
    return false;
}

/* What only rows measured that a filter took out has no column. */
static void drop_empty_metrics(struct table *table)
{
    int kept = 0;
    for (int j = 0; j < table->metric_count; j++) {
        if (!is_measured(table, j))
            continue;
        table->metrics[kept] = table->metrics[j];
        for (int i = 0; i < table->row_count; i++)
            table->rows[i].values[kept] = table->rows[i].values[j];
        kept++;
    }
    table->metric_count = kept;
}

static void count_models(struct table *table)
{
    table->model = table->rows[0].model;
    table->models = 0;
    for (int i = 0; i < table->row_count; i++) {
        int before = 0;
        while (before < i && strcmp(table->rows[before].model, table->rows[i].model) != 0)
            before++;
        table->models += before == i;
    }
}

int table_select(struct table *table, struct store *store, const struct table_selection *selection,
                 struct arena *arena)
{
    int rc;
    *table = (struct table){0};
    TRY(find_experiment(table, store, selection->experiment, arena));
    TRY(load_metrics(table, store, arena));
    TRY(load_rows(table, store, arena));
    if (selection->where)
        TRY(filter(table, store, selection->where, arena));
    if (selection->seeds_together)
        TRY(table_join_seeds(table, arena));
    count_models(table);
    for (int i = 0; i < table->row_count; i++) {
        struct table_row *row = &table->rows[i];
        TRY(arena_calloc(arena, &row->values, (size_t)table->metric_count, sizeof *row->values));
        for (int j = 0; j < table->metric_count; j++)
            TRY(table_load_value(&row->values[j], store, row, &table->metrics[j], arena));
    }
    drop_empty_metrics(table);
out:
    return rc;
}

int table_load(struct table *table, struct store *store, const char *experiment,
               struct arena *arena)
{
    return table_select(table, store, &(struct table_selection){.experiment = experiment}, arena);
}
