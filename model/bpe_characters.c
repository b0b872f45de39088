/* BPE that starts from characters: SentencePiece's, and Hugging Face's with byte_fallback. */
#include "core/err.h"
#include "core/mem.h"
#include "model/bpe.h"
#include "model/bpe_bytes.h"
#include "model/piece_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- where text may be cut ---- */

/* Pairs of code points that meet within a merge, as bits of a table that they are hashed into: a
 * pair that falls on another's bit is merely not cut. */
enum { JOIN_BITS = 20 };

static uint32_t join_bit(uint32_t last, uint32_t first)
{
    return (last * 0x9e3779b1u ^ first * 0x85ebca6bu) >> (32 - JOIN_BITS);
}

bool bpe_may_join(const struct bpe *bpe, uint32_t last, uint32_t first)
{
    uint32_t bit = join_bit(last, first);
    return bpe->joins[bit / 64] >> bit % 64 & 1;
}

/* The code points that a token begins and ends with; EDGE_UNKNOWN where it stands for bytes. */
struct edges {
    uint32_t first, last;
};
static const uint32_t EDGE_UNKNOWN = UINT32_MAX;

static struct edges edges_of(const char *text, size_t size)
{
    struct edges edges = {EDGE_UNKNOWN, EDGE_UNKNOWN};
    for (size_t at = 0, length; at < size; at += length) {
        length = (size_t)utf8_decode(text + at, size - at, &edges.last);
        if (!length)
            return (struct edges){EDGE_UNKNOWN, EDGE_UNKNOWN};
        if (at == 0)
            edges.first = edges.last;
    }
    return edges;
}

static int prepare_joins(struct bpe *bpe, const struct edges *edges)
{
    const size_t words = ((size_t)1 << JOIN_BITS) / 64;
    int rc = mem_calloc(&bpe->joins, words, sizeof *bpe->joins);
    if (rc)
        return rc;
    for (size_t i = 0; bpe->merges.count && i <= bpe->merges.mask; i++) {
        uint64_t key = bpe->merges.slots[i].key;
        if (!key)
            continue;
        uint32_t last = edges[(key - 1) >> 32].last, first = edges[(uint32_t)(key - 1)].first;
        if (last == EDGE_UNKNOWN || first == EDGE_UNKNOWN)
            memset(bpe->joins, 0xff, words * sizeof *bpe->joins); /* nothing is cut */
        else
            bpe->joins[join_bit(last, first) / 64] |= (uint64_t)1 << join_bit(last, first) % 64;
    }
    return 0;
}

/* ---- characters ---- */

/* Notes a token of one character. */
static int add_character(struct bpe *bpe, const char *text, size_t size, int32_t id)
{
    uint32_t c = 0;
    struct bpe_pair_slot *slot;
    bool fresh;
    int rc;
    if (!size || (size_t)utf8_decode(text, size, &c) != size)
        return 0;
    if (c < 0x80)
        bpe->byte_ids[c] = id;
    rc = bpe_pairs_add(&bpe->char_ids, 0, c, &slot, &fresh);
    if (rc == 0)
        slot->value = (uint32_t)id;
    return rc;
}

static void clear_ids(struct bpe *bpe)
{
    bpe->characters = true;
    for (int byte = 0; byte < 256; byte++)
        bpe->byte_ids[byte] = bpe->fallback_ids[byte] = -1;
}

int bpe_prepare_characters(struct bpe *bpe, const json_t *vocabulary, int highest)
{
    int rc;
    struct edges *edges = NULL;
    const char *key;
    json_t *value;
    clear_ids(bpe);
    TRY(mem_calloc(&edges, (size_t)highest + 1, sizeof *edges));
    if (bpe->whole_words)
        TRY(mem_alloc(&bpe->word_ids, json_object_size(vocabulary), sizeof *bpe->word_ids));
    json_object_foreach((json_t *)vocabulary, key, value)
    {
        int32_t id = (int32_t)json_integer_value(value);
        size_t size = strlen(key);
        int byte = bpe->byte_fallback ? piece_byte(key, size) : -1;
        uint32_t number;
        if (byte >= 0)
            bpe->fallback_ids[byte] = id;
        edges[id] = byte >= 0 ? (struct edges){EDGE_UNKNOWN, EDGE_UNKNOWN} : edges_of(key, size);
        TRY(add_character(bpe, key, size, id));
        if (bpe->whole_words) {
            TRY(bpe_strings_add(&bpe->words, key, size, &number, NULL));
            bpe->word_ids[number] = id;
        }
    }
    TRY(prepare_joins(bpe, edges));
out:
    mem_free(edges);
    return rc;
}

/* ---- from pieces with scores ---- */

/* What bpe_from_pieces works with. */
struct building {
    struct bpe *bpe;
    const struct piece_model *model;
    struct bpe_strings numbers; /* the pieces that merging may use */
    int32_t *ids;               /* by number */
    uint32_t *ranks;            /* by id: 0 is the highest score, equal ones are equal */
    const char *file;
};

static bool merges(const struct piece *piece)
{
    return piece->type == PIECE_NORMAL && piece->size;
}

