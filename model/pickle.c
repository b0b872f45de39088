#include "model/pickle.h"

#include "core/err.h"
#include "model/pickle_stack.h"
#include "model/tensor_part.h"

#include <stdio.h>
#include <string.h>

/* More than any model needs, at some 200 bytes a tensor; it bounds the memory that reading takes.
 */
enum { PICKLE_LIMIT = 4 << 20 };

/* Values lie in place.memory. */
struct machine {
    const uint8_t *bytes;
    size_t size, at;
    struct pickle_place place;
    struct pickle_stack stack;
};

static int push_new(struct machine *m, const struct value *value)
{
    return pickle_push_new(&m->stack, &m->place, value);
}

static int push_kind(struct machine *m, enum value_kind kind)
{
    return push_new(m, &(struct value){.kind = kind});
}

static int push_integer(struct machine *m, int64_t number)
{
    return push_new(m, &(struct value){.kind = VALUE_INTEGER, .number = number});
}

static int pop(struct machine *m, struct value **out)
{
    return pickle_pop(&m->stack, &m->place, out);
}

/* ---- reading the bytes ---- */

static int take(struct machine *m, size_t size, const uint8_t **out)
{
    if (size > m->size - m->at)
        return err_set(ERR_FORMAT, "%s: the pickle ends within the opcode at byte %zu (truncated?)",
                       m->place.path, m->place.at);
    *out = m->bytes + m->at;
    m->at += size;
    return 0;
}

/* A little-endian number of 0 to 8 bytes. */
static int take_number(struct machine *m, size_t size, uint64_t *out)
{
    const uint8_t *bytes = NULL;
    int rc = take(m, size, &bytes);
    uint64_t value = 0;
    for (size_t i = size; rc == 0 && i > 0; i--)
        value = value << 8 | bytes[i - 1];
    *out = value;
    return rc;
}

/* The same in two's complement. */
static int take_integer(struct machine *m, size_t size, int64_t *out)
{
    uint64_t bits = 0;
    int rc = take_number(m, size, &bits);
    if (size > 0 && size < 8 && bits >> (8 * size - 1))
        bits |= ~UINT64_C(0) << 8 * size;
    *out = (int64_t)bits;
    return rc;
}

static int take_text(struct machine *m, size_t length_bytes)
{
    uint64_t size = 0;
    struct value text = {.kind = VALUE_TEXT};
    int rc = take_number(m, length_bytes, &size);
    if (rc == 0)
        rc = take(m, (size_t)size, &text.bytes);
    text.size = (size_t)size;
    return rc ? rc : push_new(m, &text);
}

static int take_line(struct machine *m, const uint8_t **line, size_t *size)
{
    const uint8_t *end = memchr(m->bytes + m->at, '\n', m->size - m->at);
    *size = end ? (size_t)(end - (m->bytes + m->at)) : m->size - m->at;
    int rc = take(m, *size + 1, line);
    return rc;
}

/* ---- opcodes ---- */

static int do_global(struct machine *m)
{
    const uint8_t *module = NULL, *name = NULL;
    size_t module_size = 0, name_size = 0;
    struct value value;
    int rc;
    TRY(take_line(m, &module, &module_size));
    TRY(take_line(m, &name, &name_size));
    TRY(pickle_global(&m->place, module, module_size, name, name_size, &value));
    TRY(push_new(m, &value));
out:
    return rc;
}

static int do_storage(struct machine *m)
{
    struct value *id = NULL, storage;
    int rc;
    TRY(pop(m, &id));
    TRY(pickle_storage(&m->place, id, &storage));
    TRY(push_new(m, &storage));
out:
    return rc;
}

static int do_call(struct machine *m)
{
    struct value *function = NULL, *arguments = NULL, *made = NULL;
    int rc;
    TRY(pop(m, &arguments));
    TRY(pop(m, &function));
    TRY(pickle_call(&m->place, function, arguments, &made));
    TRY(pickle_push(&m->stack, made));
out:
    return rc;
}

static int do_tuple(struct machine *m, size_t count)
{
    struct value tuple = {.kind = VALUE_TUPLE};
    int rc = pickle_pop_items(&m->stack, &m->place, count, &tuple.items, &tuple.size);
    return rc ? rc : push_new(m, &tuple);
}

