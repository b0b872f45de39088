/* The Free On-line Dictionary of Computing: the prose of its entries, a paragraph a line, the
 * entry's word before the first. Left out: dates, subject labels, addresses, tables and code. A
 * document is a run of entries. */
#include "datasets/documents.h"

#include "core/err.h"
#include "datasets/dictionary.h"

#include <string.h>

enum { DOCUMENT_SIZE = 6000, PROSE_INDENT = 3, LEAST_WORDS = 4 };

struct state {
    struct documents_builder builder;
    struct strbuf word, plain, line;
    int started;
};

/* An entry's paragraph at column 0 holds its words, one a line; the first one is used. */
static int start_entry(struct state *state, const char *text, size_t count)
{
    const char *newline = memchr(text, '\n', count), *bar = memmem(text, count, "%%%", 3);
    size_t length = newline ? (size_t)(newline - text) : count;
    if (bar && (size_t)(bar - text) < length)
        length = (size_t)(bar - text);
    state->started = length < 3 || memcmp(text, "00-", 3) != 0; /* the database's own description */
    state->word.length = 0;
    int rc = text_squeeze(&state->word, text, length);
    if (rc == 0 && documents_open_size(&state->builder) >= DOCUMENT_SIZE)
        rc = documents_close(&state->builder);
    return rc;
}

/* "{gateway}" reads gateway, "{Usenet (news:x)}" reads Usenet, "{(http://x)}" nothing. */
static int add_link(struct strbuf *out, const char *bytes, size_t count)
{
    const char *paren = memchr(bytes, '(', count);
    if (paren && memmem(paren, count - (size_t)(paren - bytes), ":/", 2))
        count = (size_t)(paren - bytes);
    while (count && bytes[count - 1] == ' ')
        count--;
    return strbuf_add(out, bytes, count);
}

static int add_plain(struct strbuf *out, const char *text, size_t count)
{
    int rc = 0;
    size_t at = 0;
    if (count && text[0] == '<') /* "<networking>" */
        at = dictionary_group(text, count);
    while (rc == 0 && at < count) {
        size_t end = text[at] == '{' ? dictionary_group(text + at, count - at) : 0;
        if (end) {
            rc = add_link(out, text + at + 1, end - 2);
            at += end;
        } else {
            rc = strbuf_add(out, text + at, 1);
            at++;
        }
    }
    return rc;
}

/* Sentences end with a full stop or the like; what does not is a heading, a list or a piece of
 * code. */
static int is_prose(const struct strbuf *line)
{
    return text_words(line->data, line->length) >= LEAST_WORDS &&
           strchr(".:?!)", line->data[line->length - 1]) && line->data[0] != '[' &&
           !strstr(line->data, "://");
}

static int add_paragraph(struct state *state, const char *text, size_t count)
{
    int rc;
    state->plain.length = state->line.length = 0;
    TRY(add_plain(&state->plain, text, count));
    if (state->plain.length == 0)
        goto out;
    if (state->word.length)
        TRY(strbuf_printf(&state->line, "%s: ", state->word.data));
    TRY(text_squeeze(&state->line, state->plain.data, state->plain.length));
    if (!is_prose(&state->line))
        goto out;
    TRY(documents_add_line(&state->builder, state->line.data, state->line.length));
    state->word.length = 0;
out:
    return rc;
}

static int extract(const struct corpus *corpus, struct documents *all)
{
    struct state state = {0};
    struct strbuf file = {0};
    struct dictionary_paragraph paragraph = {0};
    int rc;
    TRY(corpus_read(corpus, "usr/share/dictd/foldoc.dict.dz", &file));
    struct dictionary_reader reader = {.bytes = file.data, .size = file.length};
    while (dictionary_next(&reader, &paragraph)) {
        if (paragraph.indent == 0)
            TRY(start_entry(&state, paragraph.text, paragraph.length));
        else if (state.started && paragraph.indent == PROSE_INDENT)
            TRY(add_paragraph(&state, paragraph.text, paragraph.length));
    }
    TRY(documents_finish(&state.builder, "corpus foldoc: foldoc.dict.dz", all));
out:
    documents_builder_release(&state.builder);
    strbuf_release(&state.word);
    strbuf_release(&state.plain);
    strbuf_release(&state.line);
    strbuf_release(&file);
    return rc;
}

const struct corpus corpus_foldoc = {
    .name = "foldoc",
    .title = "Free On-line Dictionary of Computing",
    .package = "dict-foldoc",
    .source = "Denis Howe and others, GFDL-1.1+; package dict-foldoc of Debian",
    .joiner = "\n\n",
    .version = 1,
    .expected_version = "20230119-1",
    .expected_hash = "773dc6cee72ed3fe41fe30fa8d7719f915bc3db589ba6344fdd9fe98a705ec92",
    .expected_documents = 653,
    .expected_words = 666391,
    .extract = extract,
};
