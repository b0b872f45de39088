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
                here +=
                    c.counts[(size_t)i * BUCKETS + bucket + (pass == 2 ? (c.prefix & 0x400u) : 0)];
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

/* ---- sorting: least significant digits first, 11 bits at a time, chunks of fixed size ---- */

enum { SORT_CHUNK = 1 << 16, SORT_BITS = 11 };

struct sorting {
    const float *from;
    float *to;
    size_t count;
    int shift;
    uint32_t *counts; /* per chunk: BUCKETS; then where the chunk's next element of a bucket goes */
};

static inline uint32_t digit(float value, int shift)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & 0x7fffffffu) >> shift & (BUCKETS - 1);
}

static int count_digits(void *context, int index, int worker)
{
    const struct sorting *s = context;
    size_t start = (size_t)index * SORT_CHUNK,
           end = start + SORT_CHUNK < s->count ? start + SORT_CHUNK : s->count;
    uint32_t *counts = s->counts + (size_t)index * BUCKETS;
    memset(counts, 0, BUCKETS * sizeof *counts);
    for (size_t i = start; i < end; i++)
        counts[digit(s->from[i], s->shift)]++;
    return 0;
}

static int move_digits(void *context, int index, int worker)
{
    const struct sorting *s = context;
    size_t start = (size_t)index * SORT_CHUNK,
           end = start + SORT_CHUNK < s->count ? start + SORT_CHUNK : s->count;
    uint32_t *next = s->counts + (size_t)index * BUCKETS;
    for (size_t i = start; i < end; i++)
        s->to[next[digit(s->from[i], s->shift)]++] = s->from[i];
    return 0;
}

int sort_values(float *values, float *scratch, size_t count, struct arena *arena)
{
    struct sorting s = {.from = values, .to = scratch, .count = count};
    struct arena_mark mark = arena_mark(arena);
    int rc = 0, chunks = (int)((count + SORT_CHUNK - 1) / SORT_CHUNK);
    if (count > UINT32_MAX)
        return err_set(ERR_INTERNAL, "%zu values are too many to sort", count);
    TRY(arena_alloc(arena, &s.counts, (size_t)chunks * BUCKETS, sizeof *s.counts));
    for (s.shift = 0; s.shift < 31; s.shift += SORT_BITS) {
        uint32_t place = 0;
        TRY(pool_run(count_digits, &s, chunks));
        for (int bucket = 0; bucket < BUCKETS; bucket++)
            for (int i = 0; i < chunks; i++) {
                uint32_t here = s.counts[(size_t)i * BUCKETS + (size_t)bucket];
                s.counts[(size_t)i * BUCKETS + (size_t)bucket] = place;
                place += here;
            }
        TRY(pool_run(move_digits, &s, chunks));
        float *swapped = (float *)s.from;
        s.from = s.to;
        s.to = swapped;
    }
    memcpy(values, s.from, count * sizeof *values); /* three passes: the result lies in scratch */
out:
    arena_reset(arena, mark);
    return rc;
}
