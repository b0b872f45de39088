/* One tensor: its shape checked, its values converted. */
#include "core/err.h"
#include "model/tensor_part.h"

#include <stdio.h>
#include <string.h>

int tensor_check_shape(const struct tensor *tensor, size_t rows, size_t columns)
{
    char shape[TENSOR_MAX_RANK * 24 + 8] = "";
    int rank = columns ? 2 : 1;
    if (tensor->rank == rank && tensor->shape[0] == rows &&
        (rank == 1 || tensor->shape[1] == columns))
        return 0;
    for (int i = 0, used = 0; i < tensor->rank; i++)
        used += snprintf(shape + used, sizeof shape - (size_t)used, i ? " x %zu" : "%zu",
                         tensor->shape[i]);
    if (columns)
        return err_set(ERR_FORMAT, "%s: tensor '%s' has shape (%s), where (%zu x %zu) is needed",
                       tensor->file, tensor->name, shape, rows, columns);
    return err_set(ERR_FORMAT, "%s: tensor '%s' has shape (%s), where (%zu) is needed",
                   tensor->file, tensor->name, shape, rows);
}

bool tensor_is_plain(const struct tensor *tensor)
{
    return !tensor->view && tensor->dtype < DTYPE_FIRST_BLOCK;
}

/* Gets `count` elements that lie together, from the element `from` of the data on; they are the
 * tensor's elements from number `to` on. */
typedef int take_run(const struct tensor *tensor, size_t from, size_t count, void *out, size_t to);

/* Runs of the view's innermost dimension, one after the other. */
static int each_run(const struct tensor *tensor, take_run *take, void *out)
{
    const struct tensor_view *view = tensor->view;
    if (!view)
        return take(tensor, 0, tensor->count, out, 0);
    const int last = view->rank - 1;
    const size_t run = view->stride[last] == 1 ? view->shape[last] : 1;
    size_t index[TENSOR_MAX_RANK] = {0}, at = 0;
    for (size_t done = 0; done < tensor->count; done += run) {
        int rc = take(tensor, at, run, out, done);
        if (rc)
            return rc;
        int d = run > 1 || view->shape[last] == 1 ? last - 1 : last;
        for (; d >= 0; d--) { /* the next index, like an odometer */
            at += view->stride[d];
            if (++index[d] < view->shape[d])
                break;
            at -= index[d] * view->stride[d];
            index[d] = 0;
        }
    }
    return 0;
}

static const uint8_t *bytes_at(const struct tensor *tensor, size_t element)
{
    const uint8_t *bytes = tensor->data;
    return bytes + element / dtype_block(tensor->dtype) * dtype_size(tensor->dtype);
}

static int take_floats(const struct tensor *tensor, size_t from, size_t count, void *out, size_t to)
{
    return dtype_to_float(tensor->dtype, bytes_at(tensor, from), count, (float *)out + to);
}

static int take_bytes(const struct tensor *tensor, size_t from, size_t count, void *out, size_t to)
{
    const size_t size = dtype_size(tensor->dtype), block = dtype_block(tensor->dtype);
    memcpy((uint8_t *)out + to / block * size, bytes_at(tensor, from), count / block * size);
    return 0;
}

int tensor_to_float(const struct tensor *tensor, float *out)
{
    int rc = each_run(tensor, take_floats, out);
    return rc ? err_prefix(rc, "%s: tensor '%s'", tensor->file, tensor->name) : 0;
}

int tensor_to_bytes(const struct tensor *tensor, void *out)
{
    const size_t block = dtype_block(tensor->dtype);
    const struct tensor_view *view = tensor->view;
    if (view && block > 1 &&
        (view->stride[view->rank - 1] != 1 || view->shape[view->rank - 1] % block))
        return err_set(ERR_FORMAT, "%s: tensor '%s': its blocks do not lie in rows", tensor->file,
                       tensor->name);
    return each_run(tensor, take_bytes, out);
}

/* *value = element `index` of an integer tensor; unsigned 64-bit values beyond int64 come out as
 * INT64_MAX. */
static int integer_at(const struct tensor *tensor, size_t index, int64_t *value)
{
    size_t size = dtype_size(tensor->dtype);
    uint64_t bits = 0;
    if (!tensor_is_plain(tensor) || size > sizeof bits)
        return err_set(ERR_FORMAT, "%s: tensor '%s' does not lie in the file as whole numbers",
                       tensor->file, tensor->name);
    memcpy(&bits, (const uint8_t *)tensor->data + index * size, size);
    switch (tensor->dtype) {
    case DTYPE_I8: *value = (int8_t)bits; return 0;
    case DTYPE_I16: *value = (int16_t)bits; return 0;
    case DTYPE_I32: *value = (int32_t)bits; return 0;
    case DTYPE_I64: *value = (int64_t)bits; return 0;
    case DTYPE_BOOL:
    case DTYPE_U8:
    case DTYPE_U16:
    case DTYPE_U32:
    case DTYPE_U64: *value = bits > INT64_MAX ? INT64_MAX : (int64_t)bits; return 0;
    default:
        return err_set(ERR_FORMAT, "%s: tensor '%s' is %s, where whole numbers are needed",
                       tensor->file, tensor->name, dtype_name(tensor->dtype));
    }
}

int tensor_to_int32(const struct tensor *tensor, int32_t *out)
{
    for (size_t i = 0; i < tensor->count; i++) {
        int64_t value = 0;
        int rc = integer_at(tensor, i, &value);
        if (rc)
            return rc;
        if (value < INT32_MIN || value > INT32_MAX)
            return err_set(ERR_FORMAT, "%s: tensor '%s': element %zu is beyond 32 bits",
                           tensor->file, tensor->name, i);
        out[i] = (int32_t)value;
    }
    return 0;
}

int tensor_split_pairs(struct tensor *tensor, size_t heads, struct arena *memory)
{
    struct tensor_view *view;
    const size_t columns = tensor->rank == 2 ? tensor->shape[1] : 1;
    if (tensor->rank < 1 || tensor->rank > 2 || tensor->shape[0] % (2 * heads))
        return 0; /* the family refuses the shape */
    int rc = arena_alloc(memory, &view, 1, sizeof *view);
    if (rc)
        return rc;
    const size_t head_size = tensor->shape[0] / heads;
    *view = (struct tensor_view){.rank = tensor->rank + 2,
                                 .shape = {heads, 2, head_size / 2, columns},
                                 .stride = {head_size * columns, columns, 2 * columns, 1}};
    tensor->view = view;
    return 0;
}
