/* The tensors of a GGUF file: shapes, types, places. */
#include "core/err.h"
#include "core/mem.h"
#include "model/gguf_internal.h"

#include <inttypes.h>
#include <stdlib.h>

/* Dimensions of a tensor; the boundary that tensors begin at when the metadata names none, and the
 * largest it may name. */
enum { DIMENSIONS = 4, ALIGNMENT = 32, ALIGNMENT_LIMIT = 1 << 20 };

/* By the numbers of GGUF; those that have no dtype are known by name only. */
static const struct {
    const char *name;
    int dtype;
} kinds[] = {
    {"F32", DTYPE_F32},   {"F16", DTYPE_F16},   {"Q4_0", DTYPE_Q4_0},   {"Q4_1", DTYPE_Q4_1},
    {"Q4_2", -1},         {"Q4_3", -1},         {"Q5_0", DTYPE_Q5_0},   {"Q5_1", DTYPE_Q5_1},
    {"Q8_0", DTYPE_Q8_0}, {"Q8_1", -1},         {"Q2_K", DTYPE_Q2_K},   {"Q3_K", DTYPE_Q3_K},
    {"Q4_K", DTYPE_Q4_K}, {"Q5_K", DTYPE_Q5_K}, {"Q6_K", DTYPE_Q6_K},   {"Q8_K", -1},
    {"IQ2_XXS", -1},      {"IQ2_XS", -1},       {"IQ3_XXS", -1},        {"IQ1_S", -1},
    {"IQ4_NL", -1},       {"IQ3_S", -1},        {"IQ2_S", -1},          {"IQ4_XS", -1},
    {"I8", DTYPE_I8},     {"I16", DTYPE_I16},   {"I32", DTYPE_I32},     {"I64", DTYPE_I64},
    {"F64", DTYPE_F64},   {"IQ1_M", -1},        {"BF16", DTYPE_BF16},   {"Q4_0_4_4", -1},
    {"Q4_0_4_8", -1},     {"Q4_0_8_8", -1},     {"TQ1_0", DTYPE_TQ1_0}, {"TQ2_0", DTYPE_TQ2_0},
    {"IQ4_NL_4_4", -1},   {"IQ4_NL_4_8", -1},   {"IQ4_NL_8_8", -1},     {"MXFP4", -1},
};

static int find_kind(const struct gguf *file, struct tensor *tensor, uint64_t number)
{
    if (number >= sizeof kinds / sizeof kinds[0])
        return err_set(ERR_FORMAT, "%s: tensor '%s' is of the unknown type %" PRIu64, file->path,
                       tensor->name, number);
    if (kinds[number].dtype < 0)
        return err_set(ERR_FORMAT,
                       "%s: tensor '%s' is of type %s, which is not read here: F32, F16, BF16, "
                       "Q4_0 to Q8_0, Q2_K to Q6_K, TQ1_0 and TQ2_0 are; another GGUF of the same "
                       "model may have them",
                       file->path, tensor->name, kinds[number].name);
    tensor->dtype = (enum dtype)kinds[number].dtype;
    return 0;
}

/* Shape, type and size of a tensor whose dimensions, innermost first, are the next in the file. */
static int take_shape(struct gguf *file, struct tensor *tensor)
{
    int rc;
    uint64_t rank = 0, size = 0, kind = 0;
    TRY(gguf_take_number(file, 4, "a tensor's number of dimensions", &rank));
    if (rank > DIMENSIONS)
        return err_set(ERR_FORMAT, "%s: tensor '%s' has %" PRIu64 " dimensions, more than %d",
                       file->path, tensor->name, rank, DIMENSIONS);
    tensor->rank = (int)rank;
    tensor->count = 1;
    for (int i = tensor->rank - 1; i >= 0; i--) {
        TRY(gguf_take_number(file, 8, "a tensor's shape", &size));
        tensor->shape[i] = (size_t)size;
        if (__builtin_mul_overflow(tensor->count, size, &tensor->count))
            return err_set(ERR_FORMAT, "%s: tensor '%s': the product of its shape overflows",
                           file->path, tensor->name);
    }
    TRY(gguf_take_number(file, 4, "a tensor's type", &kind));
    TRY(find_kind(file, tensor, kind));
    size_t block = dtype_block(tensor->dtype), row = rank ? tensor->shape[rank - 1] : 1;
    if (row % block)
        return err_set(ERR_FORMAT,
                       "%s: tensor '%s': rows of %zu elements are no blocks of %zu (%s)",
                       file->path, tensor->name, row, block, dtype_name(tensor->dtype));
    if (__builtin_mul_overflow(tensor->count / block, dtype_size(tensor->dtype), &tensor->bytes))
        return err_set(ERR_FORMAT, "%s: tensor '%s': the size in bytes of its shape overflows",
                       file->path, tensor->name);
out:
    return rc;
}

