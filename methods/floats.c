#include "methods/floats.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/dtype.h"

#include <math.h>

static int details_array(const struct packed *details, const char *name, const float **values,
                         size_t shape[2])
{
    const struct packed_array *array = packed_find(details, name);
    if (!array || array->type != ARRAY_F32)
        return err_set(ERR_INTERNAL, "the layer's details have no float array '%s'", name);
    shape[0] = array->shape[0];
    shape[1] = array->shape[1];
    *values = array->data;
    return 0;
}

int floats_pack(const struct packed *details, const char *name, enum bit_category category,
                bool half, struct packed *packed)
{
    const float *from = NULL;
    size_t shape[2] = {0};
    void *to;
    int rc = 0;
    TRY(details_array(details, name, &from, shape));
    TRY(packed_add(packed, name, half ? ARRAY_F16 : ARRAY_F32, category, shape[0], shape[1], &to));
    TRY(dtype_from_float(half ? DTYPE_F16 : DTYPE_F32, from, shape[0] * shape[1], to));
out:
    return rc;
}

int floats_pack_codes(const struct packed *details, const char *name, struct packed *packed)
{
    const float *from = NULL;
    size_t shape[2] = {0};
    uint8_t *to;
    int rc = 0;
    TRY(details_array(details, name, &from, shape));
    for (size_t i = 0; i < shape[0] * shape[1]; i++)
        if (!(from[i] >= 0 && from[i] <= 255 && from[i] == floorf(from[i])))
            return floats_pack(details, name, BITS_ZEROS, false, packed);
    TRY(packed_add(packed, name, ARRAY_U8, BITS_ZEROS, shape[0], shape[1], &to));
    for (size_t i = 0; i < shape[0] * shape[1]; i++)
        to[i] = (uint8_t)(int)from[i];
out:
    return rc;
}

int floats_open(const struct packed *packed, const char *name, size_t rows, size_t columns,
                bool wanted, float **values)
{
    const struct packed_array *array = packed_find(packed, name);
    int rc = mem_calloc(values, rows * columns, sizeof **values);
    if (rc || !wanted)
        return rc;
    if (!array || array->shape[0] != rows || array->shape[1] != columns)
        return err_set(ERR_FORMAT, "the packed layer has no array '%s' of %zu x %zu", name, rows,
                       columns);
    if (array->type == ARRAY_U8) {
        for (size_t i = 0; i < rows * columns; i++)
            (*values)[i] = (float)((const uint8_t *)array->data)[i];
        return 0;
    }
    if (array->type != ARRAY_F32 && array->type != ARRAY_F16)
        return err_set(ERR_FORMAT, "packed array '%s' holds neither floats nor bytes", name);
    return dtype_to_float(array->type == ARRAY_F16 ? DTYPE_F16 : DTYPE_F32, array->data,
                          rows * columns, *values);
}
