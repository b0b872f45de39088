#include "harness/store.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "harness/store_internal.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BUSY_MILLISECONDS = 10000 }; /* how long to wait for another connection's transaction */

/* *out = the path with links resolved, so that two names of one database share one lock; the parent
 * folder is made. */
static int resolve(char **out, const char *path, int for_writing)
{
    char real[PATH_MAX], *folder = NULL;
    struct stat there;
    int rc = 0;
    if (!*path) /* SQLite would take it for a database that vanishes at the end */
        return err_set(ERR_USAGE, "--database: a path is expected, not an empty text");
    if (stat(path, &there) == 0 && !S_ISREG(there.st_mode))
        return err_set(ERR_IO, "%s: %s, not a database; name a file with --database", path,
                       S_ISDIR(there.st_mode) ? "a folder" : "a device or the like");
    if (realpath(path, real))
        return mem_strdup(out, real);
    if (!for_writing)
        return err_set(ERR_MISSING,
                       "%s: no such database; `bitbench run` writes one, --database names another",
                       path);
    const char *slash = strrchr(path, '/');
    if (slash && slash != path) {
        TRY(mem_printf(&folder, "%.*s", (int)(slash - path), path));
        TRY(file_make_directories(folder));
    }
    TRY(mem_strdup(out, path));
out:
    mem_free(folder);
    return rc;
}

static int check_whole(const struct store *store)
{
    sqlite3_stmt *check = NULL;
    int rc, row;
    TRY(store_prepare(store, &check, "PRAGMA quick_check(1)"));
    TRY(store_step(store, check, &row));
    const char *answer = row ? (const char *)sqlite3_column_text(check, 0) : NULL;
    if (!answer || strcmp(answer, "ok") != 0)
        rc = err_set(ERR_FORMAT,
                     "%s: the database is damaged (%s); move it away, `sqlite3 FILE .recover` may "
                     "save its rows",
                     store->path, answer ? answer : "no answer");
out:
    sqlite3_finalize(check);
    return rc;
}

static int connect_for_writing(struct store *store)
{
    int rc;
    TRY(store_lock(store));
    if (sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                        NULL) != SQLITE_OK) {
        rc = store_fail(store, "open");
        goto out;
    }
    if (sqlite3_db_readonly(store->db, "main") == 1) {
        rc = err_set(ERR_IO,
                     "%s: the file is read-only; make it writable, or name another with --database",
                     store->path);
        goto out;
    }
    sqlite3_busy_timeout(store->db, BUSY_MILLISECONDS);
    TRY(store_is_ours(store, &store_migrations)); /* before anything is written */
    TRY(store_execute(
        store, "PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"));
    TRY(check_whole(store));
out:
    return rc;
}

/* A database in WAL mode needs its -shm file, which a read-only folder refuses: without a log there
 * is nothing but the main file, which then cannot change under us. */
