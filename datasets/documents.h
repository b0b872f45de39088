/* Building blocks of the corpora: documents that grow, text that is cleaned, files below the corpus
 * root, children. */
#ifndef DATASETS_DOCUMENTS_H
#define DATASETS_DOCUMENTS_H

#include "datasets/dataset.h"

/* Documents under construction: text is added to the last one with documents_puts and the like,
 * documents_close ends it. Zero-initialise. */
struct documents_builder {
    struct strbuf text;
    size_t *offsets; /* ends of the closed documents, after a leading 0 */
    size_t count, capacity;
};
/* Adds bytes to the open document. */
int documents_add(struct documents_builder *builder, const char *bytes, size_t count);
/* Adds one line: a newline first unless the open document is empty. */
int documents_add_line(struct documents_builder *builder, const char *bytes, size_t count);
/* Ends the open document; an empty one leaves nothing. */
int documents_close(struct documents_builder *builder);
/* Bytes in the open document. */
size_t documents_open_size(const struct documents_builder *builder);
/* Closes the last document and hands everything over, with the hash; the builder is empty
 * afterwards. ERR_FORMAT, starting with `what`, when there is no document. */
int documents_finish(struct documents_builder *builder, const char *what, struct documents *out);
void documents_builder_release(struct documents_builder *builder);

/* Appends the text with every run of white space made one space, none at the ends, and control
 * characters left out. */
int text_squeeze(struct strbuf *out, const char *bytes, size_t count);
size_t text_words(const char *bytes, size_t count);

/* *out = a path below the root of installed files: / or what BITBENCH_CORPUS_ROOT names. Owned by
 * the caller. */
int corpus_path(char **out, const char *below_root);
/* Reads such a file whole; ".dz" and ".gz" are decompressed. ERR_MISSING names the package to
 * install. */
int corpus_read(const struct corpus *corpus, const char *below_root, struct strbuf *out);

/* *out = what the program wrote to its standard output; arguments end with NULL, the first is
 * looked up in PATH. ERR_MISSING when there is no such program, ERR_IO when it fails or ends with a
 * status other than 0. */
int command_read(const char *const *arguments, struct strbuf *out);
/* The version of an installed Debian package, owned by the caller; NULL when it cannot be told.
 * Never fails. */
char *package_version(const char *package);

/* A set of 64-bit keys (hashes of lines or of n-grams). Zero-initialise. */
struct keyset {
    uint64_t *slots;
    size_t count, capacity;
};
/* *fresh (may be NULL) = 1 when the key was not yet there. */
int keyset_add(struct keyset *set, uint64_t key, int *fresh);
int keyset_has(const struct keyset *set, uint64_t key);
void keyset_release(struct keyset *set);
/* A 64-bit hash of bytes that is the same everywhere and always (splits depend on it). */
uint64_t key_of(const char *bytes, size_t count);
/* Spreads the bits of a key (the finaliser of splitmix64). */
uint64_t key_mix(uint64_t key);

#endif
