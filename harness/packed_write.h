/* Writes a packed model: collects the packed layers of a run, then writes the folder, whole or not
 * at all. The layout is docs/format.md. */
#ifndef HARNESS_PACKED_WRITE_H
#define HARNESS_PACKED_WRITE_H

#include "core/folder.h"
#include "core/hash.h"
#include "harness/pipeline.h"
#include "model/model.h"

#include <stdio.h>

struct packed_entry {
    char *name;
    int rows, columns;
    char digest[HASH_HEX_SIZE]; /* of W_q's floats */
    struct packed packed;       /* names and shapes; the data has gone to the spool */
    size_t at[PACKED_MAX];      /* where there */
    struct layer_choice choice; /* what packed it; borrowed from the point */
};

struct packed_writer {
    const struct model *model; /* borrowed, with the point */
    const struct point *point;
    const char *tokenizer; /* in place of the model's own, borrowed; or NULL */
    struct folder_writer folder;
    struct packed_entry *entries;
    int count, capacity;
    FILE *spool; /* the packed arrays, until all are known: an unnamed file beside the result */
    size_t spooled;
};

/* ERR_USAGE, before any work, when the folder is there and not empty, when the method has no packed
 * form, or when the model is a packed one already. packed_write_abort of a zeroed struct is legal.
 */
int packed_write_begin(struct packed_writer *writer, const char *folder, const struct model *model,
                       const struct point *point);

/* A layer_sink's take; context is the writer. Checks that unpacking gives W_q back bit for bit. */
int packed_write_take(void *context, const char *name, const struct layer_choice *choice,
                      const struct layer_problem *problem, const struct layer_result *result,
                      struct packed *packed);

/* Writes everything. made (borrowed) is kept in config.json as it is: what the model was made from.
 * *file_bytes = the size of model.safetensors. */
int packed_write_commit(struct packed_writer *writer, json_t *made, size_t *file_bytes);
void packed_write_abort(struct packed_writer *writer);

/* packed_describe.c: config.json, and the format that the folder needs: 1, or 2 where layers have
 * methods of their own or masks. */
int packed_write_config(const struct packed_writer *writer, json_t *made, const char *path);
int packed_write_format(const struct packed_writer *writer);

#endif
