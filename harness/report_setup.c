/* What a reader needs to judge the numbers: settings, data, hashes, machines. */
#include "core/err.h"
#include "harness/report_internal.h"
#include "harness/store_internal.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* "a=1, b=x, c.d=2": every member, nested ones with their path. */
static int flatten(struct strbuf *text, const json_t *value, const char *path)
{
    const char *key;
    char *compact = NULL, inner[256];
    json_t *member;
    int rc = 0;
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, member)
        {
            snprintf(inner, sizeof inner, "%s%s%s", path, *path ? "." : "", key);
            TRY(flatten(text, member, inner)); /* NOLINT(misc-no-recursion): settings are shallow */
        }
        return 0;
    }
    if (strcmp(path, "split") == 0 && json_is_integer(value) && json_integer_value(value) >= 0 &&
        json_integer_value(value) < 3)
        return strbuf_printf(text, "%ssplit=%s", text->length ? ", " : "",
                             report_splits[json_integer_value(value)]);
    compact = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(8));
    const char *shown = json_is_string(value) ? json_string_value(value) : compact;
    TRY(strbuf_printf(text, "%s%s=%s", text->length ? ", " : "", path, shown ? shown : ""));
out:
    free(compact);
    return rc;
}

static int flat(struct arena *arena, const json_t *value, const char **out)
{
    struct strbuf text = {0};
    int rc = value ? flatten(&text, value, "") : strbuf_puts(&text, "–");
    if (rc == 0)
        rc = arena_printf(arena, out, "%s", text.data ? text.data : "");
    strbuf_release(&text);
    return rc;
}

/* One line a point: everything that its id is the hash of but the evaluation, which all share as
 * far as their columns do. */
static int settings_row(struct report *report, const struct table_row *row, const char **cells)
{
    json_t *settings = json_loads(row->settings, 0, NULL);
    static const char *const parts[] = {"options", "harness", "calibration", "versions"};
    int rc = 0;
    cells[0] = report->names[row - report->table->rows];
    for (int i = 0; i < 4; i++)
        TRY(flat(report->arena, json_object_get(settings, parts[i]), &cells[1 + i]));
    cells[5] = row->id;
out:
    json_decref(settings);
    return rc;
}

static int settings_table(struct report *report)
{
    enum { COLUMNS = 6 };
    static const char *const heads[COLUMNS] = {
        "point", "options of the method", "harness", "calibration", "versions", "id"};
    struct grid grid = {.rows = report->table->row_count + 1, .columns = COLUMNS};
    const char **classes;
    int rc;
    TRY(arena_alloc(report->arena, &grid.cells, (size_t)grid.rows * COLUMNS, sizeof *grid.cells));
    TRY(arena_calloc(report->arena, &classes, (size_t)grid.rows * COLUMNS, sizeof *classes));
    memcpy(grid.cells, heads, sizeof heads);
    for (int i = 0; i < grid.rows; i++) {
        if (i > 0)
            TRY(settings_row(report, &report->table->rows[i - 1],
                             grid.cells + (size_t)i * COLUMNS));
        for (int j = 1; j < COLUMNS; j++)
            classes[i * COLUMNS + j] = "wrap";
    }
    TRY(html_grid(report->out, &grid, "Every setting of every point", classes));
out:
    return rc;
}

/* A list of what differs among the points, each once: the SQL gives JSON, or plain text. */
static int distinct_list(struct report *report, const char *head, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(strbuf_printf(report->out, "<h3>%s</h3>\n<ul>\n", head));
    TRY(store_prepare(report->store, &statement, sql));
    TRY(store_bind(report->store, statement, "t", report->table->experiment));
    for (;;) {
        TRY(store_step(report->store, statement, &row));
        if (!row)
            break;
        const char *text = (const char *)sqlite3_column_text(statement, 0), *shown = text;
        json_t *value = text && *text == '{' ? json_loads(text, 0, NULL) : NULL;
        rc = value ? flat(report->arena, value, &shown) : 0;
        json_decref(value);
        TRY(rc);
        TRY(html_element(report->out, "li", shown ? shown : ""));
    }
    TRY(strbuf_puts(report->out, "</ul>\n"));
out:
    sqlite3_finalize(statement);
    return rc;
}

int report_setup(struct report *report)
{
    static const struct {
        const char *head, *sql;
    } lists[] = {
        {"Models",
         "SELECT DISTINCT model || ', content ' || model_hash || ', tokenizer ' || "
         "ifnull(settings ->> '$.tokenizer_hash', '') FROM experiment_rows WHERE experiment = ?1"},
        {"Evaluation data",
         "SELECT DISTINCT m.dataset || ', ' || m.split || ' split, rule ' || m.rule || CASE WHEN "
         "m.window > 0 THEN ', windows of ' || m.window || ' tokens, ' || m.count || ' scored' "
         "ELSE ', ' || m.count || ' items' END || ', content ' || m.data_hash FROM metrics m JOIN "
         "experiment_rows r ON r.id = m.point_id WHERE r.experiment = ?1 ORDER BY 1"},
        {"Calibration data",
         "SELECT DISTINCT settings ->> '$.calibration' FROM experiment_rows WHERE experiment = ?1 "
         "AND settings ->> '$.calibration' IS NOT NULL"},
        {"Programs and machines",
         "SELECT DISTINCT host FROM experiment_rows WHERE experiment = ?1"},
    };
    int rc;
    TRY(strbuf_puts(report->out, "<section id=\"setup\"><h2>Set-up</h2>\n"));
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
        TRY(distinct_list(report, lists[i].head, lists[i].sql));
    TRY(strbuf_puts(report->out, "<h3>Points</h3>\n"));
    TRY(settings_table(report));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
