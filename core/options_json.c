/* Options out and in as JSON and as text. */
#include "core/err.h"
#include "core/mem.h"
#include "core/options.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The text of choice number index; *length 0 when there is none. */
static const char *choice_text(const char *choices, int index, size_t *length)
{
    const char *at = choices;
    for (; index > 0 && *at; at++)
        index -= *at == '|';
    *length = index == 0 ? strcspn(at, "|") : 0;
    return at;
}

/* The shortest text of 15 to 17 digits that reads back as the same double. */
static void real_text(double value, char out[40])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, 40, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

int options_value(const struct option *row, const void *source, char out[OPTION_TEXT_SIZE])
{
    const char *field = (const char *)source + row->offset;
    int whole;
    double real;
    bool flag;
    switch (row->type) {
    case OPTION_INT:
        memcpy(&whole, field, sizeof whole);
        snprintf(out, OPTION_TEXT_SIZE, "%d", whole);
        return 0;
    case OPTION_REAL:
        memcpy(&real, field, sizeof real);
        real_text(real, out);
        return 0;
    case OPTION_BOOL:
        memcpy(&flag, field, sizeof flag);
        snprintf(out, OPTION_TEXT_SIZE, "%s", flag ? "true" : "false");
        return 0;
    case OPTION_TEXT:
        snprintf(out, OPTION_TEXT_SIZE, "%.*s", OPTION_TEXT_SIZE - 1, field);
        return 0;
    case OPTION_CHOICE: break;
    }
    size_t length = 0;
    const char *text = NULL;
    memcpy(&whole, field, sizeof whole);
    if (row->special && strtol(row->special, NULL, 10) == whole) {
        text = strchr(row->special, '=') + 1;
        length = strlen(text);
    } else if (whole >= 0) {
        text = choice_text(row->choices, whole, &length);
    }
    if (length == 0)
        return err_set(ERR_INTERNAL, "option '%s' holds %d, which is no choice", row->name, whole);
    snprintf(out, OPTION_TEXT_SIZE, "%.*s", (int)length, text);
    return 0;
}

static int value_to_json(const struct option *row, const void *source, json_t **out)
{
    char text[OPTION_TEXT_SIZE];
    double real;
    int rc = options_value(row, source, text);
    if (rc)
        return rc;
    switch (row->type) {
    case OPTION_INT: *out = json_integer(strtol(text, NULL, 10)); break;
    case OPTION_REAL:
        memcpy(&real, (const char *)source + row->offset, sizeof real);
        *out = json_real(real);
        break;
    case OPTION_BOOL: *out = json_boolean(strcmp(text, "true") == 0); break;
    default:
        *out = json_string(text);
        if (!*out)
            return err_set(ERR_USAGE, "option '%s': '%.80s' is not UTF-8", row->name, text);
    }
    return *out ? 0 : err_set(ERR_MEMORY, "out of memory while writing option '%s'", row->name);
}

int options_to_json(const struct option *table, const void *source, json_t **out)
{
    int rc = 0;
    json_t *object = json_object();
    if (!object)
        return err_set(ERR_MEMORY, "out of memory while writing options");
    for (const struct option *row = table; row->name; row++) {
        json_t *value = NULL;
        if (row->alias_of)
            continue;
        TRY(value_to_json(row, source, &value));
        if (json_object_set_new(object, row->name, value) != 0) {
            rc = err_set(ERR_MEMORY, "out of memory while writing option '%s'", row->name);
            goto out;
        }
    }
    *out = object;
    object = NULL;
out:
    json_decref(object);
    return rc;
}

static int json_value_text(const json_t *value, const char *name, const char *where,
                           char out[OPTION_TEXT_SIZE])
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        if (strlen(json_string_value(value)) >= OPTION_TEXT_SIZE ||
            json_string_length(value) >= OPTION_TEXT_SIZE)
            return err_set(ERR_USAGE, "%s: %.80s: the text is longer than %d bytes", where, name,
                           OPTION_TEXT_SIZE - 1);
        snprintf(out, OPTION_TEXT_SIZE, "%s", json_string_value(value));
        return 0;
    case JSON_INTEGER:
        snprintf(out, OPTION_TEXT_SIZE, "%lld", (long long)json_integer_value(value));
        return 0;
    case JSON_REAL: real_text(json_real_value(value), out); return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        snprintf(out, OPTION_TEXT_SIZE, "%s", json_is_true(value) ? "true" : "false");
        return 0;
    default:
        return err_set(ERR_USAGE,
                       "%s: %.80s: a single value is expected, not an object, a list or null",
                       where, name);
    }
}

int options_from_json(const struct option *table, void *target, const json_t *object,
                      const char *where)
{
    const char *name;
    json_t *value;
    char text[OPTION_TEXT_SIZE];
    if (!json_is_object(object))
        return err_set(ERR_USAGE, "%s: an object of options is expected", where);
    /* Checked before anything is set, so that the target is untouched on failure. */
    for (int pass = 0; pass < 2; pass++) {
        json_object_foreach((json_t *)(uintptr_t)object, name, value)
        {
            int rc = json_value_text(value, name, where, text);
            if (rc == 0)
                rc = pass ? options_set(table, target, name, text, where)
                          : options_check(table, name, text, where);
            if (rc)
                return rc;
        }
    }
    return 0;
}

int options_summary(const struct option *table, const void *source, struct strbuf *out)
{
    int rc = 0, written = 0;
    TRY(strbuf_puts(out, ""));
    for (const struct option *row = table; row->name; row++) {
        char text[OPTION_TEXT_SIZE];
        int same;
        if (row->alias_of)
            continue;
        TRY(options_value(row, source, text));
        TRY(options_is_default(row, source, &same));
        if (!same)
            TRY(strbuf_printf(out, "%s%s=%s", written++ ? " " : "", row->name, text));
    }
out:
    return rc;
}
