/* A split of a corpus as one text: documents or rows, joined. */
#include "core/err.h"
#include "core/log.h"
#include "datasets/documents.h"
#include "datasets/rows.h"

#include <string.h>

struct joining {
    struct strbuf text;
    const char *joiner;
    size_t rows; /* joined at most; 0: all */
};

static bool is_joined(void *context, size_t index)
{
    const struct joining *joining = context;
    return joining->rows == 0 || index < joining->rows;
}

static int join(void *context, size_t index, const char *text, size_t size)
{
    struct joining *joining = context;
    int rc = index ? strbuf_puts(&joining->text, joining->joiner) : 0;
    return rc ? rc : strbuf_add(&joining->text, text, size);
}

static int join_rows(const struct corpus *corpus, enum split split, enum corpus_use use,
                     struct strbuf *text, int *changed)
{
    const struct row_corpus *rows = corpus->rows;
    const bool apart = use == USE_CALIBRATION && rows->calibration_joiner;
    struct joining joining = {.joiner = apart ? rows->calibration_joiner : corpus->joiner,
                              .rows = use == USE_EVALUATION ? rows->evaluated_rows : 0};
    const struct row_visitor visitor = {.wanted = is_joined, .see = join, .context = &joining};
    struct row_count count;
    char *line = NULL;
    int rc;
    TRY(strbuf_puts(&joining.text, ""));
    TRY(rows_visit(corpus, split, &visitor, &count));
    TRY(rows_difference(corpus, split, &count, &line));
    if (line)
        log_warning("%s", line);
    if (changed)
        *changed = line != NULL;
    *text = joining.text;
    joining.text = (struct strbuf){0};
out:
    mem_free(line);
    strbuf_release(&joining.text);
    return rc;
}

int corpus_text(const struct corpus *corpus, enum split split, enum corpus_use use, char **text,
                size_t *size, int *changed)
{
    struct documents all = {0}, part = {0};
    struct strbuf joined = {0};
    int rc;
    if (corpus->rows) {
        TRY(join_rows(corpus, split, use, &joined, changed));
        *text = joined.data;
        *size = joined.length;
        goto out;
    }
    TRY(corpus_load(corpus, &all, changed));
    TRY(corpus_split(corpus, &all, split, &part));
    TRY(documents_join(&part, corpus->joiner, text, size));
out:
    documents_release(&part);
    documents_release(&all);
    return rc;
}
