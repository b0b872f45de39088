/* What the readers of the file formats build a struct tensor_table from: one part a file. */
#ifndef MODEL_TENSOR_PART_H
#define MODEL_TENSOR_PART_H

#include "core/arena.h"
#include "core/file.h"
#include "model/tensor_table.h"

#include <jansson.h>

/* One file's tensors. A reader fills it; tensor_part_release frees all of it. Where data lies in
 * the map, it is of this map: pages are given back through it. */
struct tensor_part {
    char *path;
    struct file_map map;
    struct arena memory;  /* for names and views */
    struct tensor *items; /* names and data point into the map, memory, or what owner keeps */
    size_t count;
    const json_t *metadata; /* an object of strings, kept by owner; or NULL */
    void *owner;            /* what else has to live as long as the table */
    void (*release_owner)(void *owner);
};
void tensor_part_release(struct tensor_part *part);

/* Opens one file into a zeroed part; on failure the part is left zeroed. */
typedef int tensor_part_open(struct tensor_part *part, const char *path);

/* *out = a table of one file, taken over from *part when this succeeds. */
int tensor_table_from_part(struct tensor_table **out, struct tensor_part *part);
/* The same, with the file opened first. */
int tensor_table_open_part(struct tensor_table **out, const char *path, tensor_part_open *open);

/* *out = a name of `size` bytes, copied out of a file with a NUL behind it: 1 to 400 bytes of UTF-8
 * without control characters. what: "a key", for messages. */
int tensor_name_copy(struct arena *arena, const char *path, const char *what, const char *bytes,
                     size_t size, const char **out);

/* For q and k of files whose rotary positions turn neighbouring pairs of a head: row 2 i + a is
 * read as row i + a head_size / 2 of its head. Rows that do not divide into pairs of that many
 * heads stay as they are. The view is in `memory`. */
int tensor_split_pairs(struct tensor *tensor, size_t heads, struct arena *memory);

/* Whether the file begins with those bytes, 8 at most; false where it cannot be read. */
bool tensor_file_begins(const char *path, const char *bytes, size_t size);

#endif
