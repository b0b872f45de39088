#include "harness/calibration_overlap.h"

#include "core/err.h"
#include "core/mem.h"

#include <math.h>
#include <string.h>

const double overlap_limit = 0.05;

enum { GRAM = OVERLAP_TOKENS };

static bool same_gram(const int32_t *a, const int32_t *b)
{
    return memcmp(a, b, GRAM * sizeof *a) == 0;
}

/* Where the 13-gram stands, or the free slot where it belongs: a polynomial of the tokens, its high
 * bits mixed down, then linear probing. */
static uint32_t *find_slot(const struct overlap_index *index, const int32_t *gram)
{
    uint64_t h = 0;
    for (int i = 0; i < GRAM; i++)
        h = (h + (uint32_t)gram[i] + 1) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(h ^ h >> 32) & index->mask;
    while (index->slots[at] && !same_gram(index->stream->tokens + index->slots[at] - 1, gram))
        at = (at + 1) & index->mask;
    return &index->slots[at];
}

int overlap_index_make(struct overlap_index *index, const struct stream *calibration)
{
    size_t size = 2;
    while (size < 2 * (size_t)calibration->rows)
        size *= 2;
    struct overlap_index fresh = {.stream = calibration, .mask = size - 1};
    int rc = mem_calloc(&fresh.slots, size, sizeof *fresh.slots);
    if (rc)
        return rc;
    for (int s = 0; s < calibration->count; s++)
        for (int r = calibration->offsets[s]; r + GRAM <= calibration->offsets[s + 1]; r++)
            *find_slot(&fresh, calibration->tokens + r) = (uint32_t)r + 1;
    *index = fresh;
    return 0;
}

void overlap_index_release(struct overlap_index *index)
{
    mem_free(index->slots);
    *index = (struct overlap_index){0};
}

struct tally {
    long grams, found;
};

static void count_grams(const struct overlap_index *index, const int32_t *tokens, int count,
                        struct tally *tally)
{
    for (int i = 0; i + GRAM <= count; i++) {
        tally->grams++;
        tally->found += *find_slot(index, tokens + i) != 0;
    }
}

/* The trunk, then each branch behind the trunk's last 12 tokens, so that each of its 13-grams has a
 * token of its own. The token that a last row predicts has no row. path has room for GRAM more
 * tokens than the sequence. */
static void count_sequence(const struct overlap_index *index, const struct stream *stream,
                           int sequence, int32_t *path, struct tally *tally)
{
    int start = stream->offsets[sequence], end = stream->offsets[sequence + 1], trunk = 0;
    for (int r = start, next; r < end; r = next) {
        int length = 0;
        next = r;
        if (r > start) {
            length = trunk < GRAM - 1 ? trunk : GRAM - 1;
            memcpy(path, stream->tokens + start + trunk - length, (size_t)length * sizeof *path);
        }
        while (next < end && stream->branch[next] == stream->branch[r])
            path[length++] = stream->tokens[next++];
        if (r == start)
            trunk = next - start;
        if (stream->targets[next - 1] >= 0)
            path[length++] = stream->targets[next - 1];
        count_grams(index, path, length, tally);
    }
}

int overlap_share(const struct overlap_index *index, const struct stream *stream, int first,
                  int count, double *share)
{
    struct tally tally = {0};
    int32_t *path;
    int longest = 0;
    for (int s = first; s < first + count; s++) {
        int length = stream->offsets[s + 1] - stream->offsets[s];
        longest = length > longest ? length : longest;
    }
    int rc = mem_alloc(&path, (size_t)longest + GRAM, sizeof *path);
    if (rc)
        return rc;
    for (int s = first; s < first + count; s++)
        count_sequence(index, stream, s, path, &tally);
    mem_free(path);
    *share = tally.grams ? (double)tally.found / (double)tally.grams : NAN;
    return 0;
}
