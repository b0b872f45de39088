/* Whole runs on the small model of tests/fixture.h, and what they stored: all that must not depend
 * on the run. */
#ifndef TESTS_RUN_ROWS_H
#define TESTS_RUN_ROWS_H

#include "harness/run.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *folder;

/* What main does first: `folder` with the model, a text and two questions. */
static inline void run_start(const char *name, char **argv)
{
    fixture_start(argv, 2);
    folder = fixture_folder(name);
    fixture_model(folder);
}

static int run_jobs;                /* of the next runs: run_options */
static const char *run_again;       /* the same: rerun */
static const char *run_seeds = "3"; /* of the calibration */

/* FOLDER/spec.yaml; grid is the list of methods. */
static inline void run_spec_write(const char *name, const char *grid)
{
    struct strbuf text = {0};
    FIXTURE_OK(strbuf_printf(
        &text,
        "name: %s\ntitle: a test\nmodel: %s/model\n"
        "calibration: {corpus: 'file:%s/text.txt', samples: 6, length: 40, seed: %s, "
        "allow_overlap: true}\n"
        "evaluation:\n  perplexity:\n    - {corpus: 'file:%s/text.txt', tokens: 1000, window: 48}\n"
        "  tasks:\n    - {task: 'jsonl:%s/questions.jsonl', items: 0}\nmethods:\n%s",
        name, folder, folder, run_seeds, folder, folder, grid));
    fixture_write(folder, "spec.yaml", text.data);
    strbuf_release(&text);
}

static const char *const four_points =
    "  - {method: full}\n  - {method: rtn, bits: [4, 2]}\n"
    "  - {method: gptq, bits: 3, group_size: 32, block_size: 32}\n";

static inline char *run_path(const char *name)
{
    char *path;
    FIXTURE_OK(file_join(&path, folder, name));
    return path;
}

/* Runs spec.yaml into the database; returns the code of run_points (or of run_open). */
static inline int run_spec(const char *database, int limit, struct run_summary *summary)
{
    char *spec = run_path("spec.yaml"), *path = run_path(database);
    struct run run = {0};
    struct run_options options = {
        .spec = spec, .database = path, .limit = limit, .jobs = run_jobs, .rerun = run_again};
    int rc = run_open(&run, &options);
    if (rc == 0)
        rc = run_points(&run, &options, summary);
    run_close(&run);
    mem_free(spec);
    mem_free(path);
    return rc;
}

/* Every row of a query as text, a line a row; reals as %.17g. The caller frees it. */
static inline char *run_query(const char *database, const char *sql)
{
    char *path = run_path(database);
    sqlite3 *db;
    sqlite3_stmt *statement;
    struct strbuf text = {0};
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    FIXTURE_OK(strbuf_puts(&text, ""));
    while (sqlite3_step(statement) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(statement); i++) {
            if (sqlite3_column_type(statement, i) == SQLITE_FLOAT)
                FIXTURE_OK(strbuf_printf(&text, "%.17g|", sqlite3_column_double(statement, i)));
            else
                FIXTURE_OK(
                    strbuf_printf(&text, "%s|", (const char *)sqlite3_column_text(statement, i)));
        }
        FIXTURE_OK(strbuf_puts(&text, "\n"));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    mem_free(path);
    return text.data;
}

/* Columns that may differ: times, dates, the machine, and what was taken over. */
static inline int run_may_differ(const char *column)
{
    static const char *const names[] = {"host",        "started", "finished", "command",
                                        "peak_memory", "saved",   "seconds",  "wall",
                                        "cpu",         "id",      "metric_id"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(column, names[i]) == 0)
            return 1;
    return 0;
}

/* The rows of a table, with the names of the columns; the key in front. */
static inline void run_add_table(struct strbuf *all, const char *database, const char *table,
                                 const char *key, const char *from)
{
    struct strbuf sql = {0};
    char *list, *line, *rest;
    FIXTURE_OK(
        strbuf_printf(&sql, "SELECT name FROM pragma_table_xinfo('%s') ORDER BY name", table));
    list = run_query(database, sql.data);
    sql.length = 0;
    FIXTURE_OK(strbuf_printf(&sql, "SELECT %s", key));
    for (line = list; (rest = strchr(line, '|')) != NULL; line = rest + 2) {
        *rest = '\0';
        if (!run_may_differ(line))
            FIXTURE_OK(strbuf_printf(&sql, ", '%s ', t.\"%s\"", line, line));
    }
    FIXTURE_OK(strbuf_printf(&sql, " FROM %s", from));
    mem_free(list);
    list = run_query(database, sql.data);
    FIXTURE_OK(strbuf_printf(all, "%s:\n%s", table, list));
    mem_free(list);
    strbuf_release(&sql);
}

/* Everything of the points but times, dates, host and memory; the caller frees it. */
static inline char *run_rows(const char *database)
{
    struct strbuf all = {0};
    char *count = run_query(database, "SELECT count(*) > 0 FROM points");
    assert_string_equal(count, "1|\n");
    mem_free(count);
    run_add_table(&all, database, "points", "t.id", "points t ORDER BY t.id");
    run_add_table(&all, database, "layers", "point_id", "layers t ORDER BY point_id, block, name");
    run_add_table(&all, database, "blocks", "point_id", "blocks t ORDER BY point_id, block");
    run_add_table(&all, database, "exceptions", "point_id",
                  "exceptions t ORDER BY point_id, block, name, kind");
    run_add_table(&all, database, "metrics", "point_id",
                  "metrics t ORDER BY point_id, kind, dataset, rule");
    run_add_table(&all, database, "windows", "point_id, dataset",
                  "windows t JOIN metrics m ON m.id = metric_id ORDER BY point_id, dataset, "
                  "t.number");
    run_add_table(&all, database, "items", "point_id, dataset",
                  "items t JOIN metrics m ON m.id = metric_id ORDER BY point_id, dataset, rule, "
                  "t.number");
    run_add_table(&all, database, "timings", "point_id",
                  "timings t ORDER BY point_id, repetition, stage");
    run_add_table(&all, database, "calibrations", "t.hash", "calibrations t ORDER BY t.hash");
    run_add_table(&all, database, "experiment_points", "e.name",
                  "experiment_points t JOIN experiments e ON e.id = experiment_id ORDER BY "
                  "e.name, t.position");
    return all.data;
}

static inline void expect_same_rows(const char *a, const char *b)
{
    char *x = run_rows(a), *y = run_rows(b);
    assert_string_equal(x, y);
    mem_free(x);
    mem_free(y);
}

#endif
