/* How to get each point again: a spec of that point alone, made from its stored settings, and the
 * command that runs it. JSON values are YAML. */
#include "core/err.h"
#include "harness/report_internal.h"
#include "harness/spec.h"
#include "harness/store_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct provenance {
    const char *command, *spec; /* "" where an older bitbench did not store them */
    int overlap_allowed;
};

const char *const report_splits[3] = {"train", "validation", "test"};

/* ", key: value"; splits are stored by number and named in a spec. */
static int add_member(struct strbuf *text, const char *key, const json_t *value, int first)
{
    json_int_t split = json_integer_value(value);
    char *shown = NULL;
    int rc;
    if (strcmp(key, "split") == 0 && json_is_integer(value) && split >= 0 && split < 3)
        return strbuf_printf(text, "%s%s: %s", first ? "" : ", ", key, report_splits[split]);
    if (json_is_real(value)) { /* 0.9, not 0.90000000000000002, where that is the same number */
        char number[32];
        snprintf(number, sizeof number, "%.15g", json_real_value(value));
        if (strtod(number, NULL) == json_real_value(value))
            return strbuf_printf(text, "%s%s: %s", first ? "" : ", ", key, number);
    }
    shown = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(17));
    rc = strbuf_printf(text, "%s%s: %s", first ? "" : ", ", key, shown ? shown : "");
    free(shown);
    return rc;
}

/* All members but those named in `without`, as they stand in a flow mapping. */
static int add_members(struct strbuf *text, const json_t *object, const char *const *without,
                       int first)
{
    const char *key;
    json_t *value;
    int rc = 0;
    json_object_foreach((json_t *)object, key, value)
    {
        int left_out = 0;
        for (const char *const *name = without; *name; name++)
            left_out |= strcmp(*name, key) == 0;
        if (left_out)
            continue;
        TRY(add_member(text, key, value, first));
        first = 0;
    }
out:
    return rc;
}

static int add_list(struct strbuf *text, const char *head, const json_t *list,
                    const char *const *without)
{
    size_t i;
    json_t *entry;
    int rc = 0;
    if (json_array_size(list) == 0)
        return 0;
    TRY(strbuf_printf(text, "  %s:\n", head));
    json_array_foreach((json_t *)list, i, entry)
    {
        TRY(strbuf_puts(text, "    - {"));
        TRY(add_members(text, entry, without, 1));
        TRY(strbuf_puts(text, "}\n"));
    }
out:
    return rc;
}

/* {method, version, options} of a rule or of `after`, with what else it says, as a flow mapping. */
static int add_mapping(struct strbuf *text, const json_t *object)
{
    static const char *const apart[] = {"version", "options", NULL}, *const nothing[] = {NULL};
    json_t *shown = json_deep_copy(object);
    int rc;
    for (int i = 0; i < 2; i++) { /* a rule names layers, or blocks, or both */
        const char *key = i ? "blocks" : "match";
        const json_t *value = json_object_get(shown, key);
        const char *shown_text = json_string_value(value); /* NULL for what is no text */
        if (shown_text && !*shown_text)
            json_object_del(shown, key);
    }
    TRY(strbuf_puts(text, "{"));
    TRY(add_members(text, shown, apart, 1));
    TRY(add_members(text, json_object_get(object, "options"), nothing, 0));
    TRY(strbuf_puts(text, "}"));
out:
    json_decref(shown);
    return rc;
}

/* The entry of methods. With `after`, the point's method is named "FIRST+SECOND". */
static int add_method(struct strbuf *text, const char *method, const json_t *settings)
{
    static const char *const nothing[] = {NULL};
    const json_t *after = json_object_get(settings, "after"),
                 *rules = json_object_get(settings, "layers");
    const char *plus = after ? strchr(method, '+') : NULL;
    size_t i;
    json_t *rule;
    int rc;
    TRY(strbuf_printf(text, "methods:\n  - {method: %s", plus ? plus + 1 : method));
    TRY(add_members(text, json_object_get(settings, "options"), nothing, 0));
    TRY(add_members(text, json_object_get(settings, "harness"), nothing, 0));
    if (after) {
        TRY(strbuf_puts(text, ", after: "));
        TRY(add_mapping(text, after));
    }
    json_array_foreach((json_t *)rules, i, rule)
    {
        TRY(strbuf_puts(text, i ? ", " : ", layers: ["));
        TRY(add_mapping(text, rule));
    }
    TRY(strbuf_puts(text, json_array_size(rules) ? "]}\n" : "}\n"));
out:
    return rc;
}

/* Lines of the spec that say where things are: they are no part of a point's identity, and so not
 * among its settings, but it may not be found without them. */
