/* A set of strings, of which the longest that a text begins with is wanted. */
#ifndef MODEL_PREFIX_SET_H
#define MODEL_PREFIX_SET_H

#include <stddef.h>
#include <stdint.h>

struct prefix_set {
    struct prefix_item {
        const char *text;
        size_t size;
        int32_t value;
    } * items; /* in the order of their bytes, once prefix_set_prepare was called */
    size_t count, capacity;
    size_t first[257]; /* items whose first byte is b: first[b] .. first[b + 1] - 1 */
};

/* Zero-initialise. The text is borrowed, and not empty. */
int prefix_set_add(struct prefix_set *set, const char *text, size_t size, int32_t value);
void prefix_set_prepare(struct prefix_set *set);
/* NULL: the text, size > 0, begins with none of them. */
const struct prefix_item *prefix_set_find(const struct prefix_set *set, const char *text,
                                          size_t size);
void prefix_set_release(struct prefix_set *set);

#endif
