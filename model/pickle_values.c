#include "model/pickle_values.h"

#include "core/err.h"
#include "model/tensor_part.h"

#include <inttypes.h>
#include <string.h>

/* ---- names: of modules, functions and classes ---- */

static const struct {
    const char *module, *name;
    enum value_kind kind;
    int which; /* enum pickle_function, enum dtype */
} known[] = {
    {"collections", "OrderedDict", VALUE_FUNCTION, MAKE_DICTIONARY},
    {"torch._utils", "_rebuild_tensor_v2", VALUE_FUNCTION, MAKE_TENSOR},
    {"torch._utils", "_rebuild_parameter", VALUE_FUNCTION, MAKE_PARAMETER},
    {"torch", "FloatStorage", VALUE_STORAGE_TYPE, DTYPE_F32},
    {"torch", "HalfStorage", VALUE_STORAGE_TYPE, DTYPE_F16},
    {"torch", "BFloat16Storage", VALUE_STORAGE_TYPE, DTYPE_BF16},
    {"torch", "DoubleStorage", VALUE_STORAGE_TYPE, DTYPE_F64},
    {"torch", "LongStorage", VALUE_STORAGE_TYPE, DTYPE_I64},
    {"torch", "IntStorage", VALUE_STORAGE_TYPE, DTYPE_I32},
    {"torch", "ShortStorage", VALUE_STORAGE_TYPE, DTYPE_I16},
    {"torch", "CharStorage", VALUE_STORAGE_TYPE, DTYPE_I8},
    {"torch", "ByteStorage", VALUE_STORAGE_TYPE, DTYPE_U8},
    {"torch", "BoolStorage", VALUE_STORAGE_TYPE, DTYPE_BOOL},
};

static bool same(const uint8_t *bytes, size_t size, const char *text)
{
    return strlen(text) == size && memcmp(bytes, text, size) == 0;
}

static int shown(size_t size)
{
    return size < 80 ? (int)size : 80;
}

int pickle_global(const struct pickle_place *place, const uint8_t *module, size_t module_size,
                  const uint8_t *name, size_t name_size, struct value *out)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (same(module, module_size, known[i].module) && same(name, name_size, known[i].name)) {
            *out = (struct value){.kind = known[i].kind, .number = known[i].which};
            return 0;
        }
    return err_set(ERR_FORMAT,
                   "%s: the pickle asks for '%.*s.%.*s' at byte %zu: only tensors in a dictionary "
                   "are read, nothing is run; save the model as safetensors instead",
                   place->path, shown(module_size), (const char *)module, shown(name_size),
                   (const char *)name, place->at);
}

/* ---- storages: ('storage', type, name, device, elements) ---- */

int pickle_storage(const struct pickle_place *place, const struct value *id, struct value *out)
{
    struct value **items = id->items;
    if (id->kind != VALUE_TUPLE || id->size < 5 || items[0]->kind != VALUE_TEXT ||
        !same(items[0]->bytes, items[0]->size, "storage") || items[1]->kind != VALUE_STORAGE_TYPE ||
        items[2]->kind != VALUE_TEXT || items[4]->kind != VALUE_INTEGER || items[4]->number < 0)
        return err_set(ERR_FORMAT,
                       "%s: the pickle refers to something at byte %zu that is no storage of a "
                       "tensor",
                       place->path, place->at);
    *out = (struct value){.kind = VALUE_STORAGE,
                          .number = items[4]->number,
                          .bytes = items[2]->bytes,
                          .size = items[2]->size,
                          .dtype = (enum dtype)items[1]->number};
    return 0;
}

/* ---- functions ---- */

static int wrong_arguments(const struct pickle_place *place, const char *function)
{
    return err_set(ERR_FORMAT, "%s: %s at byte %zu of the pickle has arguments it cannot have",
                   place->path, function, place->at);
}

static int read_sizes(const struct value *tuple, uint64_t out[TENSOR_MAX_RANK])
{
    for (size_t i = 0; i < tuple->size; i++) {
        if (tuple->items[i]->kind != VALUE_INTEGER || tuple->items[i]->number < 0)
            return -1;
        out[i] = (uint64_t)tuple->items[i]->number;
    }
    return 0;
}

/* (storage, offset, sizes, strides, requires_grad, hooks): the last two do not matter. */
static int make_tensor(const struct pickle_place *place, const struct value *arguments,
                       struct value *out)
{
    struct value **a = arguments->items;
    struct pickle_tensor *tensor;
    int rc;
    if (arguments->size < 4 || a[0]->kind != VALUE_STORAGE || a[1]->kind != VALUE_INTEGER ||
        a[1]->number < 0 || a[2]->kind != VALUE_TUPLE || a[3]->kind != VALUE_TUPLE ||
        a[2]->size != a[3]->size || a[2]->size > TENSOR_MAX_RANK)
        return wrong_arguments(place, "_rebuild_tensor_v2");
    TRY(arena_calloc(place->memory, &tensor, 1, sizeof *tensor));
    tensor->dtype = a[0]->dtype;
    tensor->storage_count = (uint64_t)a[0]->number;
    tensor->offset = (uint64_t)a[1]->number;
    tensor->rank = (int)a[2]->size;
    if (read_sizes(a[2], tensor->shape) || read_sizes(a[3], tensor->stride))
        return wrong_arguments(place, "_rebuild_tensor_v2");
    TRY(tensor_name_copy(place->memory, place->path, "a storage's name", (const char *)a[0]->bytes,
                         a[0]->size, &tensor->storage));
    *out = (struct value){.kind = VALUE_TENSOR, .tensor = tensor};
out:
    return rc;
}

int pickle_call(const struct pickle_place *place, const struct value *function,
                const struct value *arguments, struct value **out)
{
    int rc;
    struct value *made;
    if (function->kind != VALUE_FUNCTION || arguments->kind != VALUE_TUPLE)
        return err_set(ERR_FORMAT, "%s: REDUCE at byte %zu of the pickle calls no function",
                       place->path, place->at);
    if (function->number == MAKE_PARAMETER) {
        if (arguments->size < 1 || arguments->items[0]->kind != VALUE_TENSOR)
            return wrong_arguments(place, "_rebuild_parameter");
        *out = arguments->items[0];
        return 0;
    }
    TRY(arena_calloc(place->memory, &made, 1, sizeof *made));
    if (function->number == MAKE_TENSOR)
        TRY(make_tensor(place, arguments, made));
    else if (arguments->size == 0)
        made->kind = VALUE_DICTIONARY;
    else
        return wrong_arguments(place, "OrderedDict");
    *out = made;
out:
    return rc;
}