static int check_piece(const struct building *b, size_t id)
{
    const struct piece *piece = &b->model->pieces[id];
    if (isnan(piece->score))
        return err_set(ERR_FORMAT, "%s: the score of piece %zu is not a number", b->file, id);
    if (piece->size > PIECE_BYTES_LIMIT)
        return err_set(ERR_FORMAT, "%s: piece %zu has %zu bytes; at most %d are read", b->file, id,
                       piece->size, PIECE_BYTES_LIMIT);
    if (utf8_valid_prefix(piece->text, piece->size) < piece->size)
        return err_set(ERR_FORMAT, "%s: piece %zu is not UTF-8", b->file, id);
    if (piece->type == PIECE_BYTE && piece_byte(piece->text, piece->size) < 0)
        return err_set(ERR_FORMAT,
                       "%s: piece %zu, '%.*s', is of type BYTE; expected <0x00> to "
                       "<0xFF>",
                       b->file, id, (int)piece->size, piece->text);
    return 0;
}

static int number_pieces(struct building *b)
{
    int rc = 0;
    for (size_t id = 0; id < b->model->count; id++) {
        const struct piece *piece = &b->model->pieces[id];
        uint32_t number;
        bool fresh;
        TRY(check_piece(b, id));
        if (piece->type == PIECE_BYTE && b->model->byte_fallback)
            b->bpe->fallback_ids[piece_byte(piece->text, piece->size)] = (int32_t)id;
        if (!merges(piece))
            continue;
        TRY(bpe_strings_add(&b->numbers, piece->text, piece->size, &number, &fresh));
        if (!fresh) {
            rc = err_set(ERR_FORMAT, "%s: pieces %d and %zu are the same text", b->file,
                         (int)b->ids[number], id);
            goto out;
        }
        b->ids[number] = (int32_t)id;
        TRY(add_character(b->bpe, piece->text, piece->size, (int32_t)id));
    }
out:
    return rc;
}

struct scored {
    float score;
    uint32_t id;
};

static int by_score(const void *left, const void *right)
{
    const struct scored *a = left, *b = right;
    return a->score > b->score ? -1 : a->score < b->score;
}

static int rank_pieces(struct building *b)
{
    struct scored *order;
    uint32_t rank = 0;
    size_t count = b->model->count;
    int rc = mem_alloc(&order, count, sizeof *order);
    if (rc)
        return rc;
    for (size_t id = 0; id < count; id++)
        order[id] = (struct scored){b->model->pieces[id].score, (uint32_t)id};
    qsort(order, count, sizeof *order, by_score);
    for (size_t i = 0; i < count; i++) {
        rank += i && order[i].score < order[i - 1].score;
        b->ranks[order[i].id] = rank;
    }
    mem_free(order);
    return 0;
}

static int32_t piece_id(const struct building *b, const char *text, size_t size)
{
    uint32_t number = bpe_strings_find(&b->numbers, text, size, bpe_hash(text, size));
    return number == UINT32_MAX ? -1 : b->ids[number];
}

/* Two neighbours merge when their joint text is a piece: so every way of cutting a piece into two
 * pieces is a merge. A character that is no piece itself would have to merge too, but trained
 * models have a piece for every character of their pieces. */
static int add_merges(struct building *b, size_t id)
{
    int rc = 0;
    const struct piece *piece = &b->model->pieces[id];
    size_t length;
    for (size_t at = 0; at < piece->size; at += length) {
        uint32_t c;
        length = (size_t)utf8_decode(piece->text + at, piece->size - at, &c);
        if (bpe_character_id(b->bpe, piece->text + at, length, c) < 0)
            return err_set(ERR_FORMAT,
                           "%s: piece %zu has a character, '%.*s', that is not a piece itself; "
                           "such models are not supported",
                           b->file, id, (int)length, piece->text + at);
        if (at == 0)
            continue;
        int32_t left = piece_id(b, piece->text, at);
        int32_t right = left < 0 ? -1 : piece_id(b, piece->text + at, piece->size - at);
        struct bpe_pair_slot *slot;
        bool fresh;
        if (right < 0)
            continue;
        TRY(bpe_pairs_add(&b->bpe->merges, (uint32_t)left, (uint32_t)right, &slot, &fresh));
        slot->value = b->ranks[id];
        slot->extra = (uint32_t)id;
    }
out:
    return rc;
}

int bpe_from_pieces(struct bpe *bpe, const struct piece_model *model, const char *file)
{
    int rc;
    struct edges *edges = NULL;
    struct building b = {.bpe = bpe, .model = model, .file = file};
    clear_ids(bpe);
    bpe->byte_fallback = model->byte_fallback;
    bpe->unknown = model->unknown;
    bpe->fuse_unknown = true;
    TRY(mem_alloc(&b.ids, model->count, sizeof *b.ids));
    TRY(mem_alloc(&b.ranks, model->count, sizeof *b.ranks));
    TRY(mem_calloc(&edges, model->count, sizeof *edges));
    TRY(number_pieces(&b));
    TRY(rank_pieces(&b));
    for (size_t id = 0; id < model->count; id++)
        if (merges(&model->pieces[id])) {
            TRY(add_merges(&b, id));
            edges[id] = edges_of(model->pieces[id].text, model->pieces[id].size);
        }
    TRY(prepare_joins(bpe, edges));
out:
    bpe_strings_release(&b.numbers);
    mem_free(b.ids);
    mem_free(b.ranks);
    mem_free(edges);
    return rc;
}
