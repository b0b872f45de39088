#include "harness/table_settings.h"

#include "core/err.h"
#include "core/mem.h"

#include <jansson.h>
#include <string.h>

static int add(struct strbuf *names, const char *prefix, const char *name)
{
    return strbuf_printf(names, "%s%s%s", names->length ? ", " : "", prefix, name);
}

static bool same(const json_t *a, const json_t *b)
{
    return a == b || json_equal(a, b);
}

/* The members of two objects; content hashes follow from the others. */
static int add_members(struct strbuf *names, const char *prefix, const json_t *a, const json_t *b)
{
    const char *key;
    json_t *value;
    int rc = 0;
    json_object_foreach((json_t *)a, key, value)
    {
        if (strcmp(key, "hash") != 0 && !same(value, json_object_get(b, key)))
            TRY(add(names, prefix, key));
    }
    json_object_foreach((json_t *)b, key, value)
    {
        if (!json_object_get(a, key))
            TRY(add(names, prefix, key));
    }
out:
    return rc;
}

int settings_differences(const struct table_row *a, const struct table_row *b, struct strbuf *names)
{
    static const struct {
        const char *key, *prefix; /* prefix NULL: named as a whole */
    } parts[] = {{"options", ""},
                 {"harness", ""},
                 {"calibration", "calibration."},
                 {"after", NULL},
                 {"layers", NULL}};
    json_t *first = json_loads(a->settings, 0, NULL), *second = json_loads(b->settings, 0, NULL);
    int rc = 0;
    if (strcmp(a->model, b->model) != 0)
        TRY(add(names, "", "model"));
    if (strcmp(a->method, b->method) != 0)
        TRY(add(names, "", "method"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const json_t *ours = json_object_get(first, parts[i].key);
        const json_t *theirs = json_object_get(second, parts[i].key);
        if (parts[i].prefix)
            TRY(add_members(names, parts[i].prefix, ours, theirs));
        else if (!same(ours, theirs))
            TRY(add(names, "", parts[i].key));
    }
out:
    json_decref(first);
    json_decref(second);
    return rc;
}
