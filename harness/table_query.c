#include "harness/table_query.h"

#include "core/err.h"
#include "core/nearest.h"
#include "harness/table_internal.h"
#include "methods/method.h"

#include <math.h>
#include <string.h>

/* A column of the view: `select` is its expression over experiment_rows r. */
struct field {
    const char *name, *select, *path; /* path: of an option in the settings; else NULL */
};

struct fields {
    struct field *all;
    int count;
};

/* ---- the columns ---- */

static const struct field fixed_fields[] = {
    {"id", "id", NULL},
    {"position", "position", NULL},
    {"method", "method", NULL},
    {"label", "label", NULL},
    {"status", "status", NULL},
    {"model", "model", NULL},
    {"weights", "weights", NULL},
    {"paper_bits", "paper_bits", NULL},
    {"marks_bits", "paper_bits_marks", NULL},
    {"stored_bits", "stored_bits", NULL},
    {"file_bits", "full_bits", NULL},
    {"file_bytes", "file_bytes", NULL},
    {"peak_memory", "peak_memory", NULL},
    {"quantize_seconds",
     "(SELECT wall FROM stage_times t WHERE t.point_id = r.id AND stage = 'quantize')", NULL},
    {"total_seconds",
     "(SELECT wall FROM stage_times t WHERE t.point_id = r.id AND stage = 'total')", NULL},
    {"saved", "saved", NULL},
    {"exceptions", "(SELECT count(*) FROM exceptions x WHERE x.point_id = r.id)", NULL},
    {"busy", "coalesce((SELECT min(busy) FROM repetitions x WHERE x.point_id = r.id), 0)", NULL},
    {"started", "started", NULL},
    {"finished", "finished", NULL},
    {"warnings", "warnings", NULL},
    {"error", "error", NULL},
    {"settings", "settings", NULL},
    {"host", "host", NULL}};
enum { FIXED = sizeof fixed_fields / sizeof *fixed_fields };

static bool is_known(const struct fields *fields, const char *name)
{
    for (int i = 0; i < fields->count; i++)
        if (strcmp(fields->all[i].name, name) == 0)
            return true;
    return false;
}

static int add_field(struct fields *fields, const struct field *field, struct arena *arena)
{
    if (is_known(fields, field->name))
        return 0;
    if (fields->count % 64 == 0) {
        struct field *more;
        int rc = arena_alloc(arena, &more, (size_t)fields->count + 64, sizeof *more);
        if (rc)
            return rc;
        if (fields->count)
            memcpy(more, fields->all, (size_t)fields->count * sizeof *more);
        fields->all = more;
    }
    fields->all[fields->count++] = *field;
    return 0;
}

/* "salient_frac" beside "low_frac": other names of a method's options. */
static int add_aliases(struct fields *fields, const char *method, struct arena *arena)
{
    int rc = 0;
    const char *plus = strchr(method, '+'); /* "prune+gptq": the options are the second's */
    const char *name = plus ? plus + 1 : method;
    const struct quant_method *found = strcmp(name, "full") == 0 ? NULL : method_find(name);
    for (const struct option *row = found ? found->options : NULL; row && row->name; row++) {
        struct field field = {.name = row->name};
        if (!row->alias_of)
            continue;
        TRY(arena_printf(arena, &field.select, "round(%s(settings ->> '$.options.%s'), 12)",
                         row->complement ? "1 - " : "", row->alias_of));
        TRY(add_field(fields, &field, arena));
    }
out:
    return rc;
}

