#include "model/attention.h"

#include "core/mem.h"
#include "core/pool.h"
#include "linalg/panel.h"
#include "linalg/simd.h"
#include "model/workspace.h"

#include <math.h>
#include <string.h>

/* Keys and values are packed once, KEYS of a sequence at a time; a tile has about ROWS query rows,
 * the heads of a group one under another, and meets one part of the keys after another (softmax
 * with a running maximum and sum). */
enum { KEYS = 512, ROWS = 96, LEAST_QUERIES = 8 };

/* One part of a sequence's keys, or one tile of its queries, for one key-value head. */
struct piece {
    int first_row; /* of the sequence, in the batch */
    int start;     /* first key or query, within the sequence */
    int count;
    int kv_head;
    size_t packed; /* where the packed keys and values of this sequence and head begin */
    int length;    /* of the sequence */
    int trunk;     /* rows of it before its first branch */
    int padded;    /* the same, rounded up to whole panels */
};

struct attention {
    const struct attention_shape *shape;
    int group, queries; /* query heads that share keys; queries of a tile */
    struct piece *parts, *tiles;
    int part_count, tile_count;
    float *q, *packed, *scratch;
    const float *k, *v;
    const int *branch; /* the batch's, or NULL */
};

static int padded_to_panels(int count)
{
    return (count + PANEL - 1) / PANEL * PANEL;
}

static int tile_queries(const struct attention_shape *shape)
{
    int queries = ROWS / (shape->heads / shape->kv_heads);
    return queries < LEAST_QUERIES ? LEAST_QUERIES : queries;
}

/* One tile's working memory: row r is query r % count of head r / count within the group. */
struct tile_memory {
    float *q, *out, *scores, *top, *sum;
};

static int tile_rows(const struct attention_shape *shape)
{
    return tile_queries(shape) * (shape->heads / shape->kv_heads);
}

static size_t tile_floats(const struct attention_shape *shape)
{
    size_t rows = (size_t)tile_rows(shape);
    return 2 * workspace_round(rows * (size_t)shape->head_size) + rows * KEYS +
           2 * workspace_round(rows);
}

static struct tile_memory divide(const struct attention_shape *shape, float *start)
{
    size_t rows = (size_t)tile_rows(shape);
    size_t matrix = workspace_round(rows * (size_t)shape->head_size);
    float *scores = start + 2 * matrix, *top = scores + rows * KEYS;
    return (struct tile_memory){start, start + matrix, scores, top, top + workspace_round(rows)};
}

/* Floats of the packed keys and values of one sequence for one head. */
static size_t packed_floats(const struct attention_shape *shape, int padded)
{
    return (size_t)padded * (size_t)(shape->head_size + padded_to_panels(shape->head_size));
}

size_t attention_floats(const struct attention_shape *shape, const struct batch *batch)
{
    size_t total = (size_t)pool_threads() * tile_floats(shape);
    for (int s = 0; s < batch->count; s++)
        total += (size_t)shape->kv_heads *
                 packed_floats(shape, padded_to_panels(batch->offsets[s + 1] - batch->offsets[s]));
    return total;
}

static float *packed_keys(const struct attention *a, const struct piece *piece, int key)
{
    return a->packed + piece->packed + (size_t)key * (size_t)a->shape->head_size;
}

static float *packed_values(const struct attention *a, const struct piece *piece, int key)
{
    size_t size = (size_t)a->shape->head_size;
    return a->packed + piece->packed + (size_t)piece->padded * size +
           (size_t)key * (size_t)padded_to_panels((int)size);
}

static int pack_part(void *context, int index, int worker)
{
    const struct attention *a = context;
    const struct attention_shape *shape = a->shape;
    const struct piece *part = &a->parts[index];
    size_t row = (size_t)part->first_row + (size_t)part->start;
    size_t column = (size_t)part->kv_head * (size_t)shape->head_size;
    panel_pack_transposed(a->k + row * (size_t)shape->k_stride + column, shape->k_stride,
                          part->count, shape->head_size, packed_keys(a, part, part->start));
    panel_pack(a->v + row * (size_t)shape->v_stride + column, shape->v_stride, shape->head_size,
               part->count, packed_values(a, part, part->start));
    return 0;
}

