/* Scratch memory: allocations that live until the arena is reset, so that numeric code has no
 * free() paths. */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
    struct arena_chunk *chunks;
};

/* *out = count * size bytes, 64-byte aligned, not zeroed. ERR_MEMORY on failure or overflow. */
int arena_alloc(struct arena *arena, void *out, size_t count, size_t size);
int arena_calloc(struct arena *arena, void *out, size_t count, size_t size);

/* A mark and a return to it free everything allocated since. A mark is NULL for an empty arena. */
struct arena_mark {
    struct arena_chunk *chunk;
    size_t used;
};
struct arena_mark arena_mark(const struct arena *arena);
void arena_reset(struct arena *arena, struct arena_mark mark);
void arena_release(struct arena *arena);

#endif
