#include "core/options.h"

#include "core/err.h"
#include "core/mem.h"
#include "core/nearest.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A parsed value, before it goes to its field. */
struct value {
    int integer; /* INT, BOOL, CHOICE */
    double real;
    const char *text; /* borrowed */
};

/* The row that holds the field: an alias's target, or the row itself. NULL when the table is wrong.
 */
static const struct option *target_row(const struct option *table, const struct option *row)
{
    if (!row->alias_of)
        return row;
    for (const struct option *other = table; other->name; other++)
        if (!other->alias_of && strcmp(other->name, row->alias_of) == 0)
            return other;
    return NULL;
}

const struct option *options_find(const struct option *table, const char *name)
{
    for (; table->name; table++)
        if (name_equal(table->name, name))
            return table;
    return NULL;
}

/* ---- what is allowed ---- */

static int options_bounded(const struct option *row)
{
    return row->low < row->high;
}

/* special is "NUMBER=meaning". */
static bool special_value(const struct option *row, double *number, const char **meaning)
{
    if (!row->special)
        return false;
    char *end;
    *number = strtod(row->special, &end);
    *meaning = *end == '=' ? end + 1 : end;
    return true;
}

static int allowed_numbers(const struct option *row, struct strbuf *out)
{
    int rc = 0, whole = row->type == OPTION_INT;
    double top = whole ? INT_MAX : HUGE_VAL, bottom = whole ? INT_MIN : -HUGE_VAL;
    TRY(strbuf_puts(out, whole ? "a whole number" : "a number"));
    if (options_bounded(row)) {
        if (row->high >= top && row->low > bottom)
            TRY(strbuf_printf(out, " of at least %.10g", row->low));
        else if (row->low <= bottom && row->high < top)
            TRY(strbuf_printf(out, " of at most %.10g", row->high));
        else if (row->low > bottom)
            TRY(strbuf_printf(out, " from %.10g to %.10g", row->low, row->high));
    }
    double number;
    const char *meaning;
    if (special_value(row, &number, &meaning))
        TRY(strbuf_printf(out, ", or %.10g (%s)", number, meaning));
out:
    return rc;
}

int options_allowed(const struct option *row, struct strbuf *out)
{
    int rc = 0;
    switch (row->type) {
    case OPTION_INT:
    case OPTION_REAL: TRY(allowed_numbers(row, out)); break;
    case OPTION_BOOL: TRY(strbuf_puts(out, "true or false")); break;
    case OPTION_CHOICE:
        for (const char *c = row->choices; *c; c++)
            TRY(*c == '|' ? strbuf_puts(out, ", ") : strbuf_add(out, c, 1));
        double number;
        const char *meaning;
        if (special_value(row, &number, &meaning))
            TRY(strbuf_printf(out, ", %s", meaning));
        break;
    case OPTION_TEXT: TRY(strbuf_puts(out, "text")); break;
    }
out:
    return rc;
}

/* ---- parsing ---- */

/* "quickstart.yaml:12: bits" or just "--bits" where the place already says the name. */
static void place(char *out, size_t size, const char *where, const char *name)
{
    const char *word = where + strspn(where, "-");
    if (word != where && name_equal(word, name))
        snprintf(out, size, "%s", where);
    else
        snprintf(out, size, "%s: %s", where, name);
}

static int bad_value(const struct option *row, const char *name, const char *value,
                     const char *where, const char *problem, const char *hint)
{
    char at[256];
    struct strbuf allowed = {0};
    place(at, sizeof at, where, name);
    int rc = options_allowed(row, &allowed);
    if (rc == 0 && hint)
        rc = err_set(ERR_USAGE, "%s: '%.80s' %s; did you mean '%s'? (allowed: %s)", at, value,
                     problem, hint, allowed.data);
    else if (rc == 0)
        rc = err_set(ERR_USAGE, "%s: '%.80s' %s: allowed is %s", at, value, problem, allowed.data);
    strbuf_release(&allowed);
    return rc;
}