/* Pairs into the dictionary below them; or items into a list, which are dropped. */
static int do_items(struct machine *m, size_t count, bool pairs)
{
    struct value **items = NULL, *target = NULL;
    size_t found = 0;
    int rc;
    TRY(pickle_pop_items(&m->stack, &m->place, count, &items, &found));
    TRY(pickle_peek(&m->stack, &m->place, &target));
    if (target->kind != (pairs ? VALUE_DICTIONARY : VALUE_OTHER) || (pairs && found % 2))
        return err_set(ERR_FORMAT,
                       "%s: items are put into something at byte %zu of the pickle that is no %s",
                       m->place.path, m->place.at, pairs ? "dictionary" : "list");
    for (size_t i = 0; pairs && i < found; i += 2) {
        struct pickle_pair *pair;
        TRY(arena_alloc(m->place.memory, &pair, 1, sizeof *pair));
        *pair = (struct pickle_pair){items[i], items[i + 1], NULL};
        if (target->last)
            target->last->next = pair;
        else
            target->first = pair;
        target->last = pair;
    }
out:
    return rc;
}

/* Attributes of an OrderedDict, such as torch's _metadata: dropped. */
static int do_attributes(struct machine *m)
{
    struct value *state = NULL, *target = NULL;
    int rc;
    TRY(pop(m, &state));
    TRY(pickle_peek(&m->stack, &m->place, &target));
    if (target->kind != VALUE_DICTIONARY)
        rc = err_set(ERR_FORMAT,
                     "%s: BUILD at byte %zu of the pickle, on something other than a "
                     "dictionary",
                     m->place.path, m->place.at);
out:
    return rc;
}

static int do_memo(struct machine *m, uint8_t opcode)
{
    uint64_t index = 0;
    const bool small = opcode == 'q' || opcode == 'h';
    int rc = take_number(m, small ? 1 : 4, &index);
    if (rc)
        return rc;
    return opcode == 'q' || opcode == 'r' ? pickle_remember(&m->stack, &m->place, index)
                                          : pickle_recall(&m->stack, &m->place, index);
}

static int do_number(struct machine *m, uint8_t opcode)
{
    uint64_t size = 1;
    int64_t number = 0;
    int rc;
    const uint8_t *skipped = NULL;
    switch (opcode) {
    case 'J': /* BININT */ TRY(take_integer(m, 4, &number)); break;
    case 'K': /* BININT1 */
    case 'M': /* BININT2 */ TRY(take_number(m, opcode == 'K' ? 1 : 2, (uint64_t *)&number)); break;
    case 'G': /* BINFLOAT */ TRY(take(m, 8, &skipped)); return push_kind(m, VALUE_OTHER);
    default: /* LONG1 */
        TRY(take_number(m, 1, &size));
        if (size > 8)
            return err_set(ERR_FORMAT, "%s: a number of %d bytes at byte %zu of the pickle",
                           m->place.path, (int)size, m->place.at);
        TRY(take_integer(m, (size_t)size, &number));
    }
    TRY(push_integer(m, number));
out:
    return rc;
}

static int unknown_opcode(const struct machine *m, uint8_t opcode)
{
    char printable[8] = "";
    if (opcode > 0x20 && opcode < 0x7f)
        snprintf(printable, sizeof printable, " ('%c')", opcode);
    return err_set(ERR_FORMAT,
                   "%s: opcode 0x%02x%s at byte %zu of the pickle is none that torch.save writes "
                   "for tensors: save the model as safetensors instead",
                   m->place.path, opcode, printable, m->place.at);
}

