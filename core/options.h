/* Option tables: one table drives parsing, bounds, defaults, help text, the generated documentation
 * and the stored record. A table is an array of struct option that ends with a row whose name is
 * NULL. */
#ifndef CORE_OPTIONS_H
#define CORE_OPTIONS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct strbuf;

enum option_type {
    OPTION_INT,    /* int field */
    OPTION_REAL,   /* double field */
    OPTION_BOOL,   /* bool field; true/false, yes/no, 1/0 */
    OPTION_CHOICE, /* int field: the index within `choices`; in names and choices - and _ are the
                      same */
    OPTION_TEXT    /* char[OPTION_TEXT_SIZE] field */
};

enum { OPTION_TEXT_SIZE = 512 };

struct option {
    const char *name; /* as in YAML, on the command line (--name, with - for _) and in the database
                       */
    enum option_type type;
    size_t offset;        /* of the field in the options struct */
    const char *fallback; /* the default, as text, through the same parser */
    double low, high; /* bounds of INT and REAL, both inclusive; equal (as when left out): none */
    const char *choices;  /* "a|b|c" for OPTION_CHOICE; else the word in a usage line ("PATH"), or
                             NULL */
    const char *help;     /* one sentence without a full stop */
    const char *alias_of; /* NULL, or: this row only spells another option: see options_set */
    int complement;      /* with alias_of: the stored value is 1 - the given one (salient_frac = 1 -
                            low_frac) */
    const char *special; /* NULL, or the meaning of one value outside the bounds: "-1=the whole
                          * row"; for a CHOICE one more word and the number it is stored as:
                          * "-1=auto" */
    bool measures;       /* says what is measured, not what is done: no part of a point's label */
};

/* Fills *target with the table's defaults. Fails only where the table itself is wrong. */
int options_defaults(const struct option *table, void *target);

/* Sets one option from text. `where` names the place for messages ("quickstart.yaml:12", "--bits").
 * Unknown names are answered with the nearest valid one; bad values with what is allowed.
 * ERR_USAGE. */
int options_set(const struct option *table, void *target, const char *name, const char *value,
                const char *where);

/* The row of that name, or NULL. */
const struct option *options_find(const struct option *table, const char *name);

/* *out = a new JSON object with every option (aliases left out), keys as in the table. Reals that
 * are whole numbers are still written as reals. Owned by the caller (json_decref). */
int options_to_json(const struct option *table, const void *source, json_t **out);

/* Sets each member of the object; `where` as above. */
int options_from_json(const struct option *table, void *target, const json_t *object,
                      const char *where);

/* Only what differs from the default, as "bits=2 group_size=128"; "" when nothing does. */
int options_summary(const struct option *table, const void *source, struct strbuf *out);

/* Appends an aligned help listing, or a Markdown table with the columns option, default, allowed,
 * meaning. */
int options_help(const struct option *table, struct strbuf *out);
int options_markdown(const struct option *table, struct strbuf *out);

/* The pieces of the above. Text of the field's value, as options_set takes it back. */
int options_value(const struct option *row, const void *source, char out[OPTION_TEXT_SIZE]);
/* *same = 1 when the field holds the row's default. */
int options_is_default(const struct option *row, const void *source, int *same);
/* What options_set would say, without setting. */
int options_check(const struct option *table, const char *name, const char *value,
                  const char *where);
/* Appends "a whole number from 1 to 8"; and the help sentence with what is allowed and the default
 * in brackets. */
int options_allowed(const struct option *row, struct strbuf *out);
int options_meaning(const struct option *table, const struct option *row, struct strbuf *out);

/* The candidate nearest to word (edit distance, at most half its length away, or beginning with
 * it), or NULL. `names` ends with NULL. */
const char *nearest_name(const char *word, const char *const *names);

#endif
