/* The pickle of a torch.save file, read without running anything: a stack machine that knows texts,
 * numbers, tuples, dictionaries, storages and tensors. Python's pickle can call any function; here
 * the functions that rebuild a tensor, a parameter and an OrderedDict are known, and every other
 * name is refused. */
#ifndef MODEL_PICKLE_H
#define MODEL_PICKLE_H

#include "core/arena.h"
#include "model/tensor_table.h"

/* A tensor as the pickle describes it; nothing is checked against the storage yet. */
struct pickle_tensor {
    const char *name;    /* its key in the dictionary */
    const char *storage; /* the name of the entry that holds it: "0" */
    enum dtype dtype;
    uint64_t storage_count, offset; /* elements */
    int rank;
    uint64_t shape[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK]; /* elements; below 2^63 */
};

/* *out = the tensors of a dictionary of tensors, *count of them, in the file's order; they and
 * their names are put into `memory`. path stands for the file in messages. ERR_FORMAT that names
 * opcode, place or function for anything else. */
int pickle_read(const uint8_t *bytes, size_t size, const char *path, struct arena *memory,
                struct pickle_tensor **out, size_t *count);

#endif
