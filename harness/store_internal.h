/* Between the store's own files, and for the readers (table, plot) that run SQL of their own. */
#ifndef HARNESS_STORE_INTERNAL_H
#define HARNESS_STORE_INTERNAL_H

#include "core/mem.h"
#include "harness/store.h"

#include <sqlite3.h>
#include <stdarg.h>

enum {
    STORE_VERSION = 2,             /* of results/schema.sql, as PRAGMA user_version */
    STORE_APPLICATION = 0x62696274 /* "bibt", as PRAGMA application_id: tells our files from others'
                                    */
};

struct store {
    sqlite3 *db;
    char *path;
    int writing;
    int lock;            /* descriptor of the writer's lock, or -1 */
    char *lock_path;     /* "PATH.lock" */
    char lock_since[21]; /* UTC */
};

/* Turns SQLite's last error into one line: "PATH: cannot DOING: why; what to do". */
int store_fail(const struct store *store, const char *doing);

/* *out = the prepared statement; the caller finalizes it (NULL is legal). */
int store_prepare(const struct store *store, sqlite3_stmt **out, const char *sql);

/* Binds the parameters 1, 2, ... after a reset. types has one letter for each: t const char * (NULL
 * allowed), i int64_t, d double (NaN becomes NULL). */
int store_bind(const struct store *store, sqlite3_stmt *statement, const char *types, ...);

/* *row = 1 when there is a row to read, 0 at the end. */
int store_step(const struct store *store, sqlite3_stmt *statement, int *row);

/* One statement without rows, prepared, bound, run and finalized. */
int store_run(const struct store *store, const char *sql, const char *types, ...);

/* Several statements without parameters. */
int store_execute(const struct store *store, const char *sql);

/* *value = the single integer that sql gives. */
int store_integer(const struct store *store, const char *sql, int64_t *value);

/* One transaction: store_end commits when rc is 0, else rolls back and keeps the error. Returns rc
 * or the commit's error. */
int store_begin(const struct store *store);
int store_end(const struct store *store, int rc);

/* *found = name, or the only experiment of the database when name is NULL; the caller's. ERR_USAGE
 * names the experiments there are. */
int store_find_experiment(const struct store *store, const char *name, char **found);

/* Appends the experiments' names, each with its NUL: that of name, or all when it is NULL. */
int store_experiments(const struct store *store, const char *name, struct strbuf *names);

/* Lists the point in the experiment, which must be registered. */
int store_link(const struct store *store, const char *id, const char *experiment, int order);

/* store_diagnostics.c: within the transaction that writes a point. Before the earlier point of the
 * same id is deleted, store_keep_timings takes its timings and repetitions out of the way;
 * store_write_timings brings them back and adds the record's. */
int store_keep_timings(const struct store *store, const char *id);
int store_write_timings(const struct store *store, const struct point_record *record);
/* The same for a point that was copied: its repetitions are numbered behind those that were kept.
 */
int store_restore_timings(const struct store *store, const char *id);
int store_write_blocks(const struct store *store, const struct point_record *record);
int store_write_exceptions(const struct store *store, const struct point_record *record);

/* The writer's lock: one run a database. ERR_BUSY names the process that holds it. */
int store_lock(struct store *store);
void store_unlock(struct store *store);

/* A step from version v to v + 1 is steps[v - 1]. */
struct store_migrations {
    const char *const *steps;
    int version; /* the newest: 1 + number of steps */
};
/* Creates the schema in an empty database, or brings an older one to the newest version, in one
 * transaction. A newer one, or one of another program, is ERR_FORMAT. *older = 1 when it is older
 * and the store is open for reading only. */
int store_schema(const struct store *store, const struct store_migrations *migrations, int *older);
/* 0 for an empty database and for one of ours that is not newer; else ERR_FORMAT. */
int store_is_ours(const struct store *store, const struct store_migrations *migrations);
extern const struct store_migrations store_migrations;
/* *out = a temporary copy of the whole database, brought to the newest schema; the disk space is
 * given back by store_close. */
int store_migrated_copy(struct store **out, const struct store *from,
                        const struct store_migrations *migrations);
/* *out = an empty database that is gone when it is closed; `path` names it in messages. */
int store_temporary(struct store **out, const char *path);

/* results/schema.sql by lines; ends with NULL. Generated. */
extern const char *const schema_sql[];

#endif