/* The index of value within choices; -1 and *nearest when there is none. */
static int choice_index(const char *choices, const char *value, char *hint, size_t hint_size)
{
    int index = 0, found = -1;
    size_t best = 0;
    hint[0] = '\0';
    for (const char *at = choices; found < 0; index++) {
        char word[OPTION_TEXT_SIZE];
        size_t length = strcspn(at, "|");
        snprintf(word, sizeof word, "%.*s", (int)length, at);
        struct nearest nearest = {.word = value};
        nearest_offer(&nearest, word);
        if (name_equal(word, value))
            found = index;
        else if (nearest.best && (hint[0] == '\0' || nearest.distance < best)) {
            best = nearest.distance;
            snprintf(hint, hint_size, "%s", word);
        }
        at += length;
        if (*at++ == '\0')
            break;
    }
    return found;
}

static int parse_bool(const char *text)
{
    static const char *const words[] = {"false", "true", "no", "yes", "0", "1", "off", "on"};
    for (int i = 0; i < 8; i++)
        if (strcasecmp(text, words[i]) == 0)
            return i & 1;
    return -1;
}

static bool in_bounds(const struct option *row, double number)
{
    double special;
    const char *meaning;
    if (special_value(row, &special, &meaning) && number == special)
        return true;
    return !options_bounded(row) || (number >= row->low && number <= row->high);
}

static int parse_number(const struct option *row, const char *name, const char *text,
                        const char *where, struct value *value)
{
    char *end = NULL;
    double number;
    errno = 0;
    if (row->type == OPTION_INT) {
        long whole = strtol(text, &end, 10);
        if (end != text && *end == '\0' && (errno == ERANGE || whole > INT_MAX || whole < INT_MIN))
            return bad_value(row, name, text, where, "is out of range", NULL);
        number = (double)whole;
        value->integer = (int)whole;
    } else {
        number = strspn(text, "0123456789+-.eE") == strlen(text) ? strtod(text, &end) : 0;
        value->real = number;
    }
    if (!end || end == text || *end != '\0' || strspn(text, " \t\n") != 0)
        return bad_value(row, name, text, where,
                         row->type == OPTION_INT ? "is not a whole number" : "is not a number",
                         NULL);
    if (!isfinite(number) || !in_bounds(row, number))
        return bad_value(row, name, text, where, "is out of range", NULL);
    return 0;
}

static int parse(const struct option *row, const char *name, const char *text, const char *where,
                 struct value *value)
{
    char hint[OPTION_TEXT_SIZE], at[256];
    double number;
    const char *meaning;
    *value = (struct value){.text = text};
    switch (row->type) {
    case OPTION_INT:
    case OPTION_REAL: return parse_number(row, name, text, where, value);
    case OPTION_BOOL:
        value->integer = parse_bool(text);
        return value->integer >= 0 ? 0 : bad_value(row, name, text, where, "is neither", NULL);
    case OPTION_CHOICE:
        if (special_value(row, &number, &meaning) && name_equal(meaning, text)) {
            value->integer = (int)number;
            return 0;
        }
        value->integer = choice_index(row->choices, text, hint, sizeof hint);
        return value->integer >= 0
                   ? 0
                   : bad_value(row, name, text, where, "is no choice", hint[0] ? hint : NULL);
    case OPTION_TEXT:
        if (strlen(text) < OPTION_TEXT_SIZE)
            return 0;
        place(at, sizeof at, where, name);
        return err_set(ERR_USAGE, "%s: the text has %zu bytes; at most %d are allowed", at,
                       strlen(text), OPTION_TEXT_SIZE - 1);
    }
    return err_set(ERR_INTERNAL, "option table: row '%s' has the unknown type %d", row->name,
                   (int)row->type);
}

static int unknown_option(const struct option *table, const char *name, const char *where)
{
    struct nearest nearest = {.word = name};
    for (const struct option *row = table; row->name; row++)
        nearest_offer(&nearest, row->name);
    if (nearest.best)
        return err_set(ERR_USAGE, "%s: unknown option '%.80s'; did you mean '%s'?", where, name,
                       nearest.best);
    if (!table->name)
        return err_set(ERR_USAGE, "%s: unknown option '%.80s'; no options are taken here", where,
                       name);
    char known[600] = "";
    size_t used = 0;
    for (const struct option *row = table; row->name && used < sizeof known; row++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                 row->name);
    return err_set(ERR_USAGE, "%s: unknown option '%.80s'; valid are %s", where, name, known);
}

