/* Corpora and tasks: they yield text and questions, never tokens, so they know no model. A corpus
 * or a task is one file with one descriptor, listed in datasets.def. */
#ifndef DATASETS_DATASET_H
#define DATASETS_DATASET_H

#include "core/hash.h"
#include "core/mem.h"
#include "core/options.h"
#include "datasets/jsonlines.h"

#include <stddef.h>
#include <stdint.h>

enum split { SPLIT_TRAIN, SPLIT_VALIDATION, SPLIT_TEST };
/* What a text is for: the papers' scripts join a data set's rows differently for the two. */
enum corpus_use { USE_CALIBRATION, USE_EVALUATION };

struct row_corpus;

/* A corpus as documents in a fixed order (chapters, articles, pages): text is UTF-8. */
struct documents {
    char *text;      /* all documents end to end, owned */
    size_t *offsets; /* count + 1, owned: document d is text[offsets[d] .. offsets[d + 1]) */
    size_t count;
    char hash[HASH_HEX_SIZE]; /* of text and offsets */
};
void documents_release(struct documents *documents);

struct corpus {
    const char *name, *title;
    const char *package; /* the Debian package that carries the text, or NULL */
    const char *source;  /* licence and origin in one line */
    const char *joiner;  /* what stands between documents when a split is evaluated as one text */
    int version;
    const char *expected_hash;    /* documents.hash, or NULL: there is nothing to compare with */
    const char *expected_version; /* of the package that gave it */
    size_t expected_documents, expected_words;
    int whole; /* 1: a text of one's own that is not divided: every split is the whole text */
    const char *path; /* the file of a text of one's own, else NULL */
    /* Extracts all documents; the struct is passed so that one function can serve several.
     * ERR_MISSING names the package to install. */
    int (*extract)(const struct corpus *corpus, struct documents *all);
    /* A corpus that users bring, with a file for each split (datasets/rows.h): it has no extract,
     * and corpus_text is what reads it. NULL for the others. */
    const struct row_corpus *rows;
};

/* Extracts and checks against expected_hash. `changed` (may be NULL) receives 1 when the text
 * differs from the expected one, else 0; the difference is then also logged as one warning that
 * names both versions of the package (corpus_difference gives the same line). Never silent: a
 * difference is no failure, but its figures do not compare. ERR_MISSING, ERR_FORMAT (not UTF-8,
 * empty), ERR_IO. */
int corpus_load(const struct corpus *corpus, struct documents *all, int *changed);

/* *line = the warning's text, owned by the caller; NULL where the documents are as expected. */
int corpus_difference(const struct corpus *corpus, const struct documents *all, char **line);

/* The documents of one split, copied: document d goes to test, validation or train by a hash of its
 * index and the corpus's name (CORPUS_TEST_SHARE % test, CORPUS_VALIDATION_SHARE % validation), so
 * splits never move when documents are appended. A corpus that is `whole` gives all documents for
 * each split. ERR_FORMAT when the split has none. */
enum { CORPUS_TEST_SHARE = 12, CORPUS_VALIDATION_SHARE = 4 };
int corpus_split(const struct corpus *corpus, const struct documents *all, enum split split,
                 struct documents *out);
enum split corpus_split_of(const struct corpus *corpus, size_t document);

/* Words are maximal runs of bytes without white space. */
size_t documents_words(const struct documents *documents);

/* *text = the documents of a split joined by corpus->joiner; owned by the caller. */
int documents_join(const struct documents *documents, const char *joiner, char **text,
                   size_t *size);

/* *text = a split of any corpus as one text, owned by the caller, not ended by a NUL that counts.
 * `changed` as in corpus_load. */
int corpus_text(const struct corpus *corpus, enum split split, enum corpus_use use, char **text,
                size_t *size, int *changed);

/* One question: the score of each choice is that of its continuation given its context. */
struct question {
    char **contexts;      /* one for each choice, or all the same pointer */
    char **continuations; /* choices of them; one where the task is to say how a text goes on */
    int choices, gold;
    int id; /* stable within the task: 0-based line or draw */
};