/* Where row r of a tile has its place in q. */
static float *query_row(const struct attention *a, const struct piece *tile, int r)
{
    int head = tile->kv_head * a->group + r / tile->count;
    return a->q +
           (size_t)(tile->first_row + tile->start + r % tile->count) * (size_t)a->shape->q_stride +
           (size_t)(head * a->shape->head_size);
}

/* Keys from .. to - 1. */
struct span {
    int from, to;
};

/* The first position that row r of a tile reaches back to. */
static int reach(const struct attention *a, const struct piece *tile, int r)
{
    int row = tile->start + r % tile->count;
    int branch = a->branch ? a->branch[tile->first_row + row] : 0;
    int position = branch > 0 ? tile->trunk + row - branch : row;
    bool all = a->shape->window == 0 || position < a->shape->window;
    return all ? 0 : position - a->shape->window + 1;
}

/* The keys, counted from `key`, that row r of a tile does not see though they lie before it: those
 * out of its window's reach, and the branches between the trunk and its own. */
static void hidden_keys(const struct attention *a, const struct piece *tile, int r, int key,
                        struct span hidden[2])
{
    int branch = a->branch ? a->branch[tile->first_row + tile->start + r % tile->count] : 0;
    int far = reach(a, tile, r), trunk = tile->trunk;
    hidden[0] = (struct span){0, far - key};
    hidden[1] = (struct span){0, 0};
    if (branch > 0 && far <= trunk)
        hidden[1] = (struct span){trunk > key ? trunk - key : 0, branch - key};
    else if (branch > 0)
        hidden[0].to += branch - trunk;
}

/* Row r of the scores becomes exp(score - new maximum), 0 where the query does not see the key; the
 * sum and what was gathered so far are brought to the new maximum. */
static void soften_row(const struct attention *a, const struct tile_memory *memory, int r,
                       int visible, const struct span hidden[2], int keys, bool first)
{
    float *scores = memory->scores + (size_t)r * KEYS,
          *out = memory->out + (size_t)r * (size_t)a->shape->head_size;
    if (visible <= 0) {
        memset(scores, 0, (size_t)keys * sizeof *scores);
        return;
    }
    int whole = padded_to_panels(visible); /* exp(-inf) is 0: whole vectors rather than a rest */
    for (int i = visible; i < whole; i++)
        scores[i] = -INFINITY;
    for (int h = 0; h < 2; h++)
        for (int i = hidden[h].from; i < hidden[h].to && i < visible; i++)
            scores[i] = -INFINITY;
    float top = simd.max(scores, whole);
    if (!first && memory->top[r] > top)
        top = memory->top[r];
    if (top == -INFINITY) { /* the window begins behind these keys */
        memset(scores, 0, (size_t)keys * sizeof *scores);
        memory->top[r] = top;
        memory->sum[r] = 0;
        return;
    }
    float sum = simd.exp_sum(scores, scores, top, whole);
    if (whole < keys)
        memset(scores + whole, 0, (size_t)(keys - whole) * sizeof *scores);
    if (!first && top > memory->top[r]) {
        float shrink = expf(memory->top[r] - top);
        memory->sum[r] *= shrink;
        simd.scale(out, shrink, out, a->shape->head_size);
    }
    memory->sum[r] = first ? sum : memory->sum[r] + sum;
    memory->top[r] = top;
}

/* out += scores V. The panels of V hold all keys of the part, of which this tile may see only the
 * first: so panel by panel. */
static void add_values(const struct attention *a, const struct piece *tile,
                       const struct tile_memory *memory, int key, int keys, bool first)
{
    int size = a->shape->head_size, part = tile->length - key < KEYS ? tile->length - key : KEYS;
    for (int column = 0; column < size; column += PANEL)
        panel_product(memory->scores, KEYS, a->group * tile->count,
                      packed_values(a, tile, key) + (size_t)column * (size_t)part,
                      size - column < PANEL ? size - column : PANEL, keys, !first,
                      memory->out + column, size);
}

