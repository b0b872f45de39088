/* The definitions of WordNet, one synset a line behind its first lemma: `voice: give voice to; "He
 * voiced his concern"`. Corpus wordnet has the synsets with an example, which is ordinary English;
 * wordnet_rest, for training, has the others, many of them names of plants, animals, people and
 * places. A document is a run of synsets as they stand in the data files: by lexicographer file
 * (acts, animals, artifacts, ...) and there by the alphabet, more or less. */
#include "datasets/documents.h"

#include "core/err.h"

#include <string.h>

enum { SYNSETS_A_DOCUMENT = 32 };

/* The next field of a line that ends at a space; 0 when there is none. */
static int next_field(const char **at, const char *end, const char **field, size_t *length)
{
    const char *space = memchr(*at, ' ', (size_t)(end - *at));
    if (!space || space == *at)
        return 0;
    *field = *at;
    *length = (size_t)(space - *at);
    *at = space + 1;
    return 1;
}

/* wndb(5): offset lex_filenum ss_type w_cnt word lex_id ... | gloss. Adjectives may carry "(a)",
 * "(p)" or "(ip)". */
static int parse_synset(const char *line, size_t length, const char **lexfile, struct strbuf *out)
{
    const char *at = line, *end = line + length, *field, *word;
    size_t size, word_size;
    int fields = next_field(&at, end, &field, &size) && next_field(&at, end, lexfile, &size) &&
                 size == 2 && next_field(&at, end, &field, &size) &&
                 next_field(&at, end, &field, &size) && next_field(&at, end, &word, &word_size);
    const char *bar = fields ? memchr(at, '|', (size_t)(end - at)) : NULL;
    if (!bar)
        return -1;
    const char *marker = memchr(word, '(', word_size);
    if (marker && marker > word)
        word_size = (size_t)(marker - word);
    out->length = 0;
    int rc = text_squeeze(out, word, word_size);
    for (size_t i = 0; rc == 0 && i < out->length; i++)
        if (out->data[i] == '_')
            out->data[i] = ' ';
    if (rc == 0)
        rc = strbuf_puts(out, ": ");
    return rc ? rc : text_squeeze(out, bar + 1, (size_t)(end - bar - 1));
}

static int add_file(const struct corpus *corpus, const char *name, int with_example,
                    struct documents_builder *builder)
{
    struct strbuf file = {0}, line = {0};
    char lexfile[3] = "";
    int synsets = 0, rc;
    size_t number = 0;
    TRY(corpus_read(corpus, name, &file));
    for (size_t at = 0; at < file.length;) {
        const char *start = file.data + at, *newline = memchr(start, '\n', file.length - at);
        size_t length = newline ? (size_t)(newline - start) : file.length - at;
        const char *lex;
        at += length + 1;
        number++;
        if (length == 0 || start[0] == ' ') /* the licence at the top of each file is indented */
            continue;
        TRY(parse_synset(start, length, &lex, &line));
        if ((strchr(line.data, '"') != NULL) != with_example)
            continue;
        if (synsets == SYNSETS_A_DOCUMENT || memcmp(lex, lexfile, 2) != 0) {
            TRY(documents_close(builder));
            synsets = 0;
        }
        memcpy(lexfile, lex, 2);
        TRY(documents_add_line(builder, line.data, line.length));
        synsets++;
    }
    TRY(documents_close(builder));
out:
    if (rc < 0)
        rc = err_set(ERR_FORMAT,
                     "corpus wordnet: %s, line %zu: not a synset as wndb(5) describes it", name,
                     number);
    strbuf_release(&file);
    strbuf_release(&line);
    return rc;
}

static int extract_synsets(const struct corpus *corpus, int with_example, struct documents *all)
{
    static const char *const names[] = {"usr/share/wordnet/data.noun",
                                        "usr/share/wordnet/data.verb", "usr/share/wordnet/data.adj",
                                        "usr/share/wordnet/data.adv"};
    struct documents_builder builder = {0};
    int rc = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        TRY(add_file(corpus, names[i], with_example, &builder));
    TRY(documents_finish(&builder, "corpus wordnet: /usr/share/wordnet", all));
out:
    documents_builder_release(&builder);
    return rc;
}

static int extract(const struct corpus *corpus, struct documents *all)
{
    return extract_synsets(corpus, 1, all);
}

static int extract_rest(const struct corpus *corpus, struct documents *all)
{
    return extract_synsets(corpus, 0, all);
}

#define SOURCE                                                                                     \
    .package = "wordnet-base", .expected_version = "1:3.0-37",                                     \
    .source = "WordNet 3.0 by Princeton University, WordNet licence (free with notice); package "  \
              "wordnet-base of Debian"

const struct corpus corpus_wordnet = {
    .name = "wordnet",
    .title = "WordNet definitions with examples",
    SOURCE,
    .joiner = "\n\n",
    .version = 1,
    .expected_hash = "fc1df723ea2976454f9aecf92af9d13ce778a7212b875cd4475075b2d5b2adda",
    .expected_documents = 1050,
    .expected_words = 562126,
    .extract = extract,
};

const struct corpus corpus_wordnet_rest = {
    .name = "wordnet_rest",
    .title = "WordNet definitions without examples",
    SOURCE,
    .joiner = "\n\n",
    .version = 1,
    .expected_hash = "c8d2ee2a21956c64c4a5f84b44e559ecad9943da5f9baf8d55e8591769b9512a",
    .expected_documents = 2669,
    .expected_words = 1050410,
    .extract = extract_rest,
};
