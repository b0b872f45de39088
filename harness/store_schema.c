/* The schema's version: creation, migration, refusal. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/store_internal.h"

/* One SQL text a step. A step stands for what changed between two versions of results/schema.sql
 * and is never edited. */
static const char *const steps[] = {
    "ALTER TABLE points ADD COLUMN command TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE points ADD COLUMN spec_text TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE points ADD COLUMN saved REAL;"
    "ALTER TABLE points ADD COLUMN weights_left REAL;"
    "ALTER TABLE points ADD COLUMN bytes_left REAL;"
    "ALTER TABLE points ADD COLUMN bytes_outer REAL;"
    "ALTER TABLE points ADD COLUMN bytes_vectors REAL;"
    "ALTER TABLE layers ADD COLUMN options TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE layers ADD COLUMN condition REAL;"
    "ALTER TABLE layers ADD COLUMN salient REAL;"
    "ALTER TABLE layers ADD COLUMN split REAL;"
    "CREATE TABLE blocks (point_id TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,"
    " block INTEGER NOT NULL, drift REAL, cosine REAL, PRIMARY KEY (point_id, block))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE exceptions (point_id TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,"
    " block INTEGER NOT NULL, name TEXT NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL,"
    " PRIMARY KEY (point_id, block, name, kind)) STRICT, WITHOUT ROWID;"
    "ALTER TABLE metrics ADD COLUMN kl_divergence REAL;"
    "ALTER TABLE metrics ADD COLUMN kl_error REAL;"
    "ALTER TABLE metrics ADD COLUMN same_top REAL;"
    "ALTER TABLE metrics ADD COLUMN overlap REAL;"
    "ALTER TABLE metrics ADD COLUMN overlap_allowed INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE windows ADD COLUMN kl REAL;"
    "ALTER TABLE windows ADD COLUMN same_top INTEGER;"
    "CREATE TABLE timed (point_id TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,"
    " repetition INTEGER NOT NULL, stage TEXT NOT NULL, wall REAL NOT NULL, cpu REAL NOT NULL,"
    " tokens REAL, PRIMARY KEY (point_id, repetition, stage)) STRICT, WITHOUT ROWID;"
    "INSERT INTO timed SELECT point_id, 0, stage, wall, cpu, tokens FROM timings;"
    "DROP TABLE timings;"
    "ALTER TABLE timed RENAME TO timings;"
    "CREATE TABLE repetitions (point_id TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,"
    " repetition INTEGER NOT NULL, started TEXT NOT NULL, threads INTEGER NOT NULL,"
    " load_before REAL, load_after REAL, busy INTEGER NOT NULL,"
    " PRIMARY KEY (point_id, repetition)) STRICT, WITHOUT ROWID;"
    "CREATE VIEW stage_times AS SELECT point_id, stage, min(wall) AS wall, min(cpu) AS cpu,"
    " tokens, count(*) AS repetitions, max(wall) AS longest FROM timings"
    " GROUP BY point_id, stage"};

const struct store_migrations store_migrations = {steps, STORE_VERSION};

static int mark(const struct store *store, int version)
{
    char text[96];
    sqlite3_snprintf(sizeof text, text, "PRAGMA application_id = %d; PRAGMA user_version = %d",
                     STORE_APPLICATION, version);
    return store_execute(store, text);
}

static int create(const struct store *store, int version)
{
    struct strbuf sql = {0};
    int rc = 0;
    for (int i = 0; schema_sql[i]; i++)
        TRY(strbuf_puts(&sql, schema_sql[i]));
    TRY(store_execute(store, sql.data));
    TRY(mark(store, version));
out:
    strbuf_release(&sql);
    return rc;
}

/* Under the write lock, so that nobody else creates or migrates at the same time: everything is
 * read again. */
static int bring_up(const struct store *store, const struct store_migrations *migrations)
{
    int64_t tables, version;
    int rc;
    TRY(store_begin(store));
    rc = store_integer(store, "SELECT count(*) FROM sqlite_schema", &tables);
    if (rc == 0)
        rc = store_integer(store, "PRAGMA user_version", &version);
    if (rc == 0 && tables == 0)
        rc = create(store, migrations->version);
    else if (rc == 0) {
        for (; version < migrations->version && rc == 0; version++)
            rc = store_execute(store, migrations->steps[version - 1]);
        if (rc == 0)
            rc = mark(store, migrations->version);
        else
            rc = err_prefix(rc, "migration to version %d", (int)version);
    }
    TRY(store_end(store, rc));
out:
    return rc;
}

/* *version = 0 for a database without a table; else it is one of ours, and not newer than us. */
static int find_version(const struct store *store, const struct store_migrations *migrations,
                        int64_t *version)
{
    int64_t tables, application;
    int rc;
    TRY(store_integer(store, "SELECT count(*) FROM sqlite_schema", &tables));
    TRY(store_integer(store, "PRAGMA user_version", version));
    TRY(store_integer(store, "PRAGMA application_id", &application));
    if (tables == 0 && !store->writing)
        rc = err_set(ERR_FORMAT, "%s: the database is empty; `bitbench run` writes one",
                     store->path);
    else if (tables == 0 && *version == 0 && application == 0)
        rc = 0;
    else if (application != STORE_APPLICATION || *version < 1)
        rc = err_set(ERR_FORMAT,
                     "%s: a SQLite database of another program; name another file with --database",
                     store->path);
    else if (*version > migrations->version)
        rc = err_set(ERR_FORMAT,
                     "%s: its schema is version %d, newer than this program's %d; use a newer "
                     "bitbench, or another "
                     "file with --database",
                     store->path, (int)*version, migrations->version);
out:
    return rc;
}

int store_is_ours(const struct store *store, const struct store_migrations *migrations)
{
    int64_t version;
    return find_version(store, migrations, &version);
}

int store_schema(const struct store *store, const struct store_migrations *migrations, int *older)
{
    int64_t version;
    int rc;
    *older = 0;
    TRY(find_version(store, migrations, &version));
    if (version < migrations->version && store->writing)
        rc = bring_up(store, migrations);
    else
        *older = version < migrations->version;
out:
    return rc;
}

static int copy_to_temporary(const struct store *to, const struct store *from)
{
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!backup)
        return store_fail(to, "make a temporary copy");
    sqlite3_backup_step(backup, -1);
    return sqlite3_backup_finish(backup) == SQLITE_OK ? 0 : store_fail(to, "make a temporary copy");
}

/* SQLite's private database, which is gone with the connection. path names it in messages. */
static int open_temporary(struct store **out, const char *path)
{
    struct store *store;
    int rc = mem_calloc(&store, 1, sizeof *store);
    if (rc)
        return rc;
    store->lock = -1;
    store->writing = 1;
    TRY(mem_strdup(&store->path, path));
    if (sqlite3_open_v2("", &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK)
        rc = store_fail(store, "make a temporary copy");
out:
    if (rc)
        store_close(store);
    else
        *out = store;
    return rc;
}

int store_temporary(struct store **out, const char *path)
{
    struct store *store;
    int older, rc = open_temporary(&store, path);
    if (rc)
        return rc;
    rc = store_schema(store, &store_migrations, &older);
    if (rc)
        store_close(store);
    else
        *out = store;
    return rc;
}

int store_migrated_copy(struct store **out, const struct store *from,
                        const struct store_migrations *migrations)
{
    struct store *copy;
    int older, rc = open_temporary(&copy, from->path);
    if (rc)
        return rc;
    TRY(copy_to_temporary(copy, from));
    TRY(store_schema(copy, migrations, &older));
out:
    if (rc)
        store_close(copy);
    else
        *out = copy;
    return rc;
}
