/* Between tensor_table.c and tensor_shards.c. */
#ifndef MODEL_TENSOR_TABLE_INTERNAL_H
#define MODEL_TENSOR_TABLE_INTERNAL_H

#include "model/tensor_part.h"

struct tensor_table {
    char *path;
    struct tensor_part *parts; /* in the order of their names */
    size_t part_count;
    struct tensor *items; /* of all parts, in the order of their names */
    size_t count;
};

/* Gathers the parts' tensors into one sorted table. */
int tensor_table_gather(struct tensor_table *table);

#endif
