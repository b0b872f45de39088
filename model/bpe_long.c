/* Byte-pair encoding of words of any length: a heap of pairs, in windows that overlap.
 *
 * Windows are exact, not an approximation. Call a pair of tokens (a, b) stable if encoding their
 * joint symbols gives a, b again.
 *   1. Neighbours in any encoding are stable: no merge ever crossed their border, so restricted to
 *      their symbols the merges were the same, in the same order, as without the rest.
 *   2. If all neighbours in a sequence of tokens are stable, the sequence is the encoding of its
 *      symbols. Suppose that encoding crosses a border, first the one between a and b: until then
 *      all merges were inside of tokens, and those inside of a and b were the ones of a and b
 *      alone, which next would then cross the border too; but they are stable.
 * So tokens from the beginning of one window may be followed by those of a second window, if the
 * first token of the second is the one that the first window had at that place.
 */
#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_internal.h"

enum {
    WINDOW = 512,     /* symbols: they and their heap stay in the processor's first cache */
    OVERLAP = 4,      /* a window keeps the tokens that begin before its last 1 / OVERLAP */
    WINDOW_GROWS = 8, /* where windows do not agree, as with tokens longer than the overlap */
};

/* A part of a window. */
struct bpe_symbol {
    int32_t id;             /* -1: merged into the one before */
    int32_t joined;         /* what it becomes with the one behind */
    uint32_t rank;          /* of that merge, or BPE_NO_RANK */
    uint32_t before, after; /* neighbours; UINT32_MAX: none */
};

/* A candidate is the rank of a pair and the place of its first symbol as one number: the smallest
 * is merged first, that is the lowest rank, then the leftmost. */
static uint64_t candidate(uint32_t rank, uint32_t place)
{
    return (uint64_t)rank << 32 | place;
}

/* Looks up the pair that begins at `place`. */
static int push(struct bpe_encoder *encoder, uint32_t place)
{
    struct bpe_symbol *symbols = encoder->symbols, *left = &symbols[place];
    left->rank = BPE_NO_RANK;
    if (left->after == UINT32_MAX)
        return 0;
    left->rank = bpe_rank(encoder->bpe, left->id, symbols[left->after].id, &left->joined);
    if (left->rank == BPE_NO_RANK)
        return 0;
    int rc = bpe_grow(&encoder->heap, &encoder->heap_capacity, encoder->heap_count + 1,
                      sizeof *encoder->heap);
    if (rc)
        return rc;
    uint64_t *heap = encoder->heap, fresh = candidate(left->rank, place);
    size_t at = encoder->heap_count++;
    for (; at && fresh < heap[(at - 1) / 2]; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = fresh;
    return 0;
}

static uint64_t pop(struct bpe_encoder *encoder)
{
    uint64_t *heap = encoder->heap, top = heap[0], last = heap[--encoder->heap_count];
    size_t at = 0, count = encoder->heap_count;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        child += child + 1 < count && heap[child + 1] < heap[child];
        if (heap[child] >= last)
            break;
        heap[at] = heap[child];
    }
    heap[at] = last;
    return top;
}

static int merge_all(struct bpe_encoder *encoder)
{
    int rc = 0;
    struct bpe_symbol *symbols = encoder->symbols;
    while (encoder->heap_count) {
        uint64_t best = pop(encoder);
        uint32_t place = (uint32_t)best;
        struct bpe_symbol *left = &symbols[place];
        if (left->rank != best >> 32)
            continue; /* one of the two has changed since */
        struct bpe_symbol *right = &symbols[left->after];
        left->id = left->joined;
        right->id = -1;
        right->rank = BPE_NO_RANK;
        left->after = right->after;
        if (left->after != UINT32_MAX)
            symbols[left->after].before = place;
        if (left->before != UINT32_MAX)
            TRY(push(encoder, left->before));
        TRY(push(encoder, place));
    }
out:
    return rc;
}

/* Merges ids[0, count), within encoder->symbols. */
static int merge_window(struct bpe_encoder *encoder, const int32_t *ids, uint32_t count)
{
    int rc;
    TRY(bpe_grow(&encoder->symbols, &encoder->symbol_capacity, count, sizeof *encoder->symbols));
    for (uint32_t i = 0; i < count; i++)
        encoder->symbols[i] = (struct bpe_symbol){
            .id = ids[i],
            .before = i ? i - 1 : UINT32_MAX,
            .after = i + 1 < count ? i + 1 : UINT32_MAX,
        };
    encoder->heap_count = 0;
    for (uint32_t i = 0; i < count; i++)
        TRY(push(encoder, i));
    TRY(merge_all(encoder));
out:
    return rc;
}

/* Appends the tokens that begin before `limit`. Returns where the next one begins, or `count`. */
static int keep_tokens(struct bpe_encoder *encoder, uint32_t count, uint32_t limit, uint32_t *next)
{
    const struct bpe_symbol *symbols = encoder->symbols;
    int rc = 0;
    uint32_t at = 0;
    for (; at < count && at < limit; at = symbols[at].after)
        TRY(token_list_add(encoder->out, &symbols[at].id, 1));
    *next = at < count ? at : count;
out:
    return rc;
}

/* *agreed = false: two windows differ in a token of both; `out` then has something of no use. */
static int encode_in_windows(struct bpe_encoder *encoder, const int32_t *ids, size_t count,
                             size_t window, bool *agreed)
{
    int rc = 0;
    int32_t expected = -1;
    uint32_t next;
    *agreed = true;
    for (size_t at = 0; at < count; at += next) {
        bool last = count - at <= window;
        uint32_t here = (uint32_t)(last ? count - at : window);
        TRY(merge_window(encoder, ids + at, here));
        *agreed = at == 0 || encoder->symbols[0].id == expected;
        if (!*agreed)
            goto out;
        TRY(keep_tokens(encoder, here, last ? here : here - here / OVERLAP, &next));
        *agreed = last || next < here;
        if (!*agreed)
            goto out;
        expected = last ? -1 : encoder->symbols[next].id;
    }
out:
    return rc;
}

int bpe_encode_long(struct bpe_encoder *encoder, const char *word, size_t size)
{
    int rc;
    int32_t *ids = NULL;
    const size_t before = encoder->out->count;
    bool agreed = false;
    if (size >= UINT32_MAX)
        return err_set(ERR_FORMAT, "tokenizer: a word of %zu bytes is too long", size);
    TRY(mem_alloc(&ids, size, sizeof *ids));
    size_t count = bpe_start_ids(encoder->bpe, word, size, ids);
    for (size_t window = WINDOW; !agreed; window *= WINDOW_GROWS) {
        encoder->out->count = before;
        TRY(encode_in_windows(encoder, ids, count, window, &agreed));
    }
out:
    mem_free(ids);
    return rc;
}