/* How a choice's score is made of log-likelihoods. The last two are for questions with one
 * continuation: whether each of its tokens is the most probable one, and the perplexity of a whole
 * continuation. */
enum scoring {
    SCORE_SUM,
    SCORE_TOKENS,
    SCORE_BYTES,
    SCORE_CHARACTERS,
    SCORE_PMI,
    SCORE_GREEDY,
    SCORE_PERPLEXITY,
    SCORE_COUNT
};
extern const char *const scoring_names[]; /* "sum", "tokens", "bytes", "characters", "pmi",
                                             "greedy", "perplexity", NULL */

/* How a context and a continuation become tokens. In both, white space at the context's end goes to
 * the continuation, and the continuation's tokens are those of the two together behind as many as
 * the context has alone. */
enum pair_rule {
    PAIRS_START, /* the beginning-of-text token stands in front of everything, and a pair that is
                    longer than the model's positions is an error */
    PAIRS_PLAIN  /* as in lm-evaluation-harness 0.4.13: that token stands in front where the
                    tokenizer's authors put it, or where the context is empty, and of a pair that is
                    too long the end is kept */
};

/* The text whose length SCORE_BYTES and SCORE_CHARACTERS divide by. */
enum choice_length {
    LENGTH_CONTINUATION, /* the continuation as it stands */
    LENGTH_TRIMMED,      /* without its first byte, the space that joins it to the context */
    LENGTH_CONTEXT       /* the context: the choices differ there */
};

struct questions {
    struct question *items; /* owned, with everything in them */
    size_t count;
    char hash[HASH_HEX_SIZE];
};
void questions_release(struct questions *questions);

struct task {
    const char *name, *title, *source;
    int version;
    enum scoring scoring; /* the default rule */
    unsigned more;        /* further rules that are measured by default: 1u << SCORE_... */
    enum pair_rule pairs;
    enum choice_length lengths;
    const char *premise; /* what stands before a continuation in PMI's log p(choice): words behind
                            which any choice may stand; NULL: only the start of the text */
    const char *corpus;  /* the built-in corpus whose test documents it is made of, or NULL */
    const char *file;    /* within the folder of data sets ("piqa/valid.jsonl"), or NULL */
    const char *labels;  /* the same for the answers, where they have a file of their own */
    json_line_see *see;  /* of zeroshot_load: adds the question of a line of the file, or NULL */
    const char *path;    /* the file of a task of one's own, else NULL */
    /* At most limit questions (0: all), drawn with seed where the task draws: the first n of a
     * larger limit are the questions of limit n. */
    int (*load)(const struct task *task, struct questions *out, size_t limit, uint64_t seed);
};

extern const struct corpus *const corpora[];        /* ends with NULL */
extern const struct task *const tasks[];            /* ends with NULL */
const struct corpus *corpus_find(const char *name); /* NULL with err_set naming the nearest */
const struct task *task_find(const char *name);

/* A corpus by name, or a UTF-8 text of one's own: "file:PATH" is one undivided text, the same for
 * every split, byte for byte as it stands (name a different file for calibration); "docs:PATH" is
 * divided into documents at runs of blank lines, and into splits like the built-in corpora. Use
 * &source->corpus with the functions above; the name is the text given. corpus_close of a zeroed
 * struct is legal. */
struct corpus_source {
    struct corpus corpus;
    char *name, *path; /* owned; NULL for built-in ones */
};
int corpus_open(const char *name, struct corpus_source *source);
void corpus_close(struct corpus_source *source);

/* The same for tasks: a name; or "jsonl:PATH", a line an object, for instance
 *   {"context": "The sky is", "choices": [" blue.", " a fish."], "answer": 0}
 * or with "contexts": [...], one for each choice; an optional whole number "id"; a first line
 * {"task": {...}} may say how it is scored; or "lastword:PATH", texts whose last word is to be
 * found. See docs/datasets.md. ERR_FORMAT for a first line that is wrong. */
struct task_source {
    struct task task;
    char *name, *path, *premise;
};
int task_open(const char *name, struct task_source *source);
void task_close(struct task_source *source);

#endif