/* Finds the row, parses, and turns an alias's value into its target's. *field is the row that holds
 * the field. */
static int resolve(const struct option *table, const char *name, const char *text,
                   const char *where, const struct option **field, struct value *value)
{
    const struct option *row = options_find(table, name);
    if (!row)
        return unknown_option(table, name, where);
    *field = target_row(table, row);
    if (!*field)
        return err_set(ERR_INTERNAL, "option table: '%s' is an alias of '%s', which is not there",
                       row->name, row->alias_of);
    struct option seen = **field; /* with the bounds that the alias has */
    if (row->complement) {
        seen.low = 1 - (*field)->high;
        seen.high = 1 - (*field)->low;
    }
    int rc = parse(&seen, row->name, text, where, value);
    if (rc == 0 && row->complement) {
        /* 15 digits, so that 0.1 given as its complement 0.9 is the same double, and so the same
         * point. */
        char digits[40];
        snprintf(digits, sizeof digits, "%.15g", 1 - value->real);
        value->real = strtod(digits, NULL);
    }
    return rc;
}

static void store(const struct option *row, void *target, const struct value *value)
{
    char *field = (char *)target + row->offset;
    bool flag = value->integer != 0;
    switch (row->type) {
    case OPTION_INT:
    case OPTION_CHOICE: memcpy(field, &value->integer, sizeof value->integer); break;
    case OPTION_REAL: memcpy(field, &value->real, sizeof value->real); break;
    case OPTION_BOOL: memcpy(field, &flag, sizeof flag); break;
    case OPTION_TEXT:
        memset(field, 0, OPTION_TEXT_SIZE);
        memcpy(field, value->text, strlen(value->text));
        break;
    }
}

int options_set(const struct option *table, void *target, const char *name, const char *value,
                const char *where)
{
    const struct option *field = NULL;
    struct value parsed;
    int rc = resolve(table, name, value, where, &field, &parsed);
    if (rc == 0 && field)
        store(field, target, &parsed);
    return rc;
}

int options_defaults(const struct option *table, void *target)
{
    for (const struct option *row = table; row->name; row++) {
        if (row->alias_of)
            continue;
        struct value value;
        const char *fallback = row->fallback || row->type != OPTION_TEXT ? row->fallback : "";
        if (!fallback)
            return err_set(ERR_INTERNAL, "option table: row '%s' has no default", row->name);
        int rc = parse(row, row->name, fallback, "option table: default", &value);
        if (rc)
            return rc == ERR_MEMORY ? rc : err_set(ERR_INTERNAL, "%s", err_text());
        store(row, target, &value);
    }
    return 0;
}

int options_check(const struct option *table, const char *name, const char *value,
                  const char *where)
{
    const struct option *field;
    struct value parsed;
    return resolve(table, name, value, where, &field, &parsed);
}

int options_is_default(const struct option *row, const void *source, int *same)
{
    const char *field = (const char *)source + row->offset,
               *fallback = row->fallback ? row->fallback : "";
    struct value value;
    bool flag;
    int rc = parse(row, row->name, fallback, "option table: default", &value);
    if (rc)
        return rc == ERR_MEMORY ? rc : err_set(ERR_INTERNAL, "%s", err_text());
    flag = value.integer != 0;
    switch (row->type) {
    case OPTION_INT:
    case OPTION_CHOICE: *same = memcmp(field, &value.integer, sizeof value.integer) == 0; break;
    case OPTION_REAL: *same = memcmp(field, &value.real, sizeof value.real) == 0; break;
    case OPTION_BOOL: *same = memcmp(field, &flag, sizeof flag) == 0; break;
    case OPTION_TEXT: *same = strncmp(field, fallback, OPTION_TEXT_SIZE) == 0; break;
    }
    return 0;
}
