#include "linalg/select.h"

#include "core/err.h"
#include "core/pool.h"

#include <stdint.h>
#include <string.h>

/* The bits are decided in three passes from the top: 11, 11 and 10. */
enum { BUCKETS = 2048, CHUNK = 1 << 18 };

struct counting {
    const float *values;
    size_t count;
    uint32_t prefix, prefix_mask; /* the bits decided so far */
    int shift;
    uint32_t *counts; /* per task: BUCKETS */
};

static int count_chunk(void *context, int index, int worker)
{
    const struct counting *c = context;
    size_t start = (size_t)index * CHUNK, end = start + CHUNK < c->count ? start + CHUNK : c->count;
    uint32_t *counts = c->counts + (size_t)index * BUCKETS;
    memset(counts, 0, BUCKETS * sizeof *counts);
    for (size_t i = start; i < end; i++) {
        uint32_t bits;
        memcpy(&bits, c->values + i, sizeof bits);
        bits &= 0x7fffffffu; /* -0 is 0 */
        if ((bits & c->prefix_mask) == c->prefix)
            counts[bits >> c->shift & (BUCKETS - 1)]++;
    }
    (void)worker;
    return 0;
}

int select_rank(const float *values, size_t count, size_t rank, struct arena *arena, float *value)
{
    static const struct {
        int shift;
        uint32_t mask;
    } passes[3] = {{21, 0xffe00000u}, {10, 0xfffffc00u}, {0, 0xffffffffu}};
    struct counting c = {.values = values, .count = count};
    struct arena_mark mark = arena_mark(arena);
    int rc = 0, chunks = (int)((count + CHUNK - 1) / CHUNK);
    if (rank >= count)
        return err_set(ERR_INTERNAL, "rank %zu of %zu values", rank, count);
    TRY(arena_alloc(arena, &c.counts, (size_t)chunks * BUCKETS, sizeof *c.counts));
    for (int pass = 0; pass < 3; pass++) {
        c.shift = passes[pass].shift;
        TRY(pool_run(count_chunk, &c, chunks));
        uint32_t bucket = 0, buckets = pass == 2 ? 1024 : BUCKETS;
        for (; bucket < buckets; bucket++) {
            size_t here = 0;
            for (int i = 0; i < chunks; i++)
                here += c.counts[(size_t)i * BUCKETS + bucket + (pass == 2 ? (c.prefix & 0x400u) : 0)];
            if (rank < here)
                break;
            rank -= here;
        }
        c.prefix |= bucket << c.shift;
        c.prefix_mask = passes[pass].mask;
    }
    memcpy(value, &c.prefix, sizeof *value);
out:
    arena_reset(arena, mark);
    return rc;
}