/* Every key of an object in the settings of the experiment's points. */
static int add_settings(struct fields *fields, struct store *store, const char *experiment,
                        const char *object, const char *prefix, struct arena *arena)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    TRY(store_prepare(store, &statement,
                      "SELECT DISTINCT j.key FROM experiment_rows r, json_each(r.settings, ?2) j "
                      "WHERE r.experiment = ?1 AND j.key NOT GLOB '*[^A-Za-z0-9_-]*' ORDER BY 1"));
    TRY(store_bind(store, statement, "tt", experiment, object));
    for (;;) {
        struct field field;
        const char *key;
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        TRY(table_column_text(arena, statement, 0, &key));
        TRY(arena_printf(arena, &field.name, "%s%s", prefix, key));
        TRY(arena_printf(arena, &field.path, "%s.\"%s\"", object, key));
        TRY(arena_printf(arena, &field.select, "settings ->> '%s'", field.path));
        TRY(add_field(fields, &field, arena));
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

/* %Q of SQLite, in the arena. */
static int quote(const char *text, struct arena *arena, const char **out)
{
    char *quoted = sqlite3_mprintf("%Q", text);
    int rc = quoted ? arena_printf(arena, out, "%s", quoted)
                    : err_set(ERR_MEMORY, "out of memory: an SQL text");
    sqlite3_free(quoted);
    return rc;
}

static int add_metric(struct fields *fields, const struct table_metric *m, struct arena *arena)
{
    const char *texts[] = {m->kind, m->dataset, m->split, m->rule, m->data_hash};
    struct field field = {0};
    int rc = 0;
    for (int i = 0; i < 5; i++)
        TRY(quote(texts[i], arena, &texts[i]));
    TRY(arena_printf(arena, &field.name, "%s:%s", m->kind, m->title));
    TRY(arena_printf(arena, &field.select,
                     "(SELECT value FROM metrics m WHERE m.point_id = r.id AND m.kind = %s AND "
                     "m.dataset = %s AND m.split = %s AND m.rule = %s AND m.data_hash = %s AND "
                     "m.window = %d)",
                     texts[0], texts[1], texts[2], texts[3], texts[4], m->window));
    TRY(add_field(fields, &field, arena));
out:
    return rc;
}

static int collect(struct fields *fields, struct store *store, const struct table *table,
                   struct arena *arena)
{
    int rc = 0;
    *fields = (struct fields){0};
    for (int i = 0; i < FIXED; i++)
        TRY(add_field(fields, &fixed_fields[i], arena));
    TRY(add_settings(fields, store, table->experiment, "$.options", "", arena));
    TRY(add_settings(fields, store, table->experiment, "$.harness", "", arena));
    TRY(add_settings(fields, store, table->experiment, "$.calibration", "calibration.", arena));
    TRY(add_settings(fields, store, table->experiment, "$.after.options", "after.", arena));
    for (int i = 0; i < table->row_count; i++)
        TRY(add_aliases(fields, table->rows[i].method, arena));
    for (int j = 0; j < table->metric_count; j++)
        TRY(add_metric(fields, &table->metrics[j], arena));
out:
    return rc;
}

/* ---- the statement ---- */

/* Columns "calibration.seed", "after.sparsity" are those of tables beside that of the points, so
 * that the name is what SQL takes it for. */
static const char *const sides[] = {"calibration", "after"};
enum { SIDES = sizeof sides / sizeof *sides };

static bool is_of_side(const struct field *field, const char *side)
{
    const size_t length = strlen(side);
    return strncmp(field->name, side, length) == 0 && field->name[length] == '.';
}

static bool is_of_point(const struct field *field)
{
    for (int k = 0; k < SIDES; k++)
        if (is_of_side(field, sides[k]))
            return false;
    return true;
}

/* "WITH point AS (...), calibration AS (...), after AS (...) SELECT point.id, ". */
static int build(const struct fields *fields, struct strbuf *sql)
{
    int rc;
    TRY(strbuf_puts(sql, "WITH point AS (SELECT "));
    for (int i = 0; i < fields->count; i++)
        if (is_of_point(&fields->all[i]))
            TRY(strbuf_printf(sql, "%s%s AS \"%s\"", i ? ", " : "", fields->all[i].select,
                              fields->all[i].name));
    TRY(strbuf_puts(sql, " FROM experiment_rows r WHERE experiment = ?1)"));
    for (int k = 0; k < SIDES; k++) {
        TRY(strbuf_printf(sql, ", \"%s\" AS (SELECT id AS point_id", sides[k]));
        for (int i = 0; i < fields->count; i++)
            if (is_of_side(&fields->all[i], sides[k]))
                TRY(strbuf_printf(sql, ", %s AS \"%s\"", fields->all[i].select,
                                  fields->all[i].name + strlen(sides[k]) + 1));
        TRY(strbuf_puts(sql, " FROM experiment_rows WHERE experiment = ?1)"));
    }
    TRY(strbuf_puts(sql, " SELECT point.id, "));
out:
    return rc;
}

static int allow(void *unused, int action, const char *a, const char *b, const char *c,
                 const char *d)
{
    return action == SQLITE_SELECT || action == SQLITE_READ || action == SQLITE_FUNCTION ||
                   action == SQLITE_RECURSIVE
               ? SQLITE_OK
               : SQLITE_DENY;
}

/* SQLite's complaint as one line, with the nearest column where it misses one. */
static int complain(const struct store *store, const struct fields *fields, const char *what,
                    const char *expression)
{
    static const char missing[] = "no such column: ";
    const char *text = sqlite3_errmsg(store->db);
    struct nearest nearest = {.word = text};
    if (strncmp(text, missing, sizeof missing - 1) != 0)
        return err_set(ERR_USAGE, "%s '%s': %s; `bitbench table --fields` lists the columns", what,
                       expression, text);
    nearest.word = text + sizeof missing - 1;
    for (int i = 0; i < fields->count; i++)
        nearest_offer(&nearest, fields->all[i].name);
    return err_set(ERR_USAGE,
                   "%s '%s': there is no column '%s'%s%s%s; `bitbench table --fields` lists them "
                   "(texts stand in single quotes)",
                   what, expression, nearest.word, nearest.best ? ", did you mean '" : "",
                   nearest.best ? nearest.best : "", nearest.best ? "'" : "");
}

static int prepare(struct store *store, const struct fields *fields, const char *what,
                   const char *expression, const char *sql, sqlite3_stmt **out)
{
    const char *tail = "";
    int strings, code;
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DQS_DML, -1, &strings);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL); /* "x" is a column, no text */
    sqlite3_set_authorizer(store->db, allow, NULL);
    code = sqlite3_prepare_v2(store->db, sql, -1, out, &tail);
    sqlite3_set_authorizer(store->db, NULL, NULL);
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_DQS_DML, strings, NULL);
    if (code == SQLITE_NOMEM)
        return store_fail(store, "read");
    if (code != SQLITE_OK)
        return complain(store, fields, what, expression);
    if (*tail)
        return err_set(ERR_USAGE, "%s '%s': one expression is expected, not several statements",
                       what, expression);
    return 0;
}