/* The entries of the table; offsets[i] = where tensor i begins, counted from the data's beginning.
 */
static int take_tensors(struct gguf *file, uint64_t count, uint64_t *offsets)
{
    int rc = 0;
    for (uint64_t i = 0; i < count; i++) {
        struct tensor *tensor = &file->tensors[i];
        TRY(gguf_take_name(file, "a tensor's name", &tensor->name));
        tensor->file = file->path;
        TRY(take_shape(file, tensor));
        TRY(gguf_take_number(file, 8, "a tensor's offset", &offsets[i]));
        file->tensor_count++;
    }
out:
    return rc;
}

static int by_place(const void *left, const void *right)
{
    const struct tensor *const *a = left, *const *b = right;
    const uint8_t *from_a = (*a)->data, *from_b = (*b)->data;
    if (from_a != from_b)
        return from_a < from_b ? -1 : 1;
    return ((*a)->bytes > (*b)->bytes) - ((*a)->bytes < (*b)->bytes);
}

static int check_overlap(const struct gguf *file)
{
    int rc;
    const struct tensor **order = NULL;
    TRY(mem_calloc(&order, file->tensor_count, sizeof *order));
    for (size_t i = 0; i < file->tensor_count; i++)
        order[i] = &file->tensors[i];
    if (file->tensor_count)
        qsort(order, file->tensor_count, sizeof *order, by_place);
    for (size_t i = 1; rc == 0 && i < file->tensor_count; i++) {
        const uint8_t *end = (const uint8_t *)order[i - 1]->data + order[i - 1]->bytes;
        if ((const uint8_t *)order[i]->data < end)
            rc = err_set(ERR_FORMAT, "%s: tensors '%s' and '%s' overlap", file->path,
                         order[i - 1]->name, order[i]->name);
    }
out:
    mem_free(order);
    return rc;
}

static int place_tensors(struct gguf *file, const uint64_t *offsets)
{
    int64_t alignment = 0;
    int rc = gguf_int(file, "general.alignment", 1, ALIGNMENT_LIMIT, ALIGNMENT, &alignment);
    if (rc)
        return rc;
    if (alignment & (alignment - 1))
        return err_set(ERR_FORMAT, "%s: key 'general.alignment' is %" PRId64 ", no power of two",
                       file->path, alignment);
    size_t mask = (size_t)alignment - 1, start = (file->at + mask) & ~mask;
    size_t room = start < file->size ? file->size - start : 0;
    for (size_t i = 0; i < file->tensor_count; i++) {
        struct tensor *tensor = &file->tensors[i];
        if (offsets[i] & mask)
            return err_set(ERR_FORMAT,
                           "%s: tensor '%s' begins at data byte %" PRIu64
                           ", no multiple of %" PRId64,
                           file->path, tensor->name, offsets[i], alignment);
        if (offsets[i] > room || tensor->bytes > room - offsets[i])
            return err_set(ERR_FORMAT,
                           "%s: tensor '%s' takes %zu bytes from data byte %" PRIu64
                           ", past the file's %zu (truncated?)",
                           file->path, tensor->name, tensor->bytes, offsets[i], room);
        tensor->data = tensor->bytes ? file->data + start + offsets[i] : file->data;
    }
    return check_overlap(file);
}

int gguf_take_tensors(struct gguf *file, uint64_t count)
{
    int rc;
    uint64_t *offsets = NULL;
    TRY(mem_calloc(&file->tensors, (size_t)count, sizeof *file->tensors));
    TRY(mem_calloc(&offsets, (size_t)count, sizeof *offsets));
    TRY(take_tensors(file, count, offsets));
    TRY(place_tensors(file, offsets));
out:
    mem_free(offsets);
    return rc;
}