/* The first key of the first part that some query of the tile sees. */
static int first_part(const struct attention *a, const struct piece *tile)
{
    int least = a->shape->window > 0 ? reach(a, tile, 0) : 0;
    for (int r = 1; least > 0 && r < tile->count; r++)
        least = reach(a, tile, r) < least ? reach(a, tile, r) : least;
    return least / KEYS * KEYS;
}

static int attend_tile(void *context, int index, int worker)
{
    const struct attention *a = context;
    const struct piece *tile = &a->tiles[index];
    struct tile_memory memory = divide(a->shape,
                                       a->scratch + tile_floats(a->shape) * (size_t)worker);
    int size = a->shape->head_size, rows = a->group * tile->count;
    int begin = first_part(a, tile), end = tile->start + tile->count; /* keys that some query of the
                                                                         tile sees */
    float factor = 1.0f / sqrtf((float)size);
    for (int r = 0; r < rows; r++)
        simd.scale(memory.q + (size_t)r * (size_t)size, factor, query_row(a, tile, r), size);
    for (int key = begin; key < end; key += KEYS) {
        int keys = end - key < KEYS ? end - key : KEYS;
        struct span hidden[2];
        panel_product(memory.q, size, rows, packed_keys(a, tile, key), keys, size, false,
                      memory.scores, KEYS);
        for (int r = 0; r < rows; r++) {
            int visible = tile->start + r % tile->count + 1 - key;
            hidden_keys(a, tile, r, key, hidden);
            soften_row(a, &memory, r, visible < keys ? visible : keys, hidden, keys, key == begin);
        }
        add_values(a, tile, &memory, key, keys, key == begin);
    }
    for (int r = 0; r < rows; r++)
        simd.scale(query_row(a, tile, r), 1.0f / memory.sum[r],
                   memory.out + (size_t)r * (size_t)size, size);
    return 0;
}

/* Appends the pieces of one sequence and head, the last first: a query tile's work grows with its
 * place. */
static int cut(struct piece *pieces, struct piece whole, int size)
{
    int length = whole.count, used = 0;
    for (int start = (length - 1) / size * size; length > 0 && start >= 0; start -= size) {
        pieces[used] = whole;
        pieces[used].start = start;
        pieces[used++].count = length - start < size ? length - start : size;
    }
    return used;
}

static int list_pieces(struct attention *a, const struct batch *batch)
{
    size_t parts = 0, tiles = 0, packed = 0;
    for (int s = 0; s < batch->count; s++) {
        size_t length = (size_t)(batch->offsets[s + 1] - batch->offsets[s]);
        parts += (length + KEYS - 1) / KEYS;
        tiles += (length + (size_t)a->queries - 1) / (size_t)a->queries;
    }
    int rc = mem_alloc(&a->parts, (parts + tiles) * (size_t)a->shape->kv_heads, sizeof *a->parts);
    if (rc)
        return rc;
    a->tiles = a->parts + parts * (size_t)a->shape->kv_heads;
    for (int s = 0; s < batch->count; s++) {
        int length = batch->offsets[s + 1] - batch->offsets[s];
        for (int head = 0; head < a->shape->kv_heads; head++) {
            struct piece whole = {.first_row = batch->offsets[s],
                                  .count = length,
                                  .kv_head = head,
                                  .packed = packed,
                                  .length = length,
                                  .trunk = batch_trunk(batch, s),
                                  .padded = padded_to_panels(length)};
            a->part_count += cut(a->parts + a->part_count, whole, KEYS);
            a->tile_count += cut(a->tiles + a->tile_count, whole, a->queries);
            packed += packed_floats(a->shape, whole.padded);
        }
    }
    a->scratch = a->packed + packed;
    return 0;
}

int attention_causal(const struct attention_shape *shape, const struct batch *batch, float *q,
                     const float *k, const float *v, float *memory)
{
    struct attention a = {.shape = shape,
                          .group = shape->heads / shape->kv_heads,
                          .queries = tile_queries(shape),
                          .q = q,
                          .packed = memory,
                          .k = k,
                          .v = v,
                          .branch = batch->branch};
    int rc = list_pieces(&a, batch);
    if (rc == 0)
        rc = pool_run(pack_part, &a, a.part_count);
    if (rc == 0)
        rc = pool_run(attend_tile, &a, a.tile_count);
    mem_free(a.parts);
    return rc;
}
