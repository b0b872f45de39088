/* Corpora that users bring as files: each split is a file of rows, lines of text or JSON objects.
 * They are read as the loaders of Hugging Face's datasets read them, and joined, drawn and cut as
 * the papers' scripts do it. Files are streams here: C4's are large. */
#ifndef DATASETS_ROWS_H
#define DATASETS_ROWS_H

#include "datasets/dataset.h"

#include <stdbool.h>

/* What a line of a text file gives. Lines end as in Python's text files: \n, \r\n and \r alike. */
enum row_rule {
    ROW_LINE,    /* the line with a line feed behind it, or "" where it is blank: WikiText */
    ROW_STRIPPED /* the line without white space at both ends: Penn Treebank */
};

struct row_split {
    const char *const *names; /* below the data folder, the first that is there; ends with NULL.
                                 Names with ".json" in them hold JSON objects. */
    size_t rows;              /* of the published file, or 0: not known */
    const char *hash; /* of its rows: SHA-256 of each row and a NUL byte behind it; or NULL */
};

struct row_corpus {
    enum row_rule rule;
    const char *key;                /* of a row's text in a JSON object */
    const char *origin;             /* where the files are to be had, for messages */
    struct row_split splits[3];     /* by enum split; several may name the same file */
    const char *calibration_joiner; /* between the rows of a text that is drawn from; NULL:
                                       corpus.joiner, as for perplexity */
    /* C4's rules; 0 elsewhere. */
    bool draws_rows;       /* a calibration segment comes out of a single row that is longer */
    bool evaluates_drawn;  /* so does a perplexity window, most_windows of them, with seed 0 */
    size_t evaluated_rows; /* perplexity is measured on so many rows of the beginning */
    size_t most_windows;   /* and on so many windows of that */
};

/* The file of a split: *path is the caller's, *json says what is in it. ERR_MISSING, ERR_FORMAT
 * (parquet) as data_folder_first. */
int rows_file(const struct corpus *corpus, enum split split, char **path, bool *json);

/* What a pass over a split found. */
struct row_count {
    size_t rows, bytes, words;
    bool tokens;              /* the file is WikiText's .tokens, where rare words are <unk> */
    char hash[HASH_HEX_SIZE]; /* of all rows; "" unless all were seen */
};

/* Calls see for each row that `wanted` (NULL: every one) wants, in their order, and counts. Rows
 * that are not wanted are counted, but not parsed; a see that returns ROWS_STOP ends the pass.
 * ERR_FORMAT names file and line: not UTF-8, no JSON object, no text under the key, not a row. */
enum { ROWS_STOP = -1 };
struct row_visitor {
    bool (*wanted)(void *context, size_t index);
    int (*see)(void *context, size_t index, const char *text, size_t size);
    void *context;
};
int rows_visit(const struct corpus *corpus, enum split split, const struct row_visitor *visitor,
               struct row_count *count);

/* Where the split differs from the published file: *line (owned by the caller) says so, NULL where
 * it does not or where nothing is known. */
int rows_difference(const struct corpus *corpus, enum split split, const struct row_count *count,
                    char **line);

#endif
