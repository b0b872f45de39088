/* The header of one safetensors file, parsed and checked: used by safetensors.c. */
#ifndef MODEL_SAFETENSORS_HEADER_H
#define MODEL_SAFETENSORS_HEADER_H

#include "core/file.h"
#include "model/safetensors.h"

struct safetensors_part {
    char *path;
    struct file_map map;
    json_t *header;       /* owns the tensors' names */
    json_t *metadata;     /* borrowed from header, or NULL */
    struct tensor *items; /* in the order of their offsets */
    size_t count;
};

/* Maps path and checks: the header's length and JSON, each tensor's type, shape and offsets, and
 * that the tensors cover the data without gap or overlap. */
int safetensors_part_open(struct safetensors_part *part, const char *path);
void safetensors_part_release(struct safetensors_part *part);

#endif
