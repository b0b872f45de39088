/* Grids as CSV (RFC 4180) and JSON records: numbers with all digits, marks in fields of their own.
 */
#include "core/err.h"
#include "harness/table_grid.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNIFICANT = 10 };

/* A field is quoted when it holds a comma, a quote or the end of a line; quotes are doubled. */
void csv_text(const char *text, int first, FILE *out)
{
    int quoted = strpbrk(text, ",\"\r\n") != NULL;
    fputs(first ? "" : ",", out);
    fputs(quoted ? "\"" : "", out);
    for (; *text; text++)
        fputs(*text == '"' ? "\"\"" : (char[2]){*text, 0}, out);
    fputs(quoted ? "\"" : "", out);
}

/* NaN is an empty field. */
void csv_number(double value, FILE *out)
{
    if (isnan(value))
        fputs(",", out);
    else
        fprintf(out, ",%.*g", SIGNIFICANT, value);
}

const char *mark_name(enum table_mark mark)
{
    return mark == MARK_BEST ? "best" : mark == MARK_NEAR ? "near" : "";
}

static bool is_marked(const struct grid *grid, int column)
{
    for (int i = 1; i < grid->rows && grid->marks; i++)
        if (grid->marks[i * grid->columns + column] != MARK_NONE)
            return true;
    return false;
}

/* The number behind the cell, nothing where there is nothing, else the text. */
static void csv_cell(const struct grid *grid, int cell, FILE *out)
{
    const bool first = cell % grid->columns == 0;
    if (grid->values && !isnan(grid->values[cell]) && !first)
        csv_number(grid->values[cell], out);
    else if (grid->values && !isnan(grid->values[cell]))
        fprintf(out, "%.*g", SIGNIFICANT, grid->values[cell]);
    else
        csv_text(strcmp(grid->cells[cell], TABLE_NOTHING) == 0 ? "" : grid->cells[cell], first,
                 out);
}

int grid_csv(const struct grid *grid, FILE *out)
{
    for (int i = 0; i < grid->rows; i++) {
        for (int j = 0; j < grid->columns; j++) {
            const int cell = i * grid->columns + j;
            csv_cell(grid, cell, out);
            if (is_marked(grid, j) && i == 0) {
                char name[1024];
                snprintf(name, sizeof name, "%s mark", grid->cells[j]);
                csv_text(name, 0, out);
            } else if (is_marked(grid, j)) {
                csv_text(mark_name(grid->marks[cell]), 0, out);
            }
        }
        fputs("\r\n", out);
    }
    return 0;
}

json_t *json_number_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *json_row(const struct grid *grid, int row)
{
    json_t *object = json_object(), *marks = json_object();
    for (int j = 0; j < grid->columns; j++) {
        const int cell = row * grid->columns + j;
        const char *text = grid->cells[cell], *name = grid->cells[j];
        json_t *value = grid->values && !isnan(grid->values[cell])
                            ? json_number_or_null(grid->values[cell])
                        : strcmp(text, TABLE_NOTHING) == 0 ? json_null()
                                                           : json_string(text);
        json_object_set_new(object, name, value);
        if (grid->marks && grid->marks[cell] != MARK_NONE)
            json_object_set_new(marks, name, json_string(mark_name(grid->marks[cell])));
    }
    if (json_object_size(marks) > 0)
        json_object_set(object, "marks", marks);
    json_decref(marks);
    return object;
}

json_t *grid_json(const struct grid *grid)
{
    json_t *rows = json_array();
    for (int i = 1; i < grid->rows; i++)
        json_array_append_new(rows, json_row(grid, i));
    return rows;
}

int json_print_line(json_t *object, FILE *out)
{
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(SIGNIFICANT))
                        : NULL;
    int rc = text ? 0 : err_set(ERR_MEMORY, "table: the rows cannot be written as JSON");
    if (text)
        fprintf(out, "%s\n", text);
    free(text);
    json_decref(object);
    return rc;
}
