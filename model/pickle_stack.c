#include "model/pickle_stack.h"

#include "core/err.h"
#include "core/mem.h"

#include <inttypes.h>
#include <string.h>

void pickle_stack_release(struct pickle_stack *stack)
{
    mem_free(stack->items);
    mem_free(stack->memo);
    *stack = (struct pickle_stack){0};
}

/* list[count] = value, with room made for it. */
static int append(struct value ***list, size_t count, size_t *capacity, struct value *value)
{
    if (count == *capacity) {
        size_t more = *capacity ? 2 * *capacity : 256;
        int rc = mem_resize(list, *capacity, more, sizeof **list);
        if (rc)
            return rc;
        *capacity = more;
    }
    (*list)[count] = value;
    return 0;
}

int pickle_push(struct pickle_stack *stack, struct value *value)
{
    int rc = append(&stack->items, stack->count, &stack->capacity, value);
    stack->count += rc == 0;
    return rc;
}

int pickle_push_new(struct pickle_stack *stack, const struct pickle_place *place,
                    const struct value *value)
{
    struct value *copy;
    int rc = arena_alloc(place->memory, &copy, 1, sizeof *copy);
    if (rc)
        return rc;
    *copy = *value;
    return pickle_push(stack, copy);
}

static int underflow(const struct pickle_place *place)
{
    return err_set(ERR_FORMAT, "%s: the pickle takes more from its stack than there is at byte %zu",
                   place->path, place->at);
}

int pickle_peek(const struct pickle_stack *stack, const struct pickle_place *place,
                struct value **out)
{
    if (!stack->count || stack->items[stack->count - 1]->kind == VALUE_MARK)
        return underflow(place);
    *out = stack->items[stack->count - 1];
    return 0;
}

int pickle_pop(struct pickle_stack *stack, const struct pickle_place *place, struct value **out)
{
    int rc = pickle_peek(stack, place, out);
    stack->count -= rc == 0;
    return rc;
}

int pickle_pop_items(struct pickle_stack *stack, const struct pickle_place *place, size_t count,
                     struct value ***items, size_t *found)
{
    const bool to_mark = count == SIZE_MAX;
    size_t first = stack->count, size;
    struct value **list;
    while (first > 0 && stack->count - first < count && stack->items[first - 1]->kind != VALUE_MARK)
        first--;
    size = stack->count - first;
    if (to_mark ? first == 0 : size < count)
        return underflow(place);
    int rc = arena_alloc(place->memory, &list, size ? size : 1, sizeof *list);
    if (rc)
        return rc;
    for (size_t i = 0; i < size; i++)
        list[i] = stack->items[first + i];
    stack->count = first - to_mark;
    *items = list;
    *found = size;
    return 0;
}

int pickle_remember(struct pickle_stack *stack, const struct pickle_place *place, uint64_t index)
{
    struct value *value = NULL;
    int rc = pickle_peek(stack, place, &value);
    if (rc)
        return rc;
    if (index > stack->memo_count)
        return err_set(ERR_FORMAT,
                       "%s: the pickle remembers something as number %" PRIu64 " at byte %zu, but "
                       "has remembered only %zu before",
                       place->path, index, place->at, stack->memo_count);
    if (index < stack->memo_count) {
        stack->memo[index] = value;
        return 0;
    }
    rc = append(&stack->memo, stack->memo_count, &stack->memo_capacity, value);
    stack->memo_count += rc == 0;
    return rc;
}

int pickle_recall(struct pickle_stack *stack, const struct pickle_place *place, uint64_t index)
{
    if (index >= stack->memo_count)
        return err_set(ERR_FORMAT,
                       "%s: the pickle asks for number %" PRIu64 " at byte %zu, but has remembered "
                       "%zu",
                       place->path, index, place->at, stack->memo_count);
    return pickle_push(stack, stack->memo[index]);
}
