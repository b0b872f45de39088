/* The prose of Perl's manual: paragraphs of running text with the heading or list item above them,
 * a paragraph a line; code is left out. A document is a section, or a part of a long one. */
#include "datasets/documents.h"

#include "core/err.h"
#include "core/text.h"
#include "datasets/pod.h"

#include <glob.h>
#include <stdlib.h>
#include <string.h>

enum {
    SMALL_DOCUMENT = 600,  /* bytes: shorter sections go with what follows */
    LARGE_DOCUMENT = 6000, /* bytes: a longer one is divided at its next subheading or outer list
                              item */
    LEAST_WORDS = 4 /* of a paragraph: "or", "This prints" and the like only join pieces of code */
};

struct state {
    struct documents_builder builder;
    struct keyset seen;    /* paragraphs so far */
    struct strbuf heading; /* the last heading or item, until a paragraph follows it */
    struct strbuf scratch;
    int skipping; /* within a section that is no prose */
};

static int contains(const char *name, const char *const *parts)
{
    for (; *parts; parts++)
        if (strstr(name, *parts))
            return 1;
    return 0;
}

/* Not prose, not English, lists, licences, or rewritten with every update of the package. */
static int unwanted_file(const char *name)
{
    static const char *const parts[] = {"delta.pod", "perltoc.", "perlmodlib.",   "perluniprops.",
                                        "perlhist.", "perlcn.",  "perljp.",       "perlko.",
                                        "perltw.",   "perlgpl.", "perlartistic.", "perldoc.pod",
                                        "perlutil.", NULL};
    return contains(name, parts);
}

static int unwanted_section(const char *title)
{
    static const char *const parts[] = {"SYNOPSIS",      "AUTHOR",     "SEE ALSO",   "COPYRIGHT",
                                        "ACKNOWLEDG",    "LICENSE",    "CREDITS",    "REVISION",
                                        "LAST MODIFIED", "MAINTAINER", "REFERENCES", NULL};
    return contains(title, parts);
}

static int set_heading(struct state *state, const struct pod_paragraph *paragraph)
{
    const char *text = paragraph->text;
    size_t length = paragraph->length, skip = 0;
    state->heading.length = 0;
    int rc = pod_plain(&state->heading, text, length);
    if (rc || paragraph->kind != POD_ITEM || state->heading.length == 0)
        return rc;
    /* "=item * text" and "=item 3. text": the bullet is not text. */
    char *plain = state->heading.data;
    while (skip < state->heading.length && strchr("*0123456789.)[]", plain[skip]))
        skip++;
    if (skip < state->heading.length && plain[skip] != ' ')
        skip = 0;
    skip += skip < state->heading.length && plain[skip] == ' ';
    state->heading.length -= skip;
    memmove(plain, plain + skip, state->heading.length + 1);
    return 0;
}

/* Headings that stand in nearly every file and say nothing; the line below NAME titles the file. */
static int empty_heading(const struct strbuf *heading)
{
    return heading->length &&
           (strcmp(heading->data, "NAME") == 0 || strcmp(heading->data, "DESCRIPTION") == 0);
}

/* A border of documents before a heading or an outer list item. */
static int maybe_close(struct state *state, const struct pod_paragraph *paragraph)
{
    size_t size = documents_open_size(&state->builder);
    int border = paragraph->kind == POD_HEAD1 ? size >= SMALL_DOCUMENT
                                              : paragraph->depth <= 1 && size >= LARGE_DOCUMENT;
    return border ? documents_close(&state->builder) : 0;
}

