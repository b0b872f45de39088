/* What readers ask first. */
#include "core/err.h"
#include "core/mem.h"
#include "harness/store_internal.h"

#include <string.h>

static int none_yet(const struct store *store)
{
    return err_set(ERR_MISSING, "%s: no experiments in it yet; `bitbench run SPEC` adds one",
                   store->path);
}

/* names = "a, b, c": the experiments of the database; *count of them; *known = 1 when name is one.
 */
static int list_experiments(const struct store *store, const char *name, struct strbuf *names,
                            int *count, int *known)
{
    sqlite3_stmt *statement = NULL;
    int rc, row;
    *count = *known = 0;
    TRY(store_prepare(store, &statement, "SELECT name FROM experiments ORDER BY name"));
    for (;;) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        TRY(strbuf_printf(names, "%s%s", *count ? ", " : "", text));
        *known |= name && strcmp(text, name) == 0;
        ++*count;
    }
out:
    sqlite3_finalize(statement);
    return rc;
}

int store_experiments(const struct store *store, const char *name, struct strbuf *names)
{
    sqlite3_stmt *statement = NULL;
    char *only = NULL;
    int rc, row;
    if (name)
        TRY(store_find_experiment(store, name, &only));
    TRY(store_prepare(store, &statement,
                      "SELECT name FROM experiments WHERE name = ?1 OR ?1 IS NULL ORDER BY name"));
    TRY(store_bind(store, statement, "t", only));
    for (;;) {
        TRY(store_step(store, statement, &row));
        if (!row)
            break;
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        TRY(strbuf_add(names, text, strlen(text) + 1));
    }
    if (names->length == 0)
        rc = none_yet(store);
out:
    sqlite3_finalize(statement);
    mem_free(only);
    return rc;
}

int store_find_experiment(const struct store *store, const char *name, char **found)
{
    struct strbuf names = {0};
    int rc, count, known;
    TRY(list_experiments(store, name, &names, &count, &known));
    if (count == 0)
        rc = none_yet(store);
    else if (!name && count > 1)
        rc = err_set(ERR_USAGE, "%s holds %d experiments, name one of them: %s", store->path, count,
                     names.data);
    else if (name && !known)
        rc = err_set(ERR_USAGE, "%s: there is no experiment '%s', only %s", store->path, name,
                     names.data);
    else
        rc = mem_strdup(found, name ? name : names.data);
out:
    strbuf_release(&names);
    return rc;
}
