#include "harness/store_copy.h"

#include "core/err.h"
#include "core/interrupt.h"

#include <stdbool.h>
#include <string.h>

/* Rows of one table that share the value of its key column: read as all other columns, written with
 * the key as parameter 1 and these behind it. */
struct copier {
    sqlite3_stmt *read, *write;
    int columns;
};

enum { MAX_TABLES = 24 };

struct store_copy {
    const struct store *from, *to;
    struct copier experiment, point, calibration, metric;
    struct copier of_point[MAX_TABLES], of_metric[MAX_TABLES];
    int point_tables, metric_tables;
    sqlite3_stmt *status_from, *status_to, *calibration_hash;
};

/* *names = ", a, b": the columns that are stored, without the key and a rowid of its own; *holes =
 * ", ?2, ?3" for as many. *has_key = 0 where there is no such column. */
static int list_columns(const struct store *to, const char *table, const char *key,
                        struct strbuf *names, struct strbuf *holes, int *count, int *has_key)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    *count = *has_key = 0;
    TRY(strbuf_puts(names, ""));
    TRY(strbuf_puts(holes, ""));
    TRY(store_prepare(to, &statement,
                      "SELECT name, name = ?2, name = 'id' AND type = 'INTEGER' AND pk = 1 FROM "
                      "pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid"));
    TRY(store_bind(to, statement, "tt", table, key));
    for (;;) {
        TRY(store_step(to, statement, &row));
        if (!row)
            break;
        *has_key |= sqlite3_column_int(statement, 1);
        if (sqlite3_column_int(statement, 1) || sqlite3_column_int(statement, 2))
            continue;
        TRY(strbuf_printf(names, ", \"%s\"", (const char *)sqlite3_column_text(statement, 0)));
        TRY(strbuf_printf(holes, ", ?%d", ++*count + 1));
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

/* The first column that is read is `first`. *known = 0, and nothing is prepared, where the table
 * has no such key. */
static int copier_open(struct copier *copier, const struct store_copy *copy, const char *table,
                       const char *key, const char *first, int *known)
{
    struct strbuf names = {0}, holes = {0}, sql = {0};
    int rc;
    TRY(list_columns(copy->to, table, key, &names, &holes, &copier->columns, known));
    if (!*known)
        goto out;
    TRY(strbuf_printf(&sql, "SELECT %s%s FROM \"%s\" WHERE \"%s\" = ?1", first, names.data, table,
                      key));
    if (strcmp(first, "id") == 0) /* the order of measuring is the order of a table's columns */
        TRY(strbuf_puts(&sql, " ORDER BY id"));
    TRY(store_prepare(copy->from, &copier->read, sql.data));
    sql.length = 0;
    TRY(strbuf_printf(&sql, "INSERT OR %s INTO \"%s\" (\"%s\"%s) VALUES (?1%s)",
                      strcmp(key, "hash") == 0 ? "IGNORE" : "ABORT", table, key, names.data,
                      holes.data));
    TRY(store_prepare(copy->to, &copier->write, sql.data));
out:
    strbuf_release(&names);
    strbuf_release(&holes);
    strbuf_release(&sql);
    return rc;
}

/* Writes the present row of copier->read; parameter 1 is bound already. */
static int write_row(const struct copier *copier, const struct store *to)
{
    int row;
    for (int i = 1; i <= copier->columns; i++)
        if (sqlite3_bind_value(copier->write, i + 1, sqlite3_column_value(copier->read, i)) !=
            SQLITE_OK)
            return store_fail(to, "copy a value");
    return store_step(to, copier->write, &row);
}

/* All rows under a key of text. */
static int copy_under_text(const struct store_copy *copy, const struct copier *copier,
                           const char *key)
{
    int rc, row;
    TRY(store_bind(copy->from, copier->read, "t", key));
    for (;;) {
        TRY(store_step(copy->from, copier->read, &row));
        if (!row)
            break;
        TRY(store_bind(copy->to, copier->write, "t", key));
        TRY(write_row(copier, copy->to));
    }
out:
    sqlite3_reset(copier->read);
    return rc;
}

/* Rows under a number that is another one there. */
static int copy_under_number(const struct store_copy *copy, const struct copier *copier,
                             int64_t old, int64_t new)
{
    int rc, row;
    TRY(store_bind(copy->from, copier->read, "i", old));
    for (;;) {
        TRY(store_step(copy->from, copier->read, &row));
        if (!row)
            break;
        TRY(store_bind(copy->to, copier->write, "i", new));
        TRY(write_row(copier, copy->to));
    }
out:
    sqlite3_reset(copier->read);
    return rc;
}

/* Metrics get new numbers, and their parts with them. */
static int copy_metrics(const struct store_copy *copy, const char *id)
{
    const struct copier *metric = &copy->metric;
    int rc, row;
    TRY(store_bind(copy->from, metric->read, "t", id));
    for (;;) {
        TRY(store_step(copy->from, metric->read, &row));
        if (!row)
            break;
        TRY(store_bind(copy->to, metric->write, "t", id));
        TRY(write_row(metric, copy->to));
        int64_t new = sqlite3_last_insert_rowid(copy->to->db);
        for (int i = 0; i < copy->metric_tables; i++)
            TRY(copy_under_number(copy, &copy->of_metric[i], sqlite3_column_int64(metric->read, 0),
                                  new));
    }
out:
    sqlite3_reset(metric->read);
    return rc;
}

static int open_table(struct store_copy *copy, const char *table)
{
    int rc, known;
    if (strcmp(table, "experiments") == 0)
        return copier_open(&copy->experiment, copy, table, "name", "0", &known);
    if (strcmp(table, "points") == 0)
        return copier_open(&copy->point, copy, table, "id", "0", &known);
    if (strcmp(table, "metrics") == 0)
        return copier_open(&copy->metric, copy, table, "point_id", "id", &known);
    if (strcmp(table, "calibrations") == 0)
        return copier_open(&copy->calibration, copy, table, "hash", "0", &known);
    if (strcmp(table, "experiment_points") == 0)
        return 0; /* store_copy_experiment knows it */
    if (copy->point_tables == MAX_TABLES || copy->metric_tables == MAX_TABLES)
        return err_set(ERR_INTERNAL, "%s: too many tables to copy", copy->to->path);
    TRY(copier_open(&copy->of_point[copy->point_tables], copy, table, "point_id", "0", &known));
    copy->point_tables += known;
    if (known)
        goto out;
    TRY(copier_open(&copy->of_metric[copy->metric_tables], copy, table, "metric_id", "0", &known));
    copy->metric_tables += known;
    if (!known)
        rc = err_set(ERR_INTERNAL, "%s: nothing tells to which point rows of the table %s belong",
                     copy->to->path, table);
out:
    return rc;
}

static int open_tables(struct store_copy *copy)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(store_prepare(copy->to, &statement,
                      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE "
                      "'sqlite\\_%' ESCAPE '\\' ORDER BY name"));
    for (;;) {
        TRY(store_step(copy->to, statement, &row));
        if (!row)
            break;
        TRY(open_table(copy, (const char *)sqlite3_column_text(statement, 0)));
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

int store_copy_open(struct store_copy **out, const struct store *from, const struct store *to)
{
    struct store_copy *copy;
    int rc = mem_calloc(&copy, 1, sizeof *copy);
    if (rc)
        return rc;
    copy->from = from;
    copy->to = to;
    TRY(open_tables(copy));
    TRY(store_prepare(from, &copy->status_from, "SELECT status FROM points WHERE id = ?1"));
    TRY(store_prepare(to, &copy->status_to, "SELECT status FROM points WHERE id = ?1"));
    TRY(store_prepare(from, &copy->calibration_hash,
                      "SELECT settings ->> '$.calibration.hash' FROM points WHERE id = ?1"));
out:
    if (rc)
        store_copy_close(copy);
    else
        *out = copy;
    return rc;
}

static void copier_close(struct copier *copier)
{
    sqlite3_finalize(copier->read);
    sqlite3_finalize(copier->write);
}

void store_copy_close(struct store_copy *copy)
{
    if (!copy)
        return;
    for (int i = 0; i < MAX_TABLES; i++) {
        copier_close(&copy->of_point[i]);
        copier_close(&copy->of_metric[i]);
    }
    copier_close(&copy->experiment);
    copier_close(&copy->point);
    copier_close(&copy->calibration);
    copier_close(&copy->metric);
    sqlite3_finalize(copy->status_from);
    sqlite3_finalize(copy->status_to);
    sqlite3_finalize(copy->calibration_hash);
    mem_free(copy);
}

/* *there = the point is stored; *done = and finished. */
static int status_of(const struct store *store, sqlite3_stmt *statement, const char *id, int *there,
                     bool *done)
{
    int rc;
    TRY(store_bind(store, statement, "t", id));
    TRY(store_step(store, statement, there));
    *done = *there && strcmp((const char *)sqlite3_column_text(statement, 0), "done") == 0;
out:
    sqlite3_reset(statement);
    return rc;
}

static int copy_calibration(const struct store_copy *copy, const char *id)
{
    int rc, row;
    TRY(store_bind(copy->from, copy->calibration_hash, "t", id));
    TRY(store_step(copy->from, copy->calibration_hash, &row));
    const char *hash = (const char *)sqlite3_column_text(copy->calibration_hash, 0);
    if (hash)
        TRY(copy_under_text(copy, &copy->calibration, hash));
out:
    sqlite3_reset(copy->calibration_hash);
    return rc;
}

static int copy_rows(const struct store_copy *copy, const char *id)
{
    int rc;
    TRY(copy_under_text(copy, &copy->point, id));
    TRY(copy_calibration(copy, id));
    TRY(copy_metrics(copy, id));
    for (int i = 0; i < copy->point_tables; i++)
        TRY(copy_under_text(copy, &copy->of_point[i], id));
out:
    return rc;
}

int store_copy_measured(struct store_copy *copy, const char *id)
{
    int rc, ours, theirs;
    bool our_done, their_done;
    TRY(status_of(copy->from, copy->status_from, id, &ours, &our_done));
    TRY(status_of(copy->to, copy->status_to, id, &theirs, &their_done));
    if (their_done && !our_done)
        goto out;
    TRY(store_keep_timings(copy->to, id));
    TRY(store_run(copy->to, "DELETE FROM points WHERE id = ?1", "t", id));
    TRY(copy_rows(copy, id));
    TRY(store_restore_timings(copy->to, id));
out:
    return rc;
}

static int copy_point(const struct store_copy *copy, const char *id, struct store_copied *copied)
{
    int rc, ours, theirs;
    bool our_done, their_done;
    TRY(interrupt_check());
    TRY(status_of(copy->from, copy->status_from, id, &ours, &our_done));
    TRY(status_of(copy->to, copy->status_to, id, &theirs, &their_done));
    if (theirs && (their_done || !our_done)) {
        copied->there++;
        goto out;
    }
    if (theirs) /* what lists it stays: that reference is checked at the end of the transaction */
        TRY(store_run(copy->to, "DELETE FROM points WHERE id = ?1", "t", id));
    TRY(copy_rows(copy, id));
    copied->replaced += theirs;
    copied->added += !theirs;
out:
    return rc;
}

int store_copy_points(struct store_copy *copy, const char *experiment, struct store_copied *copied)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(store_prepare(copy->from, &statement,
                      experiment ? "SELECT id FROM experiment_rows WHERE experiment = ?1 ORDER BY "
                                   "position, id"
                                 : "SELECT id FROM points ORDER BY id"));
    if (experiment)
        TRY(store_bind(copy->from, statement, "t", experiment));
    for (;;) {
        TRY(store_step(copy->from, statement, &row));
        if (!row)
            break;
        TRY(copy_point(copy, (const char *)sqlite3_column_text(statement, 0), copied));
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

/* *text = the experiment's spec, the caller's; NULL when there is no such experiment. */
static int spec_text(const struct store *store, const char *experiment, char **text)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    *text = NULL;
    TRY(store_prepare(store, &statement, "SELECT text FROM experiments WHERE name = ?1"));
    TRY(store_bind(store, statement, "t", experiment));
    TRY(store_step(store, statement, &row));
    if (row)
        TRY(mem_strdup(text, (const char *)sqlite3_column_text(statement, 0)));
out:
    sqlite3_finalize(statement);
    return rc;
}

static int copy_list(const struct store_copy *copy, const char *experiment)
{
    sqlite3_stmt *read = NULL, *write = NULL;
    int rc, row;
    TRY(store_prepare(copy->from, &read,
                      "SELECT id, position FROM experiment_rows WHERE experiment = ?1"));
    TRY(store_prepare(copy->to, &write,
                      "INSERT OR IGNORE INTO experiment_points (experiment_id, point_id, position) "
                      "SELECT id, ?2, ?3 FROM experiments WHERE name = ?1"));
    TRY(store_bind(copy->from, read, "t", experiment));
    for (;;) {
        TRY(store_step(copy->from, read, &row));
        if (!row)
            break;
        TRY(store_bind(copy->to, write, "tti", experiment,
                       (const char *)sqlite3_column_text(read, 0), sqlite3_column_int64(read, 1)));
        TRY(store_step(copy->to, write, &row));
    }
out:
    sqlite3_finalize(read);
    sqlite3_finalize(write);
    return rc;
}

int store_copy_experiment(struct store_copy *copy, const char *experiment,
                          struct store_copied *copied)
{
    char *ours = NULL, *theirs = NULL;
    int rc;
    TRY(spec_text(copy->from, experiment, &ours));
    TRY(spec_text(copy->to, experiment, &theirs));
    if (!theirs)
        TRY(copy_under_text(copy, &copy->experiment, experiment));
    else if (ours && strcmp(ours, theirs) != 0)
        TRY(strbuf_printf(&copied->different, "%s%s", copied->different.length ? ", " : "",
                          experiment));
    TRY(copy_list(copy, experiment));
    copied->experiments += !theirs;
    copied->joined += theirs != NULL;
out:
    mem_free(ours);
    mem_free(theirs);
    return rc;
}
