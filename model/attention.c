#include "model/attention.h"

#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "linalg/simd.h"

#include <math.h>
#include <string.h>

/* A tile of scores fits the second-level cache: with three heads a group, 192 x 512 floats. */
enum { TILE_QUERIES = 64, TILE_KEYS = 512 };

struct tile {
    int first_row; /* of the sequence */
    int query;     /* of the tile, within the sequence */
    int queries;
    int kv_head;
};

struct attention {
    const struct attention_shape *shape;
    const struct tile *tiles;
    float *q, *scratch;
    const float *k, *v;
    size_t scratch_size;
};

static int group_size(const struct attention_shape *shape)
{
    return shape->heads / shape->kv_heads;
}

static size_t rounded(size_t count)
{
    return (count + 15) / 16 * 16;
}

size_t attention_scratch(const struct attention_shape *shape)
{
    size_t rows = (size_t)group_size(shape) * TILE_QUERIES;
    return rounded(rows * (size_t)shape->head_size) * 2 + rounded(rows * TILE_KEYS) + rounded(rows) * 2;
}

/* One tile's working memory: row r is query r % queries of head r / queries within the group. */
struct tile_memory {
    float *q, *out, *scores, *top, *sum;
};

static struct tile_memory divide(const struct attention *a, int worker)
{
    size_t rows = (size_t)group_size(a->shape) * TILE_QUERIES, matrix = rounded(rows * (size_t)a->shape->head_size);
    struct tile_memory memory;
    memory.q = a->scratch + a->scratch_size * (size_t)worker;
    memory.out = memory.q + matrix;
    memory.scores = memory.out + matrix;
    memory.top = memory.scores + rounded(rows * TILE_KEYS);
    memory.sum = memory.top + rounded(rows);
    return memory;
}

/* The first head's first query of the tile, in q. */
static float *tile_start(const struct attention *a, const struct tile *tile)
{
    return a->q + (size_t)(tile->first_row + tile->query) * (size_t)a->shape->q_stride +
           (size_t)tile->kv_head * (size_t)group_size(a->shape) * (size_t)a->shape->head_size;
}

/* Row r of the scores becomes exp(score - new maximum); the sums and what was gathered so far are brought to the new
 * maximum. keys: of this tile of keys, the first being number `key` of the sequence. */
static void soften(const struct attention *a, const struct tile *tile, const struct tile_memory *memory, int key, int keys)
{
    int rows = group_size(a->shape) * tile->queries, size = a->shape->head_size;
    for (int r = 0; r < rows; r++) {
        float *scores = memory->scores + (size_t)r * (size_t)keys;
        int visible = tile->query + r % tile->queries + 1 - key;
        if (visible > keys)
            visible = keys;
        if (visible <= 0) {
            memset(scores, 0, (size_t)keys * sizeof *scores);
            continue;
        }
        float top = simd.max(scores, visible);
        if (key > 0 && memory->top[r] > top)
            top = memory->top[r];
        float sum = simd.exp_sum(scores, scores, top, visible);
        memset(scores + visible, 0, (size_t)(keys - visible) * sizeof *scores);
        if (key > 0 && top > memory->top[r]) {
            float shrink = expf(memory->top[r] - top);
            memory->sum[r] *= shrink;
            simd.scale(memory->out + (size_t)r * (size_t)size, shrink, memory->out + (size_t)r * (size_t)size, size);
        }
        memory->sum[r] = key > 0 ? memory->sum[r] + sum : sum;
        memory->top[r] = top;
    }
}

static void gather_queries(const struct attention *a, const struct tile *tile, const struct tile_memory *memory)
{
    int size = a->shape->head_size;
    const float *from = tile_start(a, tile);
    float factor = 1.0f / sqrtf((float)size);
    for (int r = 0; r < group_size(a->shape) * tile->queries; r++)
        simd.scale(memory->q + (size_t)r * (size_t)size, factor,
                   from + (size_t)(r % tile->queries) * (size_t)a->shape->q_stride + (size_t)(r / tile->queries * size),
                   size);
}

static void store_outputs(const struct attention *a, const struct tile *tile, const struct tile_memory *memory)
{
    int size = a->shape->head_size;
    float *to = tile_start(a, tile);
    for (int r = 0; r < group_size(a->shape) * tile->queries; r++)
        simd.scale(to + (size_t)(r % tile->queries) * (size_t)a->shape->q_stride + (size_t)(r / tile->queries * size),
                   1.0f / memory->sum[r], memory->out + (size_t)r * (size_t)size, size);
}

static int attend_tile(void *context, int index, int worker)
{
    const struct attention *a = context;
    const struct tile *tile = &a->tiles[index];
    struct tile_memory memory = divide(a, worker);
    int size = a->shape->head_size, rows = group_size(a->shape) * tile->queries;
    int end = tile->query + tile->queries; /* keys that some query of the tile sees */
    gather_queries(a, tile, &memory);
    for (int key = 0; key < end; key += TILE_KEYS) {
        int keys = end - key < TILE_KEYS ? end - key : TILE_KEYS;
        size_t row = (size_t)(tile->first_row + key), column = (size_t)(tile->kv_head * size);
        const float *k = a->k + row * (size_t)a->shape->k_stride + column;
        const float *v = a->v + row * (size_t)a->shape->v_stride + column;
        gemm(false, true, rows, keys, size, 1.0f, memory.q, size, k, a->shape->k_stride, 0.0f, memory.scores, keys);
        soften(a, tile, &memory, key, keys);
        gemm(false, false, rows, size, keys, 1.0f, memory.scores, keys, v, a->shape->v_stride, key > 0 ? 1.0f : 0.0f,
             memory.out, size);
    }
    store_outputs(a, tile, &memory);
    return 0;
}

/* *out = the tiles of all sequences, those with the most keys first within a sequence; the caller's. */
static int list_tiles(const struct attention_shape *shape, const struct batch *batch, struct tile **out, int *count)
{
    size_t total = 0, used = 0;
    for (int s = 0; s < batch->count; s++)
        total += (size_t)((batch->offsets[s + 1] - batch->offsets[s] + TILE_QUERIES - 1) / TILE_QUERIES);
    struct tile *tiles;
    int rc = mem_alloc(&tiles, total * (size_t)shape->kv_heads, sizeof *tiles);
    if (rc)
        return rc;
    for (int s = 0; s < batch->count; s++) {
        int length = batch->offsets[s + 1] - batch->offsets[s];
        for (int query = (length - 1) / TILE_QUERIES * TILE_QUERIES; length > 0 && query >= 0; query -= TILE_QUERIES) {
            int queries = length - query < TILE_QUERIES ? length - query : TILE_QUERIES;
            for (int head = 0; head < shape->kv_heads; head++)
                tiles[used++] = (struct tile){batch->offsets[s], query, queries, head};
        }
    }
    *out = tiles;
    *count = (int)used;
    return 0;
}

int attention_causal(const struct attention_shape *shape, const struct batch *batch, float *q, const float *k,
                     const float *v, float *scratch)
{
    struct tile *tiles;
    int count = 0;
    int rc = list_tiles(shape, batch, &tiles, &count);
    if (rc)
        return rc;
    struct attention attention = {shape, tiles, q, scratch, k, v, attention_scratch(shape)};
    rc = pool_run(attend_tile, &attention, count);
    mem_free(tiles);
    return rc;
}
