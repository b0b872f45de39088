/* Corpora and tasks: they yield text and questions, never tokens, so they know no model. A corpus or a task is one file
 * with one descriptor, listed in datasets.def. */
#ifndef DATASETS_DATASET_H
#define DATASETS_DATASET_H

#include "core/hash.h"
#include "core/mem.h"
#include "core/options.h"

#include <stddef.h>
#include <stdint.h>

enum split { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST };

/* A corpus as documents in a fixed order (chapters, articles, pages): text is UTF-8. */
struct documents {
    char *text;            /* all documents end to end, owned */
    size_t *offsets;       /* count + 1, owned: document d is text[offsets[d] .. offsets[d + 1]) */
    size_t count;
    char hash[HASH_HEX_SIZE]; /* of text and offsets */
};
void documents_release(struct documents *documents);

struct corpus {
    const char *name, *title;
    const char *package;  /* the Debian package that carries it, or NULL */
    const char *source;   /* licence and origin in one line */
    const char *joiner;   /* what stands between documents when a split is evaluated as one text */
    int version;
    const char *expected_hash; /* of the whole extracted text, with the package version that gave it */
    const char *expected_version;
    size_t expected_documents, expected_words;
    /* Extracts all documents. ERR_MISSING names the package to install. */
    int (*extract)(struct documents *all);
};

/* Extracts and checks against expected_hash. `changed` (may be NULL) receives 1 when the text differs from the expected
 * one; the difference is then also logged as a warning that names both versions. Never silent. */
int corpus_load(const struct corpus *corpus, struct documents *all, int *changed);

/* The documents of one split, copied: document d goes to test, validation or train by a hash of its index and the
 * corpus's name (10 % test, 5 % validation), so splits never move when documents are appended. */
int corpus_split(const struct corpus *corpus, const struct documents *all, enum split split, struct documents *out);

/* *text = the documents of a split joined by corpus->joiner; owned by the caller. */
int documents_join(const struct documents *documents, const char *joiner, char **text, size_t *size);

/* One question: the score of each choice is that of its continuation given its context. */
struct question {
    char **contexts;      /* one for each choice, or all the same pointer */
    char **continuations; /* choices of them */
    int choices, gold;
    int id;               /* stable within the task: 0-based line or draw */
};

/* How a choice's score is made of log-likelihoods. */
enum scoring { SCORE_SUM, SCORE_TOKENS, SCORE_BYTES, SCORE_CHARACTERS, SCORE_PMI, SCORE_COUNT };
extern const char *const scoring_names[]; /* "sum", "tokens", "bytes", "characters", "pmi", NULL */

struct questions {
    struct question *items; /* owned, with everything in them */
    size_t count;
    struct strbuf storage;
    char hash[HASH_HEX_SIZE];
};
void questions_release(struct questions *questions);

struct task {
    const char *name, *title, *source;
    int version;
    enum scoring scoring;  /* the default rule */
    /* At most limit questions (0: all), drawn with seed where the task draws. */
    int (*load)(struct questions *out, size_t limit, uint64_t seed);
};

extern const struct corpus *const corpora[]; /* ends with NULL */
extern const struct task *const tasks[];     /* ends with NULL */
const struct corpus *corpus_find(const char *name); /* NULL with err_set naming the nearest */
const struct task *task_find(const char *name);

#endif