static int connect_for_reading(struct store *store)
{
    char *uri = NULL, *wal = NULL;
    struct stat info;
    int64_t tables;
    int rc;
    if (sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        return store_fail(store, "open");
    sqlite3_busy_timeout(store->db, BUSY_MILLISECONDS);
    rc = store_integer(store, "SELECT count(*) FROM sqlite_schema", &tables);
    int code = sqlite3_errcode(store->db);
    if (rc == 0 || (code != SQLITE_CANTOPEN && code != SQLITE_READONLY))
        return rc;
    TRY(mem_printf(&wal, "%s-wal", store->path));
    if (stat(wal, &info) == 0 && info.st_size > 0) {
        rc = err_set(ERR_IO,
                     "%s: the folder is read-only and a run left its log (-wal) behind; copy both "
                     "files to a "
                     "writable folder",
                     store->path);
        goto out;
    }
    uri = sqlite3_mprintf("file:%s?immutable=1", store->path);
    if (!uri) {
        rc = err_set(ERR_MEMORY, "%s: out of memory", store->path);
        goto out;
    }
    sqlite3_close(store->db);
    store->db = NULL;
    rc = 0;
    if (sqlite3_open_v2(uri, &store->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK)
        rc = store_fail(store, "open");
out:
    mem_free(wal);
    sqlite3_free(uri);
    return rc;
}

/* A database of an older schema is brought up to date by opening it for writing once. */
static int upgrade(const char *path)
{
    struct store *store;
    int rc = store_open(&store, path, 1);
    if (rc == 0)
        store_close(store);
    return rc;
}

/* *older = 1, and nothing is changed, when a database that is opened for reading has an older
 * schema.
 */
static int open_as_it_is(struct store **out, const char *path, int for_writing, int *older)
{
    struct store *store;
    int rc;
    if ((rc = mem_calloc(&store, 1, sizeof *store)) != 0)
        return rc;
    store->lock = -1;
    store->writing = for_writing;
    TRY(resolve(&store->path, path, for_writing));
    TRY(for_writing ? connect_for_writing(store) : connect_for_reading(store));
    TRY(store_schema(store, &store_migrations, older));
out:
    if (rc)
        store_close(store);
    else
        *out = store;
    return rc;
}

int store_open(struct store **out, const char *path, int for_writing)
{
    struct store *store = NULL;
    int rc, older = 0;
    TRY(open_as_it_is(&store, path, for_writing, &older));
    if (older) {
        store_close(store);
        store = NULL;
        TRY(upgrade(path));
        TRY(open_as_it_is(&store, path, 0, &older));
    }
    *out = store;
out:
    return rc;
}

int store_open_source(struct store **out, const char *path)
{
    struct store *store = NULL, *copy = NULL;
    int rc, older = 0;
    TRY(open_as_it_is(&store, path, 0, &older));
    TRY(check_whole(store)); /* half of it may be readable */
    if (older) {
        TRY(store_migrated_copy(&copy, store, &store_migrations));
        *out = copy;
    } else {
        *out = store;
        store = NULL;
    }
out:
    store_close(store);
    return rc;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    sqlite3_close(store->db);
    store_unlock(store);
    mem_free(store->path);
    mem_free(store);
}

int store_experiment(struct store *store, const char *name, const char *title, const char *path,
                     const char *text)
{
    char now[21];
    clock_utc(now);
    return store_run(
        store,
        "INSERT INTO experiments (name, title, path, text, updated) VALUES (?1, ?2, ?3, ?4, ?5) "
        "ON CONFLICT (name) DO UPDATE SET title = ?2, path = ?3, text = ?4, updated = ?5",
        "ttttt", name, title ? title : "", path ? path : "", text ? text : "", now);
}

static int list_points(const struct store *store, const char *name, const char *const *ids,
                       int count, int64_t first, int64_t end)
{
    int rc;
    TRY(store_run(store,
                  "DELETE FROM experiment_points WHERE experiment_id = (SELECT id FROM "
                  "experiments WHERE name = ?1) AND (position BETWEEN ?2 AND ?3 OR position >= ?4)",
                  "tiii", name, first, first + STORE_MODEL_PLACES - 1, end));
    for (int i = 0; i < count; i++)
        TRY(store_run(store,
                      "INSERT OR REPLACE INTO experiment_points (experiment_id, point_id, "
                      "position) SELECT experiments.id, points.id, ?3 FROM experiments, points "
                      "WHERE name = ?1 AND points.id = ?2 AND status = 'done'",
                      "tti", name, ids[i], first + i));
out:
    return rc;
}

int store_experiment_points(struct store *store, const char *name, const char *const *ids,
                            int count, int model, int models)
{
    const int64_t places = STORE_MODEL_PLACES;
    int rc;
    TRY(store_begin(store));
    TRY(store_end(store, list_points(store, name, ids, count, model * places, models * places)));
out:
    return rc;
}

int store_point_done(struct store *store, const char *id, const char *experiment, int order,
                     int *done)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(store_prepare(store, &statement, "SELECT 1 FROM points WHERE id = ?1 AND status = 'done'"));
    TRY(store_bind(store, statement, "t", id));
    TRY(store_step(store, statement, &row));
    sqlite3_reset(statement); /* ends the read before the write */
    if (row && experiment)
        TRY(store_link(store, id, experiment, order));
    *done = row;
out:
    sqlite3_finalize(statement);
    return rc;
}
