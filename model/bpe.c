#include "model/bpe_internal.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_bytes.h"
#include "model/pretokenize.h"

#include <string.h>

enum {
    SHORT_WORD = 40,       /* bytes; up to here a scan for the lowest rank beats a heap */
    CACHED_WORD = 64,      /* bytes; longer words seldom come again */
    CACHE_WORDS = 1 << 16, /* then the cache starts afresh */
};

void bpe_free(struct bpe *bpe)
{
    if (!bpe)
        return;
    bpe_pairs_release(&bpe->merges);
    bpe_pairs_release(&bpe->char_ids);
    mem_free(bpe->joins);
    bpe_strings_release(&bpe->words);
    mem_free(bpe->word_ids);
    pretokenizer_free(bpe->rules);
    mem_free(bpe);
}

void bpe_encoder_release(struct bpe_encoder *encoder)
{
    bpe_strings_release(&encoder->cache);
    mem_free(encoder->spans);
    mem_free(encoder->ids.ids);
    mem_free(encoder->symbols);
    mem_free(encoder->heap);
}

int32_t bpe_character_id(const struct bpe *bpe, const char *text, size_t size, uint32_t code_point)
{
    if (size == 1)
        return (uint8_t)text[0] < 0x80 ? bpe->byte_ids[(uint8_t)text[0]] : -1;
    const struct bpe_pair_slot *slot = bpe_pairs_find(&bpe->char_ids, 0, code_point);
    return slot ? (int32_t)slot->value : -1;
}

static bool has_bytes(const struct bpe *bpe, const char *text, size_t size)
{
    bool all = bpe->byte_fallback;
    for (size_t i = 0; all && i < size; i++)
        all = bpe->fallback_ids[(uint8_t)text[i]] >= 0;
    return all;
}

bool bpe_has_character(const struct bpe *bpe, const char *text, size_t size, uint32_t code_point)
{
    return bpe_character_id(bpe, text, size, code_point) >= 0 || has_bytes(bpe, text, size);
}

/* A character that is no token: the tokens of its bytes, if it has all of them, or the unknown
 * token. Appends to ids and returns how many. */
static size_t fall_back(const struct bpe *bpe, const char *text, size_t size, int32_t *ids)
{
    if (!has_bytes(bpe, text, size)) {
        ids[0] = bpe->unknown;
        return bpe->unknown >= 0;
    }
    for (size_t i = 0; i < size; i++)
        ids[i] = bpe->fallback_ids[(uint8_t)text[i]];
    return size;
}

static size_t start_characters(const struct bpe *bpe, const char *word, size_t size, int32_t *ids)
{
    size_t count = 0, length;
    for (size_t at = 0; at < size; at += length) {
        uint32_t code_point = 0;
        length = (size_t)utf8_decode(word + at, size - at, &code_point);
        length += length == 0;
        int32_t id = bpe_character_id(bpe, word + at, length, code_point);
        if (id >= 0)
            ids[count++] = id;
        else
            count += fall_back(bpe, word + at, length, ids + count);
    }
    return count;
}

size_t bpe_start_ids(const struct bpe *bpe, const char *word, size_t size, int32_t *ids)
{
    size_t count = 0;
    bool was_unknown = false;
    if (bpe->characters)
        return start_characters(bpe, word, size, ids);
    for (size_t i = 0; i < size; i++) {
        int32_t id = bpe->byte_ids[(uint8_t)word[i]];
        bool unknown = id < 0;
        if (unknown && (bpe->unknown < 0 || (bpe->fuse_unknown && was_unknown)))
            continue;
        ids[count++] = unknown ? bpe->unknown : id;
        was_unknown = unknown;
    }
    return count;
}

uint32_t bpe_rank(const struct bpe *bpe, int32_t left, int32_t right, int32_t *joined)
{
    const struct bpe_pair_slot *slot = bpe_pairs_find(&bpe->merges, (uint32_t)left,
                                                      (uint32_t)right);
    *joined = slot ? (int32_t)slot->extra : -1;
    return slot ? slot->value : BPE_NO_RANK;
}

static int encode_short(struct bpe_encoder *encoder, const char *word, size_t size)
{
    const struct bpe *bpe = encoder->bpe;
    int32_t ids[SHORT_WORD], joined[SHORT_WORD]; /* joined[i], ranks[i]: of ids[i] with ids[i + 1]
                                                  */
    uint32_t ranks[SHORT_WORD];
    size_t count = bpe_start_ids(bpe, word, size, ids);
    for (size_t i = 0; i + 1 < count; i++)
        ranks[i] = bpe_rank(bpe, ids[i], ids[i + 1], &joined[i]);
    while (count > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < count; i++)
            if (ranks[i] < ranks[best])
                best = i;
        if (ranks[best] == BPE_NO_RANK)
            break;
        ids[best] = joined[best];
        count--;
        for (size_t i = best + 1; i < count; i++) {
            ids[i] = ids[i + 1];
            ranks[i - 1] = ranks[i];
            joined[i - 1] = joined[i];
        }
        if (best > 0)
            ranks[best - 1] = bpe_rank(bpe, ids[best - 1], ids[best], &joined[best - 1]);
        if (best + 1 < count)
            ranks[best] = bpe_rank(bpe, ids[best], ids[best + 1], &joined[best]);
    }
    return token_list_add(encoder->out, ids, count);
}

static int encode_afresh(struct bpe_encoder *encoder, const char *word, size_t size, uint32_t hash)
{
    const struct bpe *bpe = encoder->bpe;
    if (bpe->whole_words) {
        uint32_t number = bpe_strings_find(&bpe->words, word, size, hash);
        if (number != UINT32_MAX)
            return token_list_add(encoder->out, &bpe->word_ids[number], 1);
    }
    return size <= SHORT_WORD ? encode_short(encoder, word, size)
                              : bpe_encode_long(encoder, word, size);
}

/* Keeps the tokens that the word was just given: those of the output from `before` on. */
static int remember(struct bpe_encoder *encoder, const char *word, size_t size, size_t before)
{
    uint32_t number;
    if (encoder->cache.count >= CACHE_WORDS) {
        bpe_strings_clear(&encoder->cache);
        encoder->ids.count = 0;
    }
    int rc = bpe_strings_add(&encoder->cache, word, size, &number, NULL);
    if (rc == 0)
        rc = bpe_grow(&encoder->spans, &encoder->span_capacity, (size_t)number + 1,
                      sizeof *encoder->spans);
    if (rc)
        return rc;
    size_t count = encoder->out->count - before;
    encoder->spans[number] = (struct cached_ids){(uint32_t)encoder->ids.count, (uint32_t)count};
    return token_list_add(&encoder->ids, encoder->out->ids + before, count);
}

int bpe_encode_word(struct bpe_encoder *encoder, const char *word, size_t size)
{
    uint32_t hash = bpe_hash(word, size), number;
    if (size == 1 && encoder->bpe->byte_ids[(uint8_t)word[0]] >= 0)
        return token_list_add(encoder->out, &encoder->bpe->byte_ids[(uint8_t)word[0]], 1);
    if (size > CACHED_WORD)
        return encode_afresh(encoder, word, size, hash);
    number = bpe_strings_find(&encoder->cache, word, size, hash);
    if (number != UINT32_MAX) {
        struct cached_ids span = encoder->spans[number];
        if (!span.count)
            return 0;
        return token_list_add(encoder->out, encoder->ids.ids + span.offset, span.count);
    }
    size_t before = encoder->out->count;
    int rc = encode_afresh(encoder, word, size, hash);
    return rc ? rc : remember(encoder, word, size, before);
}
