/* The JSON lines of an experiment. As the copy from database to database, it reads from the schema
 * which tables belong to a point. */
#include "core/err.h"
#include "core/file.h"
#include "core/interrupt.h"
#include "harness/export.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Text as JSON; a message that was cut in the middle of a letter loses what is no UTF-8. */
static json_t *text_value(const char *text)
{
    json_t *value = json_string(text);
    char *plain = NULL;
    if (!value && mem_strdup(&plain, text) == 0) {
        for (char *at = plain; *at; at++)
            if ((unsigned char)*at >= 0x80)
                *at = '?';
        value = json_string(plain);
        mem_free(plain);
    }
    return value;
}

static json_t *column_value(sqlite3_stmt *statement, int column, int is_json)
{
    double real;
    const char *text;
    switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: return json_integer(sqlite3_column_int64(statement, column));
    case SQLITE_FLOAT:
        real = sqlite3_column_double(statement, column);
        return isfinite(real) ? json_real(real) : json_string(real > 0 ? "Infinity" : "-Infinity");
    case SQLITE_TEXT:
        text = (const char *)sqlite3_column_text(statement, column);
        return is_json ? json_loads(text, JSON_DECODE_ANY, NULL) : text_value(text);
    default: return json_null();
    }
}

/* The present row by its columns' names, without the one that ties it to its parent. */
static json_t *row_object(sqlite3_stmt *statement, const char *parent)
{
    json_t *object = json_object();
    int bad = !object;
    for (int i = 0; i < sqlite3_column_count(statement) && !bad; i++) {
        const char *name = sqlite3_column_name(statement, i);
        int is_json = strcmp(name, "settings") == 0 || strcmp(name, "host") == 0;
        if (strcmp(name, parent) != 0)
            bad |= json_object_set_new(object, name, column_value(statement, i, is_json));
    }
    if (bad) {
        json_decref(object);
        return NULL;
    }
    return object;
}

/* Names of the tables with this column, each with its NUL. */
static int tables_with(const struct store *store, const char *column, struct strbuf *names)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(store_prepare(store, &statement,
                      "SELECT t.name FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c WHERE "
                      "t.type = 'table' AND c.name = ?1 AND t.name <> 'experiment_points' "
                      "ORDER BY t.name"));
    TRY(store_bind(store, statement, "t", column));
    for (;;) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        TRY(strbuf_add(names, name, strlen(name) + 1));
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

struct lines {
    const struct store *store;
    struct strbuf of_point, of_metric; /* names of tables */
    json_t *calibrations;              /* hashes of those that are written */
};

static int add_tables(const struct lines *lines, json_t *object, const char *key, const char *id,
                      int64_t number);

/* object.TABLE = the rows whose column `key` is the id, or the number when id is NULL. */
static int add_rows(const struct lines *lines, json_t *object, const char *table, const char *key,
                    const char *id, int64_t number)
{
    sqlite3_stmt *statement = NULL;
    char *sql = NULL;
    json_t *rows = json_array();
    int rc, row, is_metrics = strcmp(table, "metrics") == 0;
    TRY(mem_printf(&sql, "SELECT * FROM \"%s\" WHERE \"%s\" = ?1 ORDER BY %s", table, key,
                   is_metrics ? "id" : "1, 2, 3"));
    TRY(store_prepare(lines->store, &statement, sql));
    TRY(id ? store_bind(lines->store, statement, "t", id)
           : store_bind(lines->store, statement, "i", number));
    for (;;) {
        TRY(store_step(lines->store, statement, &row));
        if (!row)
            break;
        json_t *member = row_object(statement, key);
        int64_t own = json_integer_value(json_object_get(member, "id"));
        if (is_metrics && json_object_del(member, "id") == 0)
            TRY(add_tables(lines, member, "metric_id", NULL, own));
        if (json_array_append_new(rows, member) != 0)
            TRY(err_set(ERR_MEMORY, "out of memory: a point as JSON"));
    }
    if (json_object_set(object, table, rows) != 0)
        rc = err_set(ERR_MEMORY, "out of memory: a point as JSON");
out:
    json_decref(rows);
    mem_free(sql);
    sqlite3_finalize(statement);
    return rc;
}

/* NOLINTNEXTLINE(misc-no-recursion): two levels, points and metrics */
static int add_tables(const struct lines *lines, json_t *object, const char *key, const char *id,
                      int64_t number)
{
    const struct strbuf *names = id ? &lines->of_point : &lines->of_metric;
    const char *name = names->data, *end = name ? name + names->length : NULL;
    int rc = 0;
    for (; name < end; name += strlen(name) + 1)
        TRY(add_rows(lines, object, name, key, id, number));
out:
    return rc;
}

