#include "model/workspace.h"

#include "core/mem.h"
#include "model/model.h"

int workspace_floats(struct workspace *workspace, size_t count, float **out)
{
    if (count > workspace->capacity) {
        float *fresh;
        int rc = mem_alloc(&fresh, count, sizeof *fresh);
        if (rc)
            return rc;
        mem_free(workspace->data);
        workspace->data = fresh;
        workspace->capacity = count;
    }
    *out = workspace->data;
    return 0;
}

size_t workspace_round(size_t count)
{
    return (count + 15) / 16 * 16;
}

int workspace_rope(struct workspace *workspace, const struct model_config *config, int positions)
{
    if (positions <= workspace->rope_positions)
        return 0;
    float *table;
    size_t half = (size_t)positions * (size_t)(config->head_size / 2);
    int rc = mem_alloc(&table, 2 * half, sizeof *table);
    if (rc)
        return rc;
    mem_free(workspace->cosine);
    workspace->cosine = table;
    workspace->sine = table + half;
    workspace->rope_positions = positions;
    rope_table(config, positions, workspace->cosine, workspace->sine);
    return 0;
}

void workspace_trim(struct workspace *workspace, size_t most)
{
    if (workspace->capacity <= most)
        return;
    mem_free(workspace->data);
    workspace->data = NULL;
    workspace->capacity = 0;
}

void workspace_release(struct workspace *workspace)
{
    mem_free(workspace->data);
    mem_free(workspace->cosine);
    *workspace = (struct workspace){0};
}
