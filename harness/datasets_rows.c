#include "harness/datasets_rows.h"

#include "core/err.h"
#include "core/mem.h"
#include "datasets/data_folder.h"
#include "datasets/rows.h"

#include <stdio.h>
#include <string.h>

static const char *const split_names[] = {"train", "validation", "test"};

const char *datasets_rows_found(const struct corpus *corpus, char out[64])
{
    struct err_saved saved;
    size_t used = 0;
    if (!data_folder())
        return "--data names none";
    err_save(&saved, 0); /* what is not there is no error here */
    for (int s = SPLIT_TRAIN; s <= SPLIT_TEST; s++) {
        char *path = NULL;
        bool json;
        if (rows_file(corpus, (enum split)s, &path, &json) == 0)
            used += (size_t)snprintf(out + used, 64 - used, "%s%s", used ? ", " : "",
                                     split_names[s]);
        mem_free(path);
    }
    err_restore(&saved);
    return used ? out : "not found";
}

/* One split: `line` (NULL: as published) becomes a member and a word of the listing. */
static int add_split(const char *path, const char *name, const struct row_count *count,
                     const char *line, bool silent, json_t *object)
{
    json_t *part = json_pack("{s:s, s:I, s:I, s:I, s:s, s:b, s:s?}", "path", path, "rows",
                             (json_int_t)count->rows, "words", (json_int_t)count->words, "bytes",
                             (json_int_t)count->bytes, "hash", count->hash, "changed", line != NULL,
                             "difference", line);
    if (!part || json_object_set_new(object, name, part) != 0)
        return err_set(ERR_MEMORY, "out of memory: JSON");
    if (!silent)
        printf("%-12s %10zu rows %12zu words %12zu bytes  %s%s\n", name, count->rows, count->words,
               count->bytes, path, line ? "  NOT the published file" : "");
    return 0;
}

/* One split, which may be absent. */
static int describe_split(const struct corpus *corpus, enum split split, bool silent,
                          json_t *object)
{
    static const struct row_visitor all = {0};
    struct row_count count = {0};
    char *path = NULL, *line = NULL;
    bool json;
    int rc = rows_file(corpus, split, &path, &json);
    if (rc == ERR_MISSING) {
        if (!silent)
            printf("%-12s not found: %s/%s\n", split_names[split], data_folder(),
                   corpus->rows->splits[split].names[0]);
        return 0;
    }
    if (rc)
        return rc;
    TRY(rows_visit(corpus, split, &all, &count));
    TRY(rows_difference(corpus, split, &count, &line));
    TRY(add_split(path, split_names[split], &count, line, silent, object));
out:
    mem_free(line);
    mem_free(path);
    return rc;
}

int datasets_rows_describe(const struct corpus *corpus, bool silent, json_t *object)
{
    int rc = ERR_MISSING;
    for (int s = SPLIT_TRAIN; s <= SPLIT_TEST && rc == ERR_MISSING; s++) {
        char *path = NULL;
        bool json;
        rc = rows_file(corpus, (enum split)s, &path, &json);
        mem_free(path);
    }
    if (rc) /* none is there, or what is there is not to be read */
        return rc;
    if (!silent)
        printf("%s: %s\nsource       %s\n", corpus->name, corpus->title, corpus->source);
    for (int s = SPLIT_TRAIN; rc == 0 && s <= SPLIT_TEST; s++)
        rc = describe_split(corpus, (enum split)s, silent, object);
    return rc;
}

static int show(void *context, size_t index, const char *text, size_t size)
{
    const int *count = context;
    printf("\n--- row %zu ---\n", index);
    fwrite(text, 1, size, stdout);
    if (size == 0 || text[size - 1] != '\n')
        putchar('\n');
    return (int)index + 1 == *count ? ROWS_STOP : 0;
}

int datasets_rows_show(const struct corpus *corpus, enum split split, int count)
{
    const struct row_visitor visitor = {.see = show, .context = &count};
    return rows_visit(corpus, split, &visitor, NULL);
}
