#include "core/arena.h"

#include "core/err.h"
#include "core/mem.h"

#include <stdint.h>
#include <string.h>

enum { ALIGNMENT = 64, CHUNK_BYTES = 1 << 20 };

struct arena_chunk {
    struct arena_chunk *previous;
    size_t size, used;
    unsigned char *data;
};

static int add_chunk(struct arena *arena, size_t bytes)
{
    struct arena_chunk *chunk;
    size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;
    int rc = mem_calloc(&chunk, 1, sizeof *chunk);
    if (rc)
        return rc;
    if ((rc = mem_alloc(&chunk->data, size, 1)) != 0) {
        mem_free(chunk);
        return rc;
    }
    chunk->size = size;
    chunk->previous = arena->chunks;
    arena->chunks = chunk;
    return 0;
}

int arena_alloc(struct arena *arena, void *out, size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - ALIGNMENT) / size)
        return err_set(ERR_MEMORY,
                       "out of memory: %zu elements of %zu bytes overflow the address space", count,
                       size);
    size_t bytes = (count * size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < bytes) {
        int rc = add_chunk(arena, bytes);
        if (rc)
            return rc;
        chunk = arena->chunks;
    }
    void *pointer = chunk->data + chunk->used;
    chunk->used += bytes;
    memcpy(out, &pointer, sizeof pointer);
    return 0;
}

int arena_calloc(struct arena *arena, void *out, size_t count, size_t size)
{
    int rc = arena_alloc(arena, out, count, size);
    if (rc == 0) {
        void *pointer;
        memcpy(&pointer, out, sizeof pointer);
        memset(pointer, 0, count * size);
    }
    return rc;
}

struct arena_mark arena_mark(const struct arena *arena)
{
    return (struct arena_mark){arena->chunks, arena->chunks ? arena->chunks->used : 0};
}

void arena_reset(struct arena *arena, struct arena_mark mark)
{
    while (arena->chunks != mark.chunk) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->previous;
        mem_free(chunk->data);
        mem_free(chunk);
    }
    if (arena->chunks)
        arena->chunks->used = mark.used;
}

void arena_release(struct arena *arena)
{
    arena_reset(arena, (struct arena_mark){0});
}
