/* Databases in memory, and as bytes: results on their way from one process to another. */
#include "core/err.h"
#include "harness/store_copy.h"

static int out_of_memory(void)
{
    return err_set(ERR_MEMORY, "out of memory: a database in memory");
}

/* *out = a connection without tables. */
static int open_empty(struct store **out)
{
    struct store *store;
    int rc = mem_calloc(&store, 1, sizeof *store);
    if (rc)
        return rc;
    store->lock = -1;
    store->writing = 1;
    TRY(mem_strdup(&store->path, "a result in memory"));
    if (sqlite3_open_v2(":memory:", &store->db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        rc = out_of_memory();
out:
    if (rc)
        store_close(store);
    else
        *out = store;
    return rc;
}

int store_open_memory(struct store **out)
{
    struct store *store = NULL;
    int rc, older;
    TRY(open_empty(&store));
    TRY(store_execute(store, "PRAGMA foreign_keys = ON"));
    TRY(store_schema(store, &store_migrations, &older));
    *out = store;
    store = NULL;
out:
    store_close(store);
    return rc;
}

int store_image(const struct store *store, unsigned char **bytes, size_t *size)
{
    sqlite3_int64 length = 0;
    unsigned char *image = sqlite3_serialize(store->db, "main", &length, 0);
    if (!image)
        return out_of_memory();
    *bytes = image;
    *size = (size_t)length;
    return 0;
}

void store_image_free(unsigned char *bytes)
{
    sqlite3_free(bytes);
}

static int take(const struct store *from, struct store *to, const char *id, const char *experiment,
                int order)
{
    struct store_copy *copy = NULL;
    int rc;
    TRY(store_copy_open(&copy, from, to));
    TRY(store_begin(to));
    rc = store_copy_measured(copy, id);
    if (rc == 0)
        rc = store_link(to, id, experiment, order);
    rc = store_end(to, rc);
out:
    store_copy_close(copy);
    return rc;
}

int store_take_point(struct store *store, const unsigned char *image, size_t size, const char *id,
                     const char *experiment, int order)
{
    struct store *from = NULL;
    int rc;
    TRY(open_empty(&from));
    /* Read only: SQLite neither changes the bytes nor frees them. */
    if (sqlite3_deserialize(from->db, "main", (unsigned char *)(uintptr_t)image,
                            (sqlite3_int64)size, (sqlite3_int64)size,
                            SQLITE_DESERIALIZE_READONLY) != SQLITE_OK) {
        rc = store_fail(from, "read the result of another process");
        goto out;
    }
    TRY(take(from, store, id, experiment, order));
out:
    store_close(from);
    return rc;
}