/* The statement that gives id, the expression, and whether it is a boolean option. */
static int prepare_expression(struct store *store, const struct table *table, const char *what,
                              const char *expression, struct arena *arena, sqlite3_stmt **out)
{
    struct fields fields;
    struct strbuf sql = {0};
    const char *path = NULL, *name = expression;
    int rc;
    if (!expression[strspn(expression, " \t\n")])
        return err_set(ERR_USAGE, "%s: an SQL expression is expected, not an empty text", what);
    TRY(collect(&fields, store, table, arena));
    for (int i = 0; i < fields.count; i++)
        if (strcmp(fields.all[i].name, expression) == 0) {
            path = fields.all[i].path;
            if (strchr(expression, ':')) /* "perplexity:kjv" needs no quotes where it is alone */
                TRY(arena_printf(arena, &name, "\"%s\"", expression));
        }
    TRY(build(&fields, &sql));
    if (path)
        TRY(strbuf_printf(&sql, "(%s), json_type(point.settings, '%s') IN ('true', 'false')", name,
                          path));
    else /* the end of a line ends a comment too */
        TRY(strbuf_printf(&sql, "(%s\n), 0", name));
    TRY(strbuf_puts(&sql, " FROM point JOIN calibration ON calibration.point_id = point.id JOIN "
                          "\"after\" ON \"after\".point_id = point.id"));
    TRY(prepare(store, &fields, what, expression, sql.data, out));
    TRY(store_bind(store, *out, "t", table->experiment));
out:
    strbuf_release(&sql);
    return rc;
}

/* *at = the row whose first point it is, or -1. */
static void find_row(const struct table *table, const char *id, int *at)
{
    *at = table->row_count - 1;
    while (*at >= 0 && strcmp(table->rows[*at].id, id) != 0)
        --*at;
}

/* An expression may be wrong for a row only: malformed JSON, an integer that overflows. */
static int step(const struct store *store, sqlite3_stmt *statement, const char *what,
                const char *expression, int *row)
{
    int code = sqlite3_step(statement);
    *row = code == SQLITE_ROW;
    if (code == SQLITE_ERROR)
        return err_set(ERR_USAGE, "%s '%s': %s", what, expression, sqlite3_errmsg(store->db));
    return code == SQLITE_ROW || code == SQLITE_DONE ? 0 : store_fail(store, "read");
}

int query_column(struct store *store, const struct table *table, const char *what,
                 const char *expression, const char **texts, double *numbers, struct arena *arena)
{
    sqlite3_stmt *statement = NULL;
    int rc, row, at;
    TRY(prepare_expression(store, table, what, expression, arena, &statement));
    for (int i = 0; i < table->row_count; i++) {
        texts[i] = NULL;
        numbers[i] = NAN;
    }
    for (;;) {
        TRY(step(store, statement, what, expression, &row));
        if (!row)
            break;
        find_row(table, (const char *)sqlite3_column_text(statement, 0), &at);
        int type = sqlite3_column_type(statement, 1);
        if (at < 0 || type == SQLITE_NULL)
            continue;
        if (sqlite3_column_int(statement, 2))
            texts[at] = sqlite3_column_int(statement, 1) ? "true" : "false";
        else
            TRY(table_column_text(arena, statement, 1, &texts[at]));
        if (type == SQLITE_INTEGER || type == SQLITE_FLOAT)
            numbers[at] = sqlite3_column_double(statement, 1);
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

int query_filter(struct store *store, const struct table *table, const char *where,
                 unsigned char *keep)
{
    struct arena arena = {0};
    sqlite3_stmt *statement = NULL;
    int rc, row, at;
    memset(keep, 0, (size_t)table->row_count);
    TRY(prepare_expression(store, table, "--where", where, &arena, &statement));
    for (;;) {
        TRY(step(store, statement, "--where", where, &row));
        if (!row)
            break;
        find_row(table, (const char *)sqlite3_column_text(statement, 0), &at);
        if (at >= 0) /* as SQL takes truth: a number that is not 0 */
            keep[at] = sqlite3_column_double(statement, 1) != 0;
    }
out:
    sqlite3_finalize(statement);
    arena_release(&arena);
    return rc;
}

int query_columns(struct store *store, const struct table *table, struct strbuf *out)
{
    struct arena arena = {0};
    struct fields fields;
    int rc;
    TRY(collect(&fields, store, table, &arena));
    for (int i = 0; i < fields.count; i++)
        TRY(strbuf_printf(out, "%s\n", fields.all[i].name));
out:
    arena_release(&arena);
    return rc;
}
