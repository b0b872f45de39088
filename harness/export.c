#include "harness/export.h"

#include "core/err.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A database may have these beside it. */
static void remove_database(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char *name = NULL;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (mem_printf(&name, "%s%s", path, ends[i]) == 0) {
            unlink(name);
            mem_free(name);
        }
}

static int move_whole(const char *temporary, const char *path)
{
    int rc = 0, file = open(temporary, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fsync(file) != 0 || rename(temporary, path) != 0)
        rc = err_set(ERR_IO, "%s: cannot write: %s", path, strerror(errno));
    if (file >= 0)
        close(file);
    return rc;
}

/* One transaction there, and one state of `from` for all of it. */
static int copy_experiment(const struct store *from, const struct store *to, const char *experiment,
                           struct store_copied *copied)
{
    struct store_copy *copy = NULL;
    int rc;
    TRY(store_execute(from, "BEGIN"));
    TRY(store_begin(to));
    rc = store_copy_open(&copy, from, to);
    if (rc == 0)
        rc = store_copy_points(copy, experiment, copied);
    if (rc == 0)
        rc = store_copy_experiment(copy, experiment, copied);
    store_copy_close(copy);
    TRY(store_end(to, rc));
out:
    if (!sqlite3_get_autocommit(from->db))
        sqlite3_exec(from->db, "ROLLBACK", NULL, NULL, NULL); /* it only read */
    return rc;
}

static int must_be_new(const char *path)
{
    if (file_exists(path))
        return err_set(ERR_USAGE, "%s: is there already; remove it, or name another file", path);
    return 0;
}

int export_database(struct store *store, const char *experiment, const char *path,
                    struct store_copied *copied)
{
    struct store *target = NULL;
    char *temporary = NULL, *name = NULL;
    int rc;
    TRY(must_be_new(path));
    TRY(store_find_experiment(store, experiment, &name));
    TRY(mem_printf(&temporary, "%s.tmp.%ld", path, (long)getpid()));
    TRY(store_open(&target, temporary, 1));
    TRY(copy_experiment(store, target, name, copied));
    TRY(store_execute(target, "PRAGMA journal_mode = DELETE")); /* one file, no log beside it */
    store_close(target);
    target = NULL;
    TRY(move_whole(temporary, path));
out:
    store_close(target);
    if (rc && temporary)
        remove_database(temporary);
    mem_free(temporary);
    mem_free(name);
    return rc;
}

/* All of a database, one state of it. */
static int merge_one(const struct store *from, const struct store *to, struct store_copied *copied)
{
    struct store_copy *copy = NULL;
    struct strbuf names = {0};
    int64_t experiments;
    int rc;
    TRY(store_execute(from, "BEGIN"));
    TRY(store_copy_open(&copy, from, to));
    TRY(store_copy_points(copy, NULL, copied));
    TRY(store_integer(from, "SELECT count(*) FROM experiments", &experiments));
    if (experiments == 0)
        goto out;
    TRY(store_experiments(from, NULL, &names));
    for (const char *name = names.data; name < names.data + names.length; name += strlen(name) + 1)
        TRY(store_copy_experiment(copy, name, copied));
out:
    store_copy_close(copy);
    strbuf_release(&names);
    if (!sqlite3_get_autocommit(from->db))
        sqlite3_exec(from->db, "ROLLBACK", NULL, NULL, NULL);
    return rc ? err_prefix(rc, "merging %s", from->path) : 0;
}

static int merge_all(const struct store *to, struct store *const *sources, int count,
                     struct store_copied *copied)
{
    int rc;
    TRY(store_begin(to));
    rc = 0;
    for (int i = 0; i < count && rc == 0; i++)
        rc = merge_one(sources[i], to, &copied[i]);
    TRY(store_end(to, rc));
out:
    return rc;
}

/* Opens every file before anything is written. */
static int open_sources(const char *const *paths, int count, struct store **sources)
{
    int rc = 0;
    for (int i = 0; i < count; i++) {
        const char *end = strrchr(paths[i], '.');
        TRY(end && strcmp(end, ".jsonl") == 0 ? import_lines(&sources[i], paths[i])
                                              : store_open_source(&sources[i], paths[i]));
    }
out:
    return rc;
}

static int not_itself(const struct store *to, struct store *const *sources, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(to->path, sources[i]->path) == 0)
            return err_set(ERR_USAGE, "%s: cannot be merged into itself; --database names another",
                           to->path);
    return 0;
}

int merge_databases(const char *database, const char *const *paths, int count, merge_report *report,
                    void *context)
{
    struct store **sources = NULL, *to = NULL;
    struct store_copied *copied = NULL;
    int rc, existed = file_exists(database);
    TRY(mem_calloc(&sources, (size_t)count, sizeof *sources));
    TRY(mem_calloc(&copied, (size_t)count, sizeof *copied));
    TRY(open_sources(paths, count, sources));
    TRY(store_open(&to, database, 1));
    TRY(not_itself(to, sources, count));
    TRY(merge_all(to, sources, count, copied));
    for (int i = 0; i < count; i++)
        report(context, paths[i], &copied[i]);
out:
    for (int i = 0; i < count; i++) {
        if (sources)
            store_close(sources[i]);
        if (copied)
            strbuf_release(&copied[i].different);
    }
    mem_free(sources);
    mem_free(copied);
    int made = to && !existed;
    store_close(to);
    if (rc && made) /* a database without anything would be left */
        remove_database(database);
    return rc;
}
