/* What a test says of a database: the one value that a query gives. */
#ifndef TESTS_DATABASE_SAYS_H
#define TESTS_DATABASE_SAYS_H

#include "tests/fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The first column of the first row, as SQLite writes it as text; NULL is "NULL". */
static inline void database_says(const char *folder, const char *database, const char *sql,
                                 const char *expected)
{
    char *path;
    sqlite3 *db;
    sqlite3_stmt *row;
    FIXTURE_OK(file_join(&path, folder, database));
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    const char *found = (const char *)sqlite3_column_text(row, 0);
    assert_string_equal(found ? found : "NULL", expected);
    sqlite3_finalize(row);
    sqlite3_close(db);
    mem_free(path);
}

#endif
