/* What the readers of the file formats build a struct tensor_table from: one part a file. */
#ifndef MODEL_TENSOR_PART_H
#define MODEL_TENSOR_PART_H

#include "core/arena.h"
#include "core/file.h"
#include "model/tensor_table.h"

#include <jansson.h>

/* One file's tensors. A reader fills it; tensor_part_release frees all of it. */
struct tensor_part {
    char *path;
    struct file_map map;
    struct tensor *items; /* names and data point into the map or into what owner keeps */
    size_t count;
    const json_t *metadata; /* an object of strings, kept by owner; or NULL */
    void *owner;            /* what else has to live as long as the table */
    void (*release_owner)(void *owner);
};
void tensor_part_release(struct tensor_part *part);

/* Opens one file into a zeroed part; on failure the part is left zeroed. */
typedef int tensor_part_open(struct tensor_part *part, const char *path);

/* *out = a table of one file. */
int tensor_table_open_part(struct tensor_table **out, const char *path, tensor_part_open *open);

/* *out = a table of the shards that the weight map of an index file names, all in the index's
 * folder. */
int tensor_table_open_index(struct tensor_table **out, const char *folder, const char *index_path,
                            tensor_part_open *open);

/* *out = a name of `size` bytes, copied out of a file with a NUL behind it: 1 to 400 bytes of UTF-8
 * without control characters. what: "a key", for messages. */
int tensor_name_copy(struct arena *arena, const char *path, const char *what, const char *bytes,
                     size_t size, const char **out);

#endif
