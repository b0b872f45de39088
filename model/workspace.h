/* Memory that a model's forward pass keeps between calls: fresh pages for every block would cost as
 * much as its element-wise work. Not for two callers at once. */
#ifndef MODEL_WORKSPACE_H
#define MODEL_WORKSPACE_H

#include <stddef.h>

struct model_config;

struct workspace {
    float *data;
    size_t capacity;      /* floats */
    float *cosine, *sine; /* rope tables of rope_positions rows */
    int rope_positions;
};

/* *out = `count` floats, 64-byte aligned, contents undefined, valid until the next call. */
int workspace_floats(struct workspace *workspace, size_t count, float **out);

/* A count rounded up so that what follows it stays 64-byte aligned. */
size_t workspace_round(size_t count);

/* Tables for at least `positions` positions: see rope_table. */
int workspace_rope(struct workspace *workspace, const struct model_config *config, int positions);

/* Gives the memory of workspace_floats back when it is more than `most` floats. */
void workspace_trim(struct workspace *workspace, size_t most);

void workspace_release(struct workspace *workspace);

#endif
