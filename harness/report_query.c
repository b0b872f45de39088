/* Tables of the page that are one statement of SQL each. */
#include "core/err.h"
#include "harness/report_internal.h"
#include "harness/store_internal.h"

#include <math.h>
#include <string.h>

enum { MOST_ROWS = 200000 };

/* Points come in the spec's order, so the next is mostly the one that was found last or its
 * neighbour. */
static const char *report_name(struct report *report, const char *id)
{
    const struct table *table = report->table;
    for (int i = 0; i < table->row_count; i++) {
        int at = (report->last_name + i) % table->row_count;
        if (strcmp(table->rows[at].id, id) == 0) {
            report->last_name = at;
            return report->names[at];
        }
    }
    return id;
}

static int cell_text(struct report *report, sqlite3_stmt *statement, int column, char format,
                     const char **out)
{
    const double value = sqlite3_column_double(statement, column);
    const char *text = (const char *)sqlite3_column_text(statement, column);
    struct arena *arena = report->arena;
    *out = "–";
    if (!text)
        return 0;
    switch (format) {
    case 'N': *out = report_name(report, text); return 0; /* a point, by its id */
    case 'i': return arena_printf(arena, out, "%.0f", value);
    case '2': return arena_printf(arena, out, "%.2f", value);
    case '4': return arena_printf(arena, out, "%.4f", value);
    case 'g': return arena_printf(arena, out, "%.3g", value);
    case '%': return arena_printf(arena, out, "%.1f %%", 100 * value);
    case 'G': return arena_printf(arena, out, "%.2f GB", value / 1e9);
    default: return arena_printf(arena, out, "%s", text);
    }
}

static const char *cell_class(char format)
{
    return format == 't' ? "text" : format == 'w' ? "wrap" : NULL;
}

static int start(const struct report *report, sqlite3_stmt **statement, const char *sql)
{
    int rc;
    TRY(store_prepare(report->store, statement, sql));
    TRY(store_bind(report->store, *statement, "t", report->table->experiment));
out:
    return rc;
}

static int count_rows(const struct report *report, const char *sql, int *count)
{
    sqlite3_stmt *statement = NULL;
    int rc, row = 1;
    *count = 0;
    TRY(start(report, &statement, sql));
    while (*count < MOST_ROWS) {
        TRY(store_step(report->store, statement, &row));
        if (!row)
            break;
        ++*count;
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

int report_query(struct report *report, const struct report_query *query, int *rows)
{
    const int columns = (int)strlen(query->formats);
    struct grid grid = {.columns = columns};
    sqlite3_stmt *statement = NULL;
    const char **classes;
    int rc, row;
    TRY(count_rows(report, query->sql, rows));
    if (*rows == 0)
        goto out;
    grid.rows = *rows + 1;
    TRY(arena_calloc(report->arena, &grid.cells, (size_t)grid.rows * (size_t)columns,
                     sizeof *grid.cells));
    TRY(arena_calloc(report->arena, &classes, (size_t)grid.rows * (size_t)columns,
                     sizeof *classes));
    TRY(start(report, &statement, query->sql));
    if (sqlite3_column_count(statement) != columns)
        TRY(err_set(ERR_INTERNAL, "the report's table '%s' has %d columns, its SQL gives %d",
                    query->caption, columns, sqlite3_column_count(statement)));
    for (int i = 0; i < grid.rows; i++) {
        if (i > 0)
            TRY(store_step(report->store, statement, &row));
        for (int j = 0; j < columns; j++) {
            const char **cell = &grid.cells[i * columns + j];
            classes[i * columns + j] = j ? cell_class(query->formats[j]) : NULL;
            if (i == 0)
                *cell = query->heads[j];
            else
                TRY(cell_text(report, statement, j, query->formats[j], cell));
        }
    }
    TRY(html_grid(report->out, &grid, query->caption, classes));
out:
    sqlite3_finalize(statement);
    return rc;
}
