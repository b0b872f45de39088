#include "core/err.h"
#include "core/mem.h"
#include "harness/store_internal.h"

#include <string.h>

/* The ids byte by byte, so that the blob is the same on every machine. */
static void to_little_endian(const int32_t *ids, size_t count, unsigned char *bytes)
{
    for (size_t i = 0; i < count; i++)
        for (int b = 0; b < 4; b++)
            bytes[4 * i + (size_t)b] = (unsigned char)((uint32_t)ids[i] >> (8 * b));
}

int store_calibration(struct store *store, const char *hash, const int32_t *ids, int segments,
                      int length)
{
    int rc, row;
    size_t count = (size_t)segments * (size_t)length;
    unsigned char *bytes = NULL;
    sqlite3_stmt *statement = NULL;
    TRY(mem_alloc(&bytes, count, 4));
    to_little_endian(ids, count, bytes);
    TRY(store_prepare(store, &statement,
                      "INSERT OR IGNORE INTO calibrations (hash, segments, length, ids) "
                      "VALUES (?1, ?2, ?3, ?4)"));
    TRY(store_bind(store, statement, "tii", hash, (int64_t)segments, (int64_t)length));
    if (sqlite3_bind_blob64(statement, 4, bytes, count * 4, SQLITE_STATIC) != SQLITE_OK) {
        rc = store_fail(store, "store the calibration");
        goto out;
    }
    TRY(store_step(store, statement, &row));
out:
    sqlite3_finalize(statement);
    mem_free(bytes);
    return rc;
}
