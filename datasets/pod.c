#include "datasets/pod.h"

#include "datasets/documents.h"

#include <string.h>

enum { MAX_NESTING = 16 };

/* E<...>: the few names that occur; anything else by number is left out. */
static int add_escape(struct strbuf *out, const char *name, size_t length)
{
    static const char *const names[][2] = {{"lt", "<"},        {"gt", ">"},        {"verbar", "|"},
                                           {"sol", "/"},       {"amp", "&"},       {"quot", "\""},
                                           {"lchevron", "<<"}, {"rchevron", ">>"}, {"nbsp", " "}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i][0]) == length && memcmp(names[i][0], name, length) == 0)
            return strbuf_puts(out, names[i][1]);
    return 0;
}

/* The end of a formatting code's content: `open` brackets were used, as in C<< a > b >>. Codes
 * within are skipped. */
static size_t find_close(const char *bytes, size_t at, size_t count, size_t open)
{
    int inner = 0;
    for (; at < count; at++) {
        if (open == 1) {
            if (bytes[at] == '<' && at > 0 && bytes[at - 1] >= 'A' && bytes[at - 1] <= 'Z')
                inner++;
            else if (bytes[at] == '>' && inner-- == 0)
                return at;
        } else if (bytes[at] == '>' && at > 0 && (bytes[at - 1] == ' ' || bytes[at - 1] == '\n')) {
            size_t run = 0;
            while (at + run < count && bytes[at + run] == '>')
                run++;
            if (run >= open)
                return at;
            at += run;
        }
    }
    return count;
}

static int add_plain(struct strbuf *out, const char *bytes, size_t count, int nesting);

/* L<text|target> reads "text"; L<page/section> reads "section" in page; L<page> reads "page". */
static int add_link(struct strbuf *out, const char *bytes, size_t count, int nesting)
{
    size_t depth = 0;
    for (size_t i = 0; i < count; i++) {
        depth += bytes[i] == '<';
        depth -= bytes[i] == '>' && depth > 0;
        if (bytes[i] == '|' && depth == 0)
            return add_plain(out, bytes, i, nesting);
    }
    const char *slash = memchr(bytes, '/', count);
    if (!slash || (slash > bytes && slash[-1] == ':')) /* a page, or an address */
        return add_plain(out, bytes, count, nesting);
    size_t page = (size_t)(slash - bytes), start = page + 1, end = count;
    if (end - start >= 2 && bytes[start] == '"' && bytes[end - 1] == '"') {
        start++;
        end--;
    }
    int rc = strbuf_puts(out, "\"");
    rc = rc ? rc : add_plain(out, bytes + start, end - start, nesting);
    rc = rc ? rc : strbuf_puts(out, page ? "\" in " : "\"");
    return rc ? rc : strbuf_add(out, bytes, page);
}

static int add_plain(struct strbuf *out, const char *bytes, size_t count, int nesting)
{
    size_t at = 0;
    int rc = 0;
    while (rc == 0 && at < count) {
        char code = bytes[at];
        if (at + 1 >= count || bytes[at + 1] != '<' || !memchr("BCEFILSXZ", code, 9) ||
            nesting >= MAX_NESTING) {
            rc = strbuf_add(out, bytes + at, 1);
            at++;
            continue;
        }
        size_t open = 1;
        while (at + 1 + open < count && bytes[at + 1 + open] == '<')
            open++;
        if (open > 1 && (at + 1 + open >= count ||
                         (bytes[at + 1 + open] != ' ' && bytes[at + 1 + open] != '\n')))
            open = 1; /* C<<< without a space is one bracket and text */
        size_t start = at + 1 + open, end = find_close(bytes, start, count, open);
        if (code == 'E')
            rc = add_escape(out, bytes + start, end - start);
        else if (code == 'L')
            rc = add_link(out, bytes + start, end - start, nesting + 1);
        else if (code != 'X' && code != 'Z' && open > 1) { /* the blanks inside the brackets do not
                                                              count */
            while (start < end && (bytes[start] == ' ' || bytes[start] == '\n'))
                start++;
            size_t last = end;
            while (last > start && (bytes[last - 1] == ' ' || bytes[last - 1] == '\n'))
                last--;
            rc = add_plain(out, bytes + start, last - start, nesting + 1);
        } else if (code != 'X' && code != 'Z')
            rc = add_plain(out, bytes + start, end - start, nesting + 1);
        at = end + open < count ? end + open : count;
    }
    return rc;
}

int pod_plain(struct strbuf *out, const char *bytes, size_t count)
{
    struct strbuf plain = {0};
    int rc = add_plain(&plain, bytes, count, 0);
    if (rc == 0 && plain.length)
        rc = text_squeeze(out, plain.data, plain.length);
    strbuf_release(&plain);
    return rc;
}

/* Sets [*start, *end) to the next run of lines that are not blank; 0 at the end. */
static int next_block(struct pod_reader *reader, size_t *start, size_t *end)
{
    int inside = 0;
    while (reader->at < reader->size) {
        const char *line = reader->bytes + reader->at,
                   *newline = memchr(line, '\n', reader->size - reader->at);
        size_t length = newline ? (size_t)(newline - line) : reader->size - reader->at, blank = 0;
        while (blank < length && (line[blank] == ' ' || line[blank] == '\t' || line[blank] == '\r'))
            blank++;
        if (blank == length && inside)
            break;
        if (blank < length && !inside) {
            *start = reader->at;
            inside = 1;
        }
        reader->at += length + (newline != NULL);
        *end = reader->at;
    }
    return inside;
}

static int starts(const char *text, size_t length, const char *word)
{
    size_t size = strlen(word);
    return length >= size && memcmp(text, word, size) == 0 &&
           (length == size || text[size] == ' ' || text[size] == '\n' || text[size] == '\t');
}

/* Handles a command paragraph; 1 when it is one that the caller wants. */
static int command(struct pod_reader *reader, const char *text, size_t length,
                   struct pod_paragraph *out)
{
    reader->cut = starts(text, length, "=cut");
    if (starts(text, length, "=begin"))
        reader->begun = 1;
    else if (starts(text, length, "=end"))
        reader->begun = 0;
    if (reader->begun)
        return 0;
    if (starts(text, length, "=over"))
        reader->depth++;
    else if (starts(text, length, "=back"))
        reader->depth -= reader->depth > 0;
    int head = length > 6 && memcmp(text, "=head", 5) == 0;
    int item = starts(text, length, "=item");
    if (!head && !item)
        return 0;
    if (head)
        reader->depth = 0;
    size_t skip = 5;
    while (skip < length && text[skip] != ' ' && text[skip] != '\n' && text[skip] != '\t')
        skip++;
    *out = (struct pod_paragraph){item             ? POD_ITEM
                                  : text[5] == '1' ? POD_HEAD1
                                                   : POD_HEAD2,
                                  reader->depth, text + skip, length - skip};
    return 1;
}

int pod_next(struct pod_reader *reader, struct pod_paragraph *out)
{
    size_t start = 0, end = 0;
    while (next_block(reader, &start, &end)) {
        const char *text = reader->bytes + start;
        size_t length = end - start;
        if (text[0] == '=' && length > 1 && text[1] >= 'a' && text[1] <= 'z') {
            if (command(reader, text, length, out))
                return 1;
        } else if (!reader->cut && !reader->begun && text[0] != ' ' && text[0] != '\t') {
            *out = (struct pod_paragraph){POD_TEXT, reader->depth, text, length};
            return 1;
        }
    }
    return 0;
}