static int add_text(struct state *state, const struct pod_paragraph *paragraph)
{
    int rc, fresh = 1;
    state->scratch.length = 0;
    TRY(pod_plain(&state->scratch, paragraph->text, paragraph->length));
    if (text_words(state->scratch.data, state->scratch.length) < LEAST_WORDS)
        goto out;
    /* What was said before, word by word, is boilerplate: it would stand in train and test alike.
     */
    TRY(keyset_add(&state->seen, key_of(state->scratch.data, state->scratch.length), &fresh));
    if (!fresh)
        goto out;
    if (state->heading.length)
        TRY(documents_add_line(&state->builder, state->heading.data, state->heading.length));
    state->heading.length = 0;
    TRY(documents_add_line(&state->builder, state->scratch.data, state->scratch.length));
out:
    return rc;
}

static int add_file(const char *path, const char *bytes, size_t size, struct state *state)
{
    struct pod_reader reader = {.bytes = bytes, .size = size};
    struct pod_paragraph paragraph;
    int rc;
    state->skipping = 0;
    state->heading.length = 0;
    if (!text_is_utf8(bytes, size, NULL))
        return err_set(ERR_FORMAT, "corpus perldoc: %s: not UTF-8", path);
    while (pod_next(&reader, &paragraph)) {
        if (paragraph.kind != POD_TEXT) {
            TRY(maybe_close(state, &paragraph));
            TRY(set_heading(state, &paragraph));
            if (paragraph.kind == POD_HEAD1)
                state->skipping = state->heading.length && unwanted_section(state->heading.data);
            if (empty_heading(&state->heading))
                state->heading.length = 0;
        } else if (!state->skipping) {
            TRY(add_text(state, &paragraph));
        }
    }
    TRY(documents_close(&state->builder));
out:
    return rc;
}

static int compare_paths(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* /usr/share/perl/5.36.0/pod, whatever the version: perl has one at a time (5.36 is a link to it).
 */
static int find_files(const struct corpus *corpus, glob_t *found)
{
    char *pattern = NULL;
    int rc;
    TRY(corpus_path(&pattern, "usr/share/perl/5.*.*/pod/*.pod"));
    int code = glob(pattern, GLOB_NOSORT, NULL, found);
    if (code == GLOB_NOSPACE)
        rc = err_set(ERR_MEMORY, "out of memory while listing %s", pattern);
    else if (code != 0 || found->gl_pathc == 0)
        rc = err_set(ERR_MISSING, "corpus %s: there is no %s: apt-get install %s", corpus->name,
                     pattern, corpus->package);
    else /* not the locale's order, and not the folder's */
        qsort(found->gl_pathv, found->gl_pathc, sizeof *found->gl_pathv, compare_paths);
out:
    mem_free(pattern);
    return rc;
}

static int extract(const struct corpus *corpus, struct documents *all)
{
    struct state state = {0};
    struct strbuf file = {0};
    glob_t found = {0};
    const char *root = getenv("BITBENCH_CORPUS_ROOT");
    size_t skip = root ? strlen(root) : 0;
    int rc;
    TRY(find_files(corpus, &found));
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        if (unwanted_file(strrchr(path, '/')))
            continue;
        file.length = 0;
        TRY(corpus_read(corpus, path + skip, &file));
        if (file.length)
            TRY(add_file(path, file.data, file.length, &state));
    }
    TRY(documents_finish(&state.builder, "corpus perldoc: /usr/share/perl", all));
out:
    globfree(&found);
    documents_builder_release(&state.builder);
    keyset_release(&state.seen);
    strbuf_release(&state.heading);
    strbuf_release(&state.scratch);
    strbuf_release(&file);
    return rc;
}

const struct corpus corpus_perldoc = {
    .name = "perldoc",
    .title = "Perl manual",
    .package = "perl-doc",
    .source = "Larry Wall and others, GPL-1+ or Artistic; package perl-doc of Debian",
    .joiner = "\n\n",
    .version = 1,
    .expected_version = "5.36.0-7+deb12u4",
    .expected_hash = "7eb207ecf03acc373fbb4c922282cf3400829f2b673834f8aff2934723728b5f",
    .expected_documents = 862,
    .expected_words = 651022,
    .extract = extract,
};
