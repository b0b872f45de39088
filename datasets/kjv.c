/* The King James Bible as the program of package bible-kjv prints it: a document is a chapter, its
 * name on the first line, then a verse a line, without the verses' numbers. */
#include "datasets/documents.h"

#include "core/err.h"

#include <string.h>

/* One line of the program: "" between chapters, "  12 And the earth ..." for a verse, else a
 * chapter's name. */
static int add_line(struct documents_builder *builder, const char *line, size_t length,
                    struct strbuf *scratch)
{
    size_t start = 0;
    while (start < length && line[start] == ' ')
        start++;
    if (start == length)
        return 0;
    int rc;
    if (start == 0) {
        TRY(documents_close(builder));
    } else {
        size_t digits = start;
        while (digits < length && line[digits] >= '0' && line[digits] <= '9')
            digits++;
        if (digits == start || digits == length || line[digits] != ' ')
            TRY(err_set(
                ERR_FORMAT,
                "corpus kjv: 'bible' printed a line that is neither a chapter nor a verse: %.*s",
                (int)(length < 80 ? length : 80), line));
        start = digits;
    }
    scratch->length = 0;
    TRY(text_squeeze(scratch, line + start, length - start));
    TRY(documents_add_line(builder, scratch->data, scratch->length));
out:
    return rc;
}

static int extract(const struct corpus *corpus, struct documents *all)
{
    static const char *const arguments[] = {"bible", "-l", "99999", "gen1:1-rev22:21", NULL};
    struct documents_builder builder = {0};
    struct strbuf printed = {0}, scratch = {0};
    int rc = command_read(arguments, &printed);
    if (rc == ERR_MISSING)
        err_set(ERR_MISSING, "corpus kjv: 'bible' is not installed: apt-get install bible-kjv");
    else if (rc)
        err_prefix(rc, "corpus kjv");
    TRY(rc);
    for (size_t at = 0; at < printed.length;) {
        const char *line = printed.data + at, *end = memchr(line, '\n', printed.length - at);
        size_t length = end ? (size_t)(end - line) : printed.length - at;
        TRY(add_line(&builder, line, length, &scratch));
        at += length + 1;
    }
    TRY(documents_finish(&builder, "corpus kjv: output of 'bible'", all));
out:
    documents_builder_release(&builder);
    strbuf_release(&printed);
    strbuf_release(&scratch);
    return rc;
}

const struct corpus corpus_kjv = {
    .name = "kjv",
    .title = "King James Bible",
    .package = "bible-kjv-text",
    .source = "public domain (outside the United Kingdom); packages bible-kjv and bible-kjv-text "
              "of Debian",
    .joiner = "\n\n",
    .version = 1,
    .expected_version = "4.38",
    .expected_hash = "f1a9d4babbab5f55ad1aebaca8a2aa3ffd12f556cfe8430aa0323db4e92708d1",
    .expected_documents = 1189,
    .expected_words = 792257,
    .extract = extract,
};
