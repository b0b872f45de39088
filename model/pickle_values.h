/* Between pickle.c, the machine, and pickle_values.c, what its functions give. */
#ifndef MODEL_PICKLE_VALUES_H
#define MODEL_PICKLE_VALUES_H

#include "model/pickle.h"

#include <stdbool.h>

enum value_kind {
    VALUE_MARK,  /* where a tuple or a run of items begins */
    VALUE_OTHER, /* None, numbers with a fraction, lists: their content does not matter */
    VALUE_INTEGER,
    VALUE_TEXT,
    VALUE_TUPLE,
    VALUE_DICTIONARY,
    VALUE_FUNCTION,
    VALUE_STORAGE_TYPE,
    VALUE_STORAGE,
    VALUE_TENSOR
};

enum pickle_function { MAKE_DICTIONARY, MAKE_TENSOR, MAKE_PARAMETER };

struct value {
    enum value_kind kind;
    int64_t number;       /* integer, storage: elements; function: which; storage type: its dtype */
    const uint8_t *bytes; /* text; storage: its name */
    size_t size;          /* of bytes; of a tuple, its items */
    struct value **items;
    struct pickle_pair *first, *last; /* of a dictionary */
    struct pickle_tensor *tensor;
    enum dtype dtype; /* of a storage */
};

struct pickle_pair {
    struct value *key, *value;
    struct pickle_pair *next;
};

/* What the values' functions need of the machine. */
struct pickle_place {
    const char *path;
    size_t at; /* the opcode's byte, for messages */
    struct arena *memory;
};

/* Each gives *out from what the pickle holds, or ERR_FORMAT. */
int pickle_global(const struct pickle_place *place, const uint8_t *module, size_t module_size,
                  const uint8_t *name, size_t name_size, struct value *out);
int pickle_storage(const struct pickle_place *place, const struct value *id, struct value *out);
int pickle_call(const struct pickle_place *place, const struct value *function,
                const struct value *arguments, struct value **out);

#endif
