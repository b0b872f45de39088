/* Token ids as a corpus, to feed a model exactly what another implementation was fed: "ids:FILE",
 * raw little-endian int32, or "ids:FILE.safetensors:TENSOR", whole numbers of any type. */
#ifndef HARNESS_TOKEN_IDS_H
#define HARNESS_TOKEN_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether every part of a name, or of several joined by '+', is a corpus of ids. */
bool token_ids_named(const char *names);

/* *ids (owned by the caller) = the ids; *row = 0: they are one text; else they are rows of so many
 * (a matrix of more than one row), which nothing is to cross. ERR_FORMAT for an id outside 0 ..
 * vocabulary - 1, a file whose size is no multiple of 4, a tensor of another shape. */
int token_ids_read(const char *name, int vocabulary, int32_t **ids, size_t *count, size_t *row);

#endif
