/* JSON lines back into tables: what harness/export_lines.c wrote. The schema tells which columns
 * there are; members that it does not know are of no table and are left out, as long as the file is
 * not of a newer schema. */
#include "core/err.h"
#include "core/file.h"
#include "core/interrupt.h"
#include "harness/export.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct import {
    const struct store *store;
    const char *path;
    long line;
};

static int bad_line(const struct import *import, const char *what, const char *why)
{
    return err_set(ERR_FORMAT, "%s: line %ld: %s: %s", import->path, import->line, what, why);
}

/* A member as a value: objects as canonical JSON, "Infinity" as the number that JSON lacks. The
 * text of an object is copied. */
static int bind_value(const struct import *import, sqlite3_stmt *statement, int at,
                      const json_t *value, const char *type)
{
    int code = SQLITE_OK;
    const char *text = json_string_value(value);
    char *made = NULL;
    if (text && strcmp(type, "REAL") == 0 &&
        strcmp(text[0] == '-' ? text + 1 : text, "Infinity") == 0)
        code = sqlite3_bind_double(statement, at, text[0] == '-' ? -INFINITY : INFINITY);
    else if (text)
        code = sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
    else if (json_is_integer(value))
        code = sqlite3_bind_int64(statement, at, json_integer_value(value));
    else if (json_is_real(value))
        code = sqlite3_bind_double(statement, at, json_real_value(value));
    else if (json_is_object(value)) {
        made = json_dumps(value, JSON_SORT_KEYS | JSON_COMPACT | JSON_REAL_PRECISION(17));
        if (!made)
            return err_set(ERR_MEMORY, "out of memory: a point from JSON");
        code = sqlite3_bind_text(statement, at, made, -1, SQLITE_TRANSIENT);
        free(made);
    }
    return code == SQLITE_OK ? 0 : store_fail(import->store, "bind a value");
}

/* The columns of the table that the object has, and `key` (NULL: none), which gets number 1. */
static int insert_text(const struct import *import, const char *table, const char *key,
                       const json_t *object, struct strbuf *sql, json_t *columns)
{
    sqlite3_stmt *read = NULL;
    struct strbuf holes = {0};
    int rc, row, count = key != NULL;
    TRY(strbuf_printf(sql, "INSERT INTO \"%s\" (%s", table, key ? key : ""));
    TRY(strbuf_puts(&holes, key ? "?1" : ""));
    TRY(store_prepare(import->store, &read,
                      "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden = 0"));
    TRY(store_bind(import->store, read, "t", table));
    for (;;) {
        TRY(store_step(import->store, read, &row));
        if (!row)
            break;
        const char *name = (const char *)sqlite3_column_text(read, 0);
        if ((key && strcmp(name, key) == 0) || !json_object_get(object, name))
            continue;
        TRY(strbuf_printf(sql, "%s\"%s\"", count ? ", " : "", name));
        TRY(strbuf_printf(&holes, "%s?%d", count ? ", " : "", count + 1));
        count++;
        if (json_array_append_new(columns,
                                  json_pack("[s, s]", name, sqlite3_column_text(read, 1))) != 0)
            TRY(err_set(ERR_MEMORY, "out of memory: a point from JSON"));
    }
    TRY(strbuf_printf(sql, ") VALUES (%s)", holes.data));
out:
    sqlite3_finalize(read);
    strbuf_release(&holes);
    return rc;
}

static int step(const struct import *import, sqlite3_stmt *statement, const char *table)
{
    int code = sqlite3_step(statement), kind = code & 0xff;
    if (code == SQLITE_DONE)
        return 0;
    if (kind == SQLITE_CONSTRAINT || kind == SQLITE_MISMATCH)
        return bad_line(import, table, sqlite3_errmsg(import->store->db));
    return store_fail(import->store, "write");
}

/* One row of the table. Its parent is named by text or, when that is NULL, by number. */
static int insert(const struct import *import, const char *table, const char *key, const char *text,
                  int64_t number, const json_t *object)
{
    sqlite3_stmt *write = NULL;
    struct strbuf sql = {0};
    json_t *columns = json_array(), *column;
    size_t i;
    int rc;
    TRY(insert_text(import, table, key, object, &sql, columns));
    TRY(store_prepare(import->store, &write, sql.data));
    if (key)
        TRY(text ? store_bind(import->store, write, "t", text)
                 : store_bind(import->store, write, "i", number));
    json_array_foreach(columns, i, column)
    {
        const char *name = json_string_value(json_array_get(column, 0)),
                   *type = json_string_value(json_array_get(column, 1));
        TRY(bind_value(import, write, (int)i + 1 + (key != NULL), json_object_get(object, name),
                       type));
    }
    TRY(step(import, write, table));
out:
    sqlite3_finalize(write);
    strbuf_release(&sql);
    json_decref(columns);
    return rc;
}

/* *has = the table is there, and its rows belong to something by this column. */
static int belongs(const struct import *import, const char *table, const char *key, int *has)
{
    sqlite3_stmt *read = NULL;
    int rc;
    TRY(store_prepare(import->store, &read,
                      "SELECT 1 FROM sqlite_schema t JOIN pragma_table_xinfo(t.name) c WHERE "
                      "t.type = 'table' AND t.name = ?1 AND c.name = ?2"));
    TRY(store_bind(import->store, read, "tt", table, key));
    TRY(store_step(import->store, read, has));
out:
    sqlite3_finalize(read);
    return rc;
}

/* Timings of schema 1 had no number. */
static void number_repetition(const char *table, json_t *object)
{
    if (strcmp(table, "timings") == 0 && !json_object_get(object, "repetition"))
        json_object_set_new(object, "repetition", json_integer(0));
}