static int write_object(const struct store *store, const json_t *object, struct file_writer *writer)
{
    int rc;
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(17));
    if (!text)
        return err_set(ERR_FORMAT, "%s: a point cannot be written as JSON", store->path);
    TRY(file_write(writer, text, strlen(text)));
    TRY(file_write(writer, "\n", 1));
out:
    free(text);
    return rc;
}

/* ids, little-endian int32, as numbers. */
static json_t *token_ids(const uint8_t *bytes, int size)
{
    json_t *ids = json_array();
    for (int i = 0; i + 4 <= size; i += 4)
        json_array_append_new(
            ids,
            json_integer((int32_t)((uint32_t)bytes[i] | (uint32_t)bytes[i + 1] << 8 |
                                   (uint32_t)bytes[i + 2] << 16 | (uint32_t)bytes[i + 3] << 24)));
    return ids;
}

/* The first point of the file that was calibrated with some segments has them with it. */
static int add_calibration(const struct lines *lines, json_t *object)
{
    sqlite3_stmt *read = NULL;
    int rc = 0, row;
    const char *hash = json_string_value(json_object_get(
        json_object_get(json_object_get(object, "settings"), "calibration"), "hash"));
    if (!hash || json_object_get(lines->calibrations, hash))
        return 0;
    TRY(store_prepare(lines->store, &read,
                      "SELECT hash, segments, length, ids FROM calibrations WHERE hash = ?1"));
    TRY(store_bind(lines->store, read, "t", hash));
    TRY(store_step(lines->store, read, &row));
    if (!row)
        goto out;
    json_t *ids = token_ids(sqlite3_column_blob(read, 3), sqlite3_column_bytes(read, 3));
    json_t *calibration = json_pack("{s:s, s:i, s:i, s:o}", "hash", hash, "segments",
                                    sqlite3_column_int(read, 1), "length",
                                    sqlite3_column_int(read, 2), "ids", ids);
    if (json_object_set_new(object, "calibration", calibration) != 0 ||
        json_object_set_new(lines->calibrations, hash, json_true()) != 0)
        rc = err_set(ERR_MEMORY, "out of memory: a point as JSON");
out:
    sqlite3_finalize(read);
    return rc;
}

static int write_point(const struct lines *lines, sqlite3_stmt *head, struct file_writer *writer)
{
    json_t *object = row_object(head, "");
    const char *id = json_string_value(json_object_get(object, "id"));
    int rc;
    TRY(interrupt_check());
    if (!id || json_object_set_new(object, "schema", json_integer(STORE_VERSION)) != 0)
        TRY(err_set(ERR_FORMAT, "%s: a point cannot be written as JSON", lines->store->path));
    TRY(add_tables(lines, object, "point_id", id, 0));
    TRY(add_calibration(lines, object));
    TRY(write_object(lines->store, object, writer));
out:
    json_decref(object);
    return rc;
}

static int write_points(const struct lines *lines, const char *experiment,
                        struct file_writer *writer, int *count)
{
    sqlite3_stmt *head = NULL;
    int rc, row;
    TRY(store_prepare(lines->store, &head,
                      "SELECT e.title, e.path AS spec_path, e.text AS spec, e.updated, r.* FROM "
                      "experiment_rows r JOIN experiments e ON e.name = r.experiment WHERE "
                      "r.experiment = ?1 ORDER BY r.position, r.id"));
    TRY(store_bind(lines->store, head, "t", experiment));
    for (*count = 0;; ++*count) {
        TRY(store_step(lines->store, head, &row));
        if (!row)
            break;
        TRY(write_point(lines, head, writer));
    }
out:
    sqlite3_finalize(head);
    return rc;
}

int export_lines(struct store *store, const char *experiment, const char *path,
                 struct store_copied *copied)
{
    struct lines lines = {.store = store, .calibrations = json_object()};
    struct file_writer writer = {0};
    char *name = NULL;
    int rc;
    if (file_exists(path))
        TRY(err_set(ERR_USAGE, "%s: is there already; remove it, or name another file", path));
    TRY(store_find_experiment(store, experiment, &name));
    TRY(tables_with(store, "point_id", &lines.of_point));
    TRY(tables_with(store, "metric_id", &lines.of_metric));
    TRY(file_write_begin(&writer, path));
    TRY(store_execute(store, "BEGIN"));
    TRY(write_points(&lines, name, &writer, &copied->added));
    TRY(file_write_commit(&writer));
    copied->experiments = 1;
out:
    file_write_abort(&writer);
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    json_decref(lines.calibrations);
    strbuf_release(&lines.of_point);
    strbuf_release(&lines.of_metric);
    mem_free(name);
    return rc;
}
