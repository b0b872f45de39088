/* What holds for every corpus: loading with the check against the expected text, and the splits. */
#include "datasets/documents.h"

#include "core/err.h"
#include "core/log.h"
#include "core/text.h"

#include <stdlib.h>
#include <string.h>

/* What is known of the package: "bible-kjv-text 4.38 is installed, 4.39 was expected". */
static int describe_package(const struct corpus *corpus, struct strbuf *out)
{
    char *version = package_version(corpus->package);
    const char *expected = corpus->expected_version;
    int rc;
    if (getenv("BITBENCH_CORPUS_ROOT"))
        rc = strbuf_printf(out, "it was read below BITBENCH_CORPUS_ROOT=%s, not from package %s %s",
                           getenv("BITBENCH_CORPUS_ROOT"), corpus->package, expected);
    else if (!version)
        rc = strbuf_printf(out, "package %s %s was expected, the installed version cannot be told",
                           corpus->package, expected);
    else if (strcmp(version, expected) == 0)
        rc = strbuf_printf(out,
                           "package %s is the expected %s, so its installed files were changed: "
                           "apt-get install --reinstall %s",
                           corpus->package, version, corpus->package);
    else
        rc = strbuf_printf(out, "package %s %s is installed, %s was expected", corpus->package,
                           version, expected);
    mem_free(version);
    return rc;
}

int corpus_difference(const struct corpus *corpus, const struct documents *all, char **line)
{
    struct strbuf text = {0};
    int rc = 0;
    if (corpus->expected_hash && strcmp(all->hash, corpus->expected_hash) != 0) {
        TRY(strbuf_printf(
            &text, "corpus %s: the text is not the one that published figures were measured on: ",
            corpus->name));
        TRY(describe_package(corpus, &text));
        TRY(strbuf_printf(&text, "; %zu documents and %zu words instead of %zu and %zu", all->count,
                          documents_words(all), corpus->expected_documents,
                          corpus->expected_words));
    }
    *line = text.data;
    text = (struct strbuf){0};
out:
    strbuf_release(&text);
    return rc;
}

int corpus_load(const struct corpus *corpus, struct documents *all, int *changed)
{
    struct documents fresh = {0};
    char *line = NULL;
    size_t bad = 0;
    int rc;
    if (corpus->rows)
        return err_set(ERR_USAGE,
                       "corpus %s: it is for calibration and perplexity only; where documents are "
                       "wanted, name its file: docs:PATH",
                       corpus->name);
    TRY(corpus->extract(corpus, &fresh));
    if (!text_is_utf8(fresh.text, fresh.offsets[fresh.count], &bad))
        TRY(err_set(ERR_FORMAT, "corpus %s: byte %zu of the text is not UTF-8", corpus->name, bad));
    TRY(corpus_difference(corpus, &fresh, &line));
    if (line)
        log_warning("%s", line);
    if (changed)
        *changed = line != NULL;
    *all = fresh;
    fresh = (struct documents){0};
out:
    mem_free(line);
    documents_release(&fresh);
    return rc;
}

enum split corpus_split_of(const struct corpus *corpus, size_t document)
{
    const char *name = corpus->path ? "docs" : corpus->name; /* a file may move without a difference
                                                              */
    uint64_t draw = key_mix(key_of(name, strlen(name)) + document) % 100;
    if (draw < CORPUS_TEST_SHARE)
        return SPLIT_TEST;
    return draw < CORPUS_TEST_SHARE + CORPUS_VALIDATION_SHARE ? SPLIT_VALIDATION : SPLIT_TRAIN;
}

int corpus_split(const struct corpus *corpus, const struct documents *all, enum split split,
                 struct documents *out)
{
    static const char *const names[] = {"train", "validation", "test"};
    struct documents_builder builder = {0};
    char *what = NULL;
    int rc;
    TRY(mem_printf(&what, "corpus %s, %s split of %zu documents", corpus->name, names[split],
                   all->count));
    for (size_t d = 0; d < all->count; d++) {
        if (!corpus->whole && corpus_split_of(corpus, d) != split)
            continue;
        TRY(documents_add(&builder, all->text + all->offsets[d],
                          all->offsets[d + 1] - all->offsets[d]));
        TRY(documents_close(&builder));
    }
    if ((rc = documents_finish(&builder, what, out)) == ERR_FORMAT && corpus->path)
        err_set(ERR_FORMAT,
                "%s; documents are drawn into the splits: give more of them, divided by empty "
                "lines, or take the whole file as file:PATH",
                err_text());
out:
    mem_free(what);
    documents_builder_release(&builder);
    return rc;
}