/* The rows of every table that the object has. NOLINTNEXTLINE(misc-no-recursion): two levels */
static int insert_tables(const struct import *import, json_t *object, const char *key,
                         const char *id, int64_t number)
{
    const char *table;
    json_t *rows, *row;
    size_t i;
    int rc = 0, has;
    json_object_foreach(object, table, rows)
    {
        if (!json_is_array(rows))
            continue;
        TRY(belongs(import, table, key, &has));
        if (!has)
            continue;
        json_array_foreach(rows, i, row)
        {
            if (!json_is_object(row))
                TRY(bad_line(import, table, "a row that is no object"));
            number_repetition(table, row);
            TRY(insert(import, table, key, id, number, row));
            if (strcmp(table, "metrics") == 0)
                TRY(insert_tables(import, row, "metric_id", NULL,
                                  sqlite3_last_insert_rowid(import->store->db)));
        }
    }
out:
    return rc;
}

static int insert_calibration(const struct import *import, const json_t *calibration)
{
    const json_t *ids = json_object_get(calibration, "ids"), *id;
    const char *hash = json_string_value(json_object_get(calibration, "hash"));
    struct strbuf bytes = {0};
    sqlite3_stmt *write = NULL;
    size_t i;
    int rc = 0;
    if (!calibration)
        return 0;
    if (!hash || !json_is_array(ids))
        return bad_line(import, "calibration", "it has no hash or no ids");
    json_array_foreach(ids, i, id)
    {
        uint32_t value = (uint32_t)json_integer_value(id);
        const char four[4] = {(char)value, (char)(value >> 8), (char)(value >> 16),
                              (char)(value >> 24)};
        TRY(strbuf_add(&bytes, four, sizeof four));
    }
    TRY(store_prepare(import->store, &write,
                      "INSERT OR IGNORE INTO calibrations (hash, segments, length, ids) "
                      "VALUES (?1, ?2, ?3, ?4)"));
    TRY(store_bind(import->store, write, "tii", hash,
                   (int64_t)json_integer_value(json_object_get(calibration, "segments")),
                   (int64_t)json_integer_value(json_object_get(calibration, "length"))));
    if (sqlite3_bind_blob(write, 4, bytes.data ? bytes.data : "", (int)bytes.length,
                          SQLITE_STATIC) != SQLITE_OK)
        TRY(store_fail(import->store, "bind a value"));
    TRY(step(import, write, "calibrations"));
out:
    strbuf_release(&bytes);
    sqlite3_finalize(write);
    return rc;
}

static int link_experiment(const struct import *import, const json_t *object, const char *id)
{
    const char *texts[5];
    static const char *const names[5] = {"experiment", "title", "spec_path", "spec", "updated"};
    int rc;
    for (int i = 0; i < 5; i++) {
        texts[i] = json_string_value(json_object_get(object, names[i]));
        if (!texts[i] && i < 4)
            return bad_line(import, names[i], "it is missing, or no text");
    }
    TRY(store_run(import->store,
                  "INSERT OR IGNORE INTO experiments (name, title, path, text, updated) "
                  "VALUES (?1, ?2, ?3, ?4, ifnull(?5, strftime('%Y-%m-%dT%H:%M:%SZ')))",
                  "ttttt", texts[0], texts[1], texts[2], texts[3], texts[4]));
    TRY(store_link(import->store, id, texts[0],
                   (int)json_integer_value(json_object_get(object, "position"))));
out:
    return rc;
}

/* A point that is there already came with another experiment. */
static int insert_point(const struct import *import, json_t *object)
{
    const char *id = json_string_value(json_object_get(object, "id"));
    sqlite3_stmt *find = NULL;
    int rc, there;
    if (!id)
        return bad_line(import, "id", "it is missing, or no text");
    if (json_integer_value(json_object_get(object, "schema")) > STORE_VERSION)
        return bad_line(import, "schema", "newer than this program's; use a newer bitbench");
    TRY(store_prepare(import->store, &find, "SELECT 1 FROM points WHERE id = ?1"));
    TRY(store_bind(import->store, find, "t", id));
    TRY(store_step(import->store, find, &there));
    if (!there) {
        TRY(insert(import, "points", NULL, NULL, 0, object));
        TRY(insert_tables(import, object, "point_id", id, 0));
    }
    TRY(insert_calibration(import, json_object_get(object, "calibration")));
    TRY(link_experiment(import, object, id));
out:
    sqlite3_finalize(find);
    return rc;
}

static int read_lines(struct import *import, const char *text, size_t size)
{
    int rc = 0;
    for (size_t at = 0; at < size; at++) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t length = end ? (size_t)(end - text) - at : size - at;
        json_error_t error;
        import->line++;
        if (length > 0) {
            json_t *object = json_loadb(text + at, length, JSON_REJECT_DUPLICATES, &error);
            rc = json_is_object(object)
                     ? insert_point(import, object)
                     : bad_line(import, "not a point as JSON", object ? "no object" : error.text);
            json_decref(object);
        }
        if (rc == 0)
            rc = interrupt_check();
        if (rc)
            return rc;
        at += length;
    }
    return 0;
}

int import_lines(struct store **out, const char *path)
{
    struct store *store = NULL;
    struct file_map map = {0};
    int rc;
    TRY(file_map_open(&map, path));
    TRY(store_temporary(&store, path));
    struct import import = {.store = store, .path = path};
    TRY(store_begin(store));
    TRY(store_end(store, read_lines(&import, (const char *)map.data, map.size)));
    *out = store;
    store = NULL;
out:
    store_close(store);
    file_unmap(&map);
    return rc;
}