static int add_places(struct strbuf *text, const char *spec)
{
    static const char *const keys[] = {"tokenizer:", "data:", "memory:"};
    int rc = 0;
    for (const char *line = spec; *line;) {
        size_t length = strcspn(line, "\n");
        for (int k = 0; k < 3; k++)
            if (strncmp(line, keys[k], strlen(keys[k])) == 0)
                TRY(strbuf_printf(text, "%.*s\n", (int)length, line));
        line += length + (line[length] == '\n');
    }
out:
    return rc;
}

static int point_spec(struct report *report, const struct table_row *row, const char *name,
                      const struct provenance *from, struct strbuf *text)
{
    static const char *const of_text[] = {"hash", NULL}, *const of_task[] = {"hash", "version",
                                                                             NULL};
    json_t *settings = json_loads(row->settings, 0, NULL);
    const json_t *calibration = json_object_get(settings, "calibration");
    const json_t *evaluation = json_object_get(settings, "evaluation");
    json_t *model = json_string(row->model);
    int rc;
    TRY(strbuf_printf(text, "name: %s\n", name));
    TRY(add_member(text, "model", model, 1));
    TRY(strbuf_puts(text, "\n"));
    TRY(add_places(text, *from->spec ? from->spec : report->spec_text));
    if (calibration) {
        TRY(strbuf_puts(text, "calibration: {"));
        TRY(add_members(text, calibration, of_text, 1));
        TRY(strbuf_puts(text, from->overlap_allowed ? ", allow_overlap: true}\n" : "}\n"));
    }
    TRY(strbuf_puts(text, "evaluation:\n"));
    TRY(add_list(text, "perplexity", json_object_get(evaluation, "texts"), of_text));
    TRY(add_list(text, "tasks", json_object_get(evaluation, "questions"), of_task));
    TRY(add_method(text, row->method, settings));
out:
    json_decref(model);
    json_decref(settings);
    return rc;
}

/* How the point was computed; texts are the arena's. */
static int load_provenance(struct report *report, const struct table_row *row,
                           struct provenance *from)
{
    static const char sql[] = "SELECT command, spec_text, EXISTS (SELECT 1 FROM metrics WHERE "
                              "point_id = ?1 AND overlap_allowed) FROM points WHERE id = ?1";
    sqlite3_stmt *statement = NULL;
    int rc, there;
    *from = (struct provenance){"", "", 0};
    TRY(store_prepare(report->store, &statement, sql));
    TRY(store_bind(report->store, statement, "t", row->id));
    TRY(store_step(report->store, statement, &there));
    if (there) {
        TRY(arena_printf(report->arena, &from->command, "%s", sqlite3_column_text(statement, 0)));
        TRY(arena_printf(report->arena, &from->spec, "%s", sqlite3_column_text(statement, 1)));
        from->overlap_allowed = sqlite3_column_int(statement, 2);
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

static int add_point(struct report *report, const struct table_row *row)
{
    struct strbuf text = {0};
    struct provenance from;
    char name[32];
    int rc;
    snprintf(name, sizeof name, "again-%.8s", row->id);
    TRY(load_provenance(report, row, &from));
    TRY(strbuf_printf(&text, "cat > %s.yaml <<'END'\n", name));
    TRY(point_spec(report, row, name, &from, &text));
    TRY(strbuf_printf(&text, "END\nbitbench run %s.yaml", name));
    TRY(strbuf_puts(report->out, "<details>"));
    TRY(html_element(report->out, "summary", report->names[row - report->table->rows]));
    TRY(html_element(report->out, "pre", text.data));
    if (*from.command) {
        TRY(strbuf_puts(report->out, "<p class=\"soft\">Computed by: <code>"));
        TRY(html_text(report->out, from.command));
        TRY(strbuf_puts(report->out, "</code></p>"));
    }
    TRY(strbuf_puts(report->out, "</details>\n"));
out:
    strbuf_release(&text);
    return rc;
}

int report_again(struct report *report)
{
    const struct table *table = report->table;
    int rc;
    TRY(strbuf_puts(report->out, "<section id=\"again\"><h2>Reproduction</h2>\n<p>All points, from "
                                 "the spec below: <code>bitbench run "));
    TRY(html_text(report->out, report->spec_path));
    TRY(strbuf_puts(report->out,
                    "</code>. One point alone: the command under its name. The same model, data "
                    "and versions give the point the same id.</p>\n"));
    for (int i = 0; i < table->row_count; i++)
        TRY(add_point(report, &table->rows[i]));
    TRY(strbuf_puts(report->out, "<h3>The spec</h3>\n"));
    TRY(html_element(report->out, "pre", report->spec_text));
    TRY(strbuf_puts(report->out, "</section>\n"));
out:
    return rc;
}
