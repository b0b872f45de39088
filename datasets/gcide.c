/* The Collaborative International Dictionary of English (Webster's of 1913 with additions):
 * definitions, notes and quotations, a paragraph a line, the entry's word before its first. Left
 * out: pronunciations, etymologies, grammar, the names of those quoted; all that comes from
 * WordNet, and quotations with chapter and verse, since those are other corpora's test text. A
 * document is a run of entries. */
#include "datasets/documents.h"

#include "core/err.h"
#include "core/text.h"
#include "datasets/dictionary.h"

#include <string.h>

enum { DOCUMENT_SIZE = 6000, LONGEST_NAME = 60, LEAST_WORDS = 3 };

struct state {
    struct documents_builder builder;
    struct strbuf word;    /* of the entry, until its first paragraph is out */
    struct strbuf pending; /* lines of the entry whose source tag has not yet come */
    struct strbuf plain, line;
    int started; /* behind the notes at the top */
};

static int is_letter(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static int has(const char *bytes, size_t count, const char *word)
{
    return memmem(bytes, count, word, strlen(word)) != NULL;
}

/* "antenn[ae]" is written for a ligature, "r[^a]le" for an accent: the plain letters are kept. */
static int add_special(struct strbuf *out, const char *bytes, size_t count)
{
    static const char *const accents[] = {"mac",   "uml",   "breve", "circ",
                                          "grave", "acute", "tilde", "cedil"};
    size_t letters = 0;
    for (size_t i = 0; i < sizeof accents / sizeof *accents; i++) {
        size_t size = strlen(accents[i]);
        if (count == size + 1 && memcmp(bytes + 1, accents[i], size) == 0)
            return strbuf_add(out, bytes, 1);
    }
    for (size_t i = 0; i < count; i++)
        letters += (size_t)is_letter(bytes[i]);
    if (letters > 2)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (is_letter(bytes[i])) {
            int rc = strbuf_add(out, bytes + i, 1);
            if (rc)
                return rc;
        }
    return 0;
}

/* A field or a country: "(Zool.)", "(Bot. & Zool.)". */
static int is_label(const char *bytes, size_t count)
{
    return count >= 4 && count <= 30 && bytes[1] >= 'A' && bytes[1] <= 'Z' &&
           bytes[count - 2] == '.';
}

/* Removes brackets, braces and labels. -1: the paragraph is damaged and of no use. `tagged`
 * receives 1 behind a source tag, 2 when it names WordNet. */
static int strip_groups(struct strbuf *out, const char *text, size_t count, int *tagged)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count;) {
        size_t end = strchr("[(", text[i]) ? dictionary_group(text + i, count - i) : 0;
        if (text[i] == '[' || text[i] == ']') {
            if (end == 0)
                return -1;
            const char *inner = text + i + 1;
            size_t size = end - 2;
            int joined = (i > 0 && is_letter(text[i - 1])) ||
                         (i + end < count && is_letter(text[i + end]));
            if (joined && size <= 6)
                rc = add_special(out, inner, size);
            else if (has(inner, size, "WordNet"))
                *tagged = 2;
            else if ((has(inner, size, "Webster") || has(inner, size, "PJC") ||
                      has(inner, size, "Century")) &&
                     *tagged < 2)
                *tagged = 1;
            i += end;
        } else if (text[i] == '(' && end && is_label(text + i, end)) {
            i += end;
        } else {
            if (text[i] != '{' && text[i] != '}')
                rc = strbuf_add(out, text + i, 1);
            i++;
        }
    }
    return rc;
}

/* Grammar between an entry's word and its definition: "v. t.", "n. pl.", "p. p. & vb. n.", and
 * labels without a dot. */
static int is_grammar(const char *bytes, size_t count)
{
    static const char *const words[] = {
        "n",         "a",      "adj",    "v",      "t",   "i",    "adv", "prep", "conj",
        "interj",    "pl",     "sing",   "p",      "pr",  "vb",   "imp", "pron", "prop",
        "pref",      "suffix", "superl", "compar", "fem", "masc", "obs", "pres", "ppr",
        "auxiliary", "Obs",    "E",      "L",      "F",   "def",  "art"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strlen(words[i]) == count && memcmp(words[i], bytes, count) == 0)
            return 1;
    return 0;
}

/* The definition in an entry's first paragraph: what is behind the word, its pronunciations,
 * grammar and etymology. */
static size_t skip_header(const char *text, size_t count)
{
    size_t at = 0;
    while (at < count) {
        size_t end = 0;
        if (strchr(" \t\n,;&.", text[at])) {
            at++;
            continue;
        }
        if (text[at] == '(' || text[at] == '[' || text[at] == '{') {
            end = dictionary_group(text + at, count - at);
        } else if (text[at] == '\\') {
            const char *close = memchr(text + at + 1, '\\', count - at - 1);
            end = close ? (size_t)(close - text) + 1 - at : 0;
        } else {
            while (at + end < count && is_letter(text[at + end]))
                end++;
            const char *slash = memchr(text + at, '\\', count - at < 60 ? count - at : 60);
            if (end && at + end < count && text[at + end] == '.' && is_grammar(text + at, end))
                end++;
            else if (slash && !memchr(text + at, '.', (size_t)(slash - text) - at))
                end = (size_t)(slash - text) - at; /* another spelling of the word */
            else
                return at;
        }
        if (end == 0)
            return at;
        at += end;
    }
    return at;
}

/* Cuts "--Shak." from the end. 0 when the paragraph must go: chapter and verse, or letters that
 * could not be rendered. */
