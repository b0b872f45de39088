/* Between tensor_table.c, tensor_shards.c and tensor_names.c. */
#ifndef MODEL_TENSOR_TABLE_INTERNAL_H
#define MODEL_TENSOR_TABLE_INTERNAL_H

#include "model/tensor_part.h"

struct tensor_table {
    char *path;
    struct tensor_part *parts; /* in the order of their names */
    size_t part_count;
    struct tensor *items; /* of all parts, in the order of their names */
    size_t count;
    char *names; /* of items that were renamed, end to end; or NULL */
};

/* Puts the items into the order of their names. */
void tensor_table_sort(struct tensor_table *table);

/* Gathers the parts' tensors into one sorted table. */
int tensor_table_gather(struct tensor_table *table);

#endif
