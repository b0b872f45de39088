/* The memory of the pickle machine: its stack, and what it remembers. */
#ifndef MODEL_PICKLE_STACK_H
#define MODEL_PICKLE_STACK_H

#include "model/pickle_values.h"

/* Growing lists of values; zero-initialise, pickle_stack_release frees them, not the values. */
struct pickle_stack {
    struct value **items;
    size_t count, capacity;
    struct value **memo;
    size_t memo_count, memo_capacity;
};
void pickle_stack_release(struct pickle_stack *stack);

int pickle_push(struct pickle_stack *stack, struct value *value);
/* A copy of it, in place->memory. */
int pickle_push_new(struct pickle_stack *stack, const struct pickle_place *place,
                    const struct value *value);
/* *out = the topmost value, which is no mark; taken away, or left there. */
int pickle_pop(struct pickle_stack *stack, const struct pickle_place *place, struct value **out);
int pickle_peek(const struct pickle_stack *stack, const struct pickle_place *place,
                struct value **out);
/* *items = the `count` topmost values, lowest first, taken away; SIZE_MAX: all above the topmost
 * mark, which is taken away too. They are in place->memory. */
int pickle_pop_items(struct pickle_stack *stack, const struct pickle_place *place, size_t count,
                     struct value ***items, size_t *found);

/* The topmost value under a number: writers count 0, 1, 2, ... */
int pickle_remember(struct pickle_stack *stack, const struct pickle_place *place, uint64_t index);
/* Pushes what has that number. */
int pickle_recall(struct pickle_stack *stack, const struct pickle_place *place, uint64_t index);

#endif