static int cut_name(struct strbuf *text)
{
    char *name = NULL, *bytes = text->data;
    for (size_t i = 0; i + 2 < text->length; i++) {
        if (bytes[i] == '-' && bytes[i + 1] == '-' && bytes[i + 2] >= 'A' && bytes[i + 2] <= 'Z') {
            name = bytes + i;
            if (strpbrk(name, "0123456789"))
                return 0;
        }
        if (bytes[i] == '?' &&
            (is_letter(bytes[i + 1]) || bytes[i + 1] == '?' || i == 0 || bytes[i - 1] == ' '))
            return 0;
    }
    if (name && text->length - (size_t)(name - bytes) <= LONGEST_NAME) {
        text->length = (size_t)(name - bytes);
        while (text->length && bytes[text->length - 1] == ' ')
            text->length--;
        bytes[text->length] = '\0';
    }
    return 1;
}

/* "2. ", "(b) " at a paragraph's beginning. */
static size_t skip_number(const char *bytes, size_t count)
{
    size_t at = 0;
    while (at < count && bytes[at] >= '0' && bytes[at] <= '9')
        at++;
    if (at && at + 1 < count && bytes[at] == '.' && bytes[at + 1] == ' ')
        return at + 2;
    if (count > 4 && bytes[0] == '(' && is_letter(bytes[1]) && bytes[2] == ')' && bytes[3] == ' ')
        return 4;
    return 0;
}

/* Closes the gap that a removed group leaves before a comma or semicolon. */
static void close_gaps(struct strbuf *text)
{
    size_t kept = 0;
    for (size_t i = 0; i < text->length; i++) {
        char next = i + 1 < text->length ? text->data[i + 1] : '\0';
        if (text->data[i] != ' ' || (next != ',' && next != ';'))
            text->data[kept++] = text->data[i];
    }
    text->length = kept;
    if (text->data)
        text->data[kept] = '\0';
}

/* The paragraph as a line of the pending text, or nothing. */
static int add_paragraph(struct state *state, const char *text, size_t count, int *tagged)
{
    struct strbuf *line = &state->line;
    int rc;
    state->plain.length = line->length = 0;
    TRY(strip_groups(&state->plain, text, count, tagged));
    if (state->plain.length == 0)
        goto out;
    TRY(text_squeeze(line, state->plain.data, state->plain.length));
    close_gaps(line);
    size_t start = line->length ? skip_number(line->data, line->length) : 0;
    if (line->length == 0 || !cut_name(line) || start >= line->length || strchr(line->data, '\\') ||
        !text_is_utf8(line->data, line->length, NULL))
        goto out;
    if (state->word.length == 0 &&
        text_words(line->data + start, line->length - start) < LEAST_WORDS)
        goto out;
    if (state->word.length) {
        TRY(strbuf_printf(&state->pending, "%s: ", state->word.data));
        state->word.length = 0;
    }
    TRY(strbuf_puts(&state->pending, line->data + start));
    TRY(strbuf_puts(&state->pending, "\n"));
out:
    return rc < 0 ? 0 : rc; /* a damaged paragraph is left out */
}

static int flush_pending(struct state *state, int keep)
{
    int rc = 0;
    if (keep && state->pending.length)
        rc = documents_add_line(&state->builder, state->pending.data, state->pending.length - 1);
    state->pending.length = 0;
    return rc;
}

/* An entry starts: its word is what stands before the pronunciation. */
static int start_entry(struct state *state, const char **text, size_t *count)
{
    int rc = flush_pending(state, 0);
    if (rc == 0 && documents_open_size(&state->builder) >= DOCUMENT_SIZE)
        rc = documents_close(&state->builder);
    const char *slash = memchr(*text, '\\', *count);
    if (rc || !slash) /* a stray line at column 0 */
        return rc;
    state->started = 1;
    state->word.length = 0;
    rc = text_squeeze(&state->word, *text, (size_t)(slash - *text));
    size_t skip = (size_t)(slash - *text);
    skip += skip_header(slash, *count - skip);
    *text += skip;
    *count -= skip;
    return rc;
}

static int extract(const struct corpus *corpus, struct documents *all)
{
    struct state state = {0};
    struct strbuf file = {0};
    struct dictionary_paragraph paragraph = {0};
    int rc;
    TRY(corpus_read(corpus, "usr/share/dictd/gcide.dict.dz", &file));
    struct dictionary_reader reader = {.bytes = file.data, .size = file.length};
    while (dictionary_next(&reader, &paragraph)) {
        const char *text = paragraph.text;
        size_t count = paragraph.length;
        int tagged = 0;
        if (paragraph.indent == 0)
            TRY(start_entry(&state, &text, &count));
        if (!state.started)
            continue;
        TRY(add_paragraph(&state, text, count, &tagged));
        if (tagged)
            TRY(flush_pending(&state, tagged == 1));
    }
    TRY(documents_finish(&state.builder, "corpus gcide: gcide.dict.dz", all));
out:
    documents_builder_release(&state.builder);
    strbuf_release(&state.word);
    strbuf_release(&state.pending);
    strbuf_release(&state.plain);
    strbuf_release(&state.line);
    strbuf_release(&file);
    return rc;
}

const struct corpus corpus_gcide = {
    .name = "gcide",
    .title = "Collaborative International Dictionary of English",
    .package = "dict-gcide",
    .source =
        "Webster's dictionary of 1913 and its additions, GPL-2+; package dict-gcide of Debian",
    .joiner = "\n\n",
    .version = 1,
    .expected_version = "0.48.5+nmu2",
    .expected_hash = "cf7b1097ffe464d28f95177885b434432e3027cdf08d8ca242d2e5819a408a82",
    .expected_documents = 3279,
    .expected_words = 3459690,
    .extract = extract,
};