static int step(struct machine *m, uint8_t opcode)
{
    const uint8_t *skipped = NULL;
    switch (opcode) {
    case 0x80: /* PROTO */ return take(m, 1, &skipped);
    case '(': return push_kind(m, VALUE_MARK);
    case ')': return push_kind(m, VALUE_TUPLE);
    case '}': return push_kind(m, VALUE_DICTIONARY);
    case ']':
    case 'N': return push_kind(m, VALUE_OTHER);
    case 0x88: /* NEWTRUE */
    case 0x89: /* NEWFALSE */ return push_integer(m, opcode == 0x88);
    case 'J':
    case 'K':
    case 'M':
    case 'G':
    case 0x8a: return do_number(m, opcode);
    case 'X': /* BINUNICODE */ return take_text(m, 4);
    case 'T': /* BINSTRING */ return take_text(m, 4);
    case 'U': /* SHORT_BINSTRING */ return take_text(m, 1);
    case 'c': /* GLOBAL */ return do_global(m);
    case 'Q': /* BINPERSID */ return do_storage(m);
    case 'R': /* REDUCE */ return do_call(m);
    case 'b': /* BUILD */ return do_attributes(m);
    case 't': /* TUPLE */ return do_tuple(m, SIZE_MAX);
    case 0x85: /* TUPLE1 to TUPLE3 */
    case 0x86:
    case 0x87: return do_tuple(m, (size_t)opcode - 0x84);
    case 's': /* SETITEM */ return do_items(m, 2, true);
    case 'u': /* SETITEMS */ return do_items(m, SIZE_MAX, true);
    case 'a': /* APPEND */ return do_items(m, 1, false);
    case 'e': /* APPENDS */ return do_items(m, SIZE_MAX, false);
    case 'q': /* BINPUT */
    case 'r': /* LONG_BINPUT */
    case 'h': /* BINGET */
    case 'j': /* LONG_BINGET */ return do_memo(m, opcode);
    default: return unknown_opcode(m, opcode);
    }
}

/* Opcodes up to STOP; *out = the one value that is left. */
static int run(struct machine *m, struct value **out)
{
    int rc = 0;
    while (m->at < m->size) {
        m->place.at = m->at;
        uint8_t opcode = m->bytes[m->at++];
        if (opcode == '.') {
            TRY(pop(m, out));
            if (m->stack.count)
                rc = err_set(ERR_FORMAT, "%s: the pickle leaves more than one value behind",
                             m->place.path);
            return rc;
        }
        TRY(step(m, opcode));
    }
    rc = err_set(ERR_FORMAT, "%s: the pickle has no end (truncated?)", m->place.path);
out:
    return rc;
}

/* ---- the dictionary ---- */

static int gather(const struct machine *m, const struct value *dictionary,
                  struct pickle_tensor **out, size_t *count)
{
    int rc = 0;
    size_t found = 0;
    struct pickle_tensor *tensors;
    if (dictionary->kind != VALUE_DICTIONARY)
        return err_set(ERR_FORMAT, "%s: the pickle holds no dictionary of tensors", m->place.path);
    for (const struct pickle_pair *pair = dictionary->first; pair; pair = pair->next)
        found++;
    TRY(arena_alloc(m->place.memory, &tensors, found + 1, sizeof *tensors));
    found = 0;
    for (const struct pickle_pair *pair = dictionary->first; pair; pair = pair->next) {
        const char *name = NULL;
        if (pair->key->kind != VALUE_TEXT)
            return err_set(ERR_FORMAT, "%s: a key of the pickle's dictionary is no text",
                           m->place.path);
        TRY(tensor_name_copy(m->place.memory, m->place.path, "a tensor's name",
                             (const char *)pair->key->bytes, pair->key->size, &name));
        if (pair->value->kind != VALUE_TENSOR)
            return err_set(ERR_FORMAT,
                           "%s: '%s' is no tensor: the file has to hold a model's state_dict, a "
                           "dictionary of tensors, and nothing else",
                           m->place.path, name);
        tensors[found] = *pair->value->tensor;
        tensors[found++].name = name;
    }
    *out = tensors;
    *count = found;
out:
    return rc;
}

int pickle_read(const uint8_t *bytes, size_t size, const char *path, struct arena *memory,
                struct pickle_tensor **out, size_t *count)
{
    int rc;
    struct value *result = NULL;
    struct machine m = {.bytes = bytes, .size = size, .place = {.path = path, .memory = memory}};
    if (size > PICKLE_LIMIT)
        return err_set(ERR_FORMAT, "%s: a pickle of %zu bytes: at most %d are read", path, size,
                       PICKLE_LIMIT);
    TRY(run(&m, &result));
    TRY(gather(&m, result, out, count));
out:
    pickle_stack_release(&m.stack);
    return rc;
}
