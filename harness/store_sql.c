/* The thin layer over SQLite's calls: every error becomes one line that names the file. */
#include "core/err.h"
#include "harness/store_internal.h"

#include <errno.h>
#include <math.h>
#include <string.h>

int store_fail(const struct store *store, const char *doing)
{
    const char *path = store->path;
    int code = store->db ? sqlite3_extended_errcode(store->db) : SQLITE_NOMEM;
    int system = store->db ? sqlite3_system_errno(store->db) : 0;
    const char *why = store->db ? sqlite3_errmsg(store->db) : "out of memory";
    switch (code & 0xff) {
    case SQLITE_FULL:
        return err_set(
            ERR_IO,
            "%s: cannot %s: the disk is full; nothing was changed, free some space and start again",
            path, doing);
    case SQLITE_READONLY:
        return err_set(ERR_IO, "%s: cannot %s: the database is read-only", path, doing);
    case SQLITE_NOTADB:
        return err_set(ERR_FORMAT, "%s: not a SQLite database; name another file with --database",
                       path);
    case SQLITE_CORRUPT:
        return err_set(ERR_FORMAT,
                       "%s: cannot %s: the database is damaged (%s); move it away, `sqlite3 FILE "
                       ".recover` may "
                       "save its rows",
                       path, doing, why);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return err_set(ERR_BUSY, "%s: cannot %s: another program holds the database locked", path,
                       doing);
    case SQLITE_NOMEM: return err_set(ERR_MEMORY, "%s: cannot %s: out of memory", path, doing);
    case SQLITE_INTERRUPT:
        return err_set(ERR_INTERRUPTED, "%s: interrupted: %s was not done", path, doing);
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return err_set(ERR_IO, "%s: cannot %s: %s%s%s", path, doing, why, system ? ": " : "",
                       system ? strerror(system) : "");
    default: return err_set(ERR_INTERNAL, "%s: cannot %s: %s", path, doing, why);
    }
}

int store_prepare(const struct store *store, sqlite3_stmt **out, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return store_fail(store, "read");
    *out = statement;
    return 0;
}

static int bind_all(sqlite3_stmt *statement, const char *types, va_list values)
{
    int rc = SQLITE_OK;
    for (int i = 0; types[i] && rc == SQLITE_OK; i++) {
        if (types[i] == 't') /* bound text lives until the statement has run: the callers see to
                                that */
            rc = sqlite3_bind_text(statement, i + 1, va_arg(values, const char *), -1,
                                   SQLITE_STATIC);
        else if (types[i] == 'i')
            rc = sqlite3_bind_int64(statement, i + 1, va_arg(values, int64_t));
        else
            rc = sqlite3_bind_double(statement, i + 1, va_arg(values, double));
    }
    return rc;
}

int store_bind(const struct store *store, sqlite3_stmt *statement, const char *types, ...)
{
    va_list values;
    sqlite3_reset(statement);
    va_start(values, types);
    int rc = bind_all(statement, types, values);
    va_end(values);
    return rc == SQLITE_OK ? 0 : store_fail(store, "bind a value");
}

int store_step(const struct store *store, sqlite3_stmt *statement, int *row)
{
    int rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return store_fail(store, sqlite3_stmt_readonly(statement) ? "read" : "write");
    *row = rc == SQLITE_ROW;
    return 0;
}

int store_run(const struct store *store, const char *sql, const char *types, ...)
{
    sqlite3_stmt *statement = NULL;
    va_list values;
    int row, rc;
    TRY(store_prepare(store, &statement, sql));
    va_start(values, types);
    rc = bind_all(statement, types, values);
    va_end(values);
    if (rc == SQLITE_OK)
        rc = store_step(store, statement, &row);
    else
        rc = store_fail(store, "bind a value");
out:
    sqlite3_finalize(statement);
    return rc;
}

int store_execute(const struct store *store, const char *sql)
{
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_fail(store, store->writing ? "write" : "read");
    return 0;
}

int store_integer(const struct store *store, const char *sql, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    int row = 0, rc;
    TRY(store_prepare(store, &statement, sql));
    TRY(store_step(store, statement, &row));
    *value = row ? sqlite3_column_int64(statement, 0) : 0;
out:
    sqlite3_finalize(statement);
    return rc;
}

int store_begin(const struct store *store)
{
    return store_execute(store, "BEGIN IMMEDIATE");
}

int store_end(const struct store *store, int rc)
{
    if (rc == 0)
        rc = store_execute(store, "COMMIT");
    if (rc && !sqlite3_get_autocommit(store->db)) {
        struct err_saved saved;
        err_save(&saved, rc);
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
        rc = err_restore(&saved);
    }
    return rc;
}
