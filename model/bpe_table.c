#include "model/bpe_table.h"

#include "core/err.h"
#include "core/mem.h"

#include <string.h>

int bpe_grow(void *array, size_t *capacity, size_t needed, size_t size)
{
    if (needed <= *capacity)
        return 0;
    size_t target = needed < 16 ? 16 : needed > SIZE_MAX / 2 ? needed : needed * 2;
    int rc = mem_resize(array, *capacity, target, size);
    if (rc == 0)
        *capacity = target;
    return rc;
}

uint32_t bpe_hash(const char *bytes, size_t size)
{
    const uint64_t factor = 0x9e3779b97f4a7c15u; /* 2^64 / the golden ratio */
    uint64_t hash = size * factor, part;
    for (; size >= 8; bytes += 8, size -= 8) {
        memcpy(&part, bytes, 8);
        hash = (hash ^ part) * factor;
        hash ^= hash >> 29;
    }
    part = 0;
    for (size_t i = 0; i < size; i++)
        part |= (uint64_t)(uint8_t)bytes[i] << 8 * i;
    hash = (hash ^ part) * factor;
    hash ^= hash >> 32;
    return (uint32_t)(hash * factor >> 32);
}

static uint32_t find_slot(const struct bpe_strings *strings, const char *bytes, size_t size,
                          uint32_t hash)
{
    uint32_t at = hash & strings->slot_mask;
    for (;; at = (at + 1) & strings->slot_mask) {
        uint32_t number = strings->slots[at];
        if (!number)
            return at;
        const struct bpe_string *item = &strings->items[number - 1];
        if (item->hash == hash && item->size == size &&
            memcmp(strings->pool + item->offset, bytes, size) == 0)
            return at;
    }
}

uint32_t bpe_strings_find(const struct bpe_strings *strings, const char *bytes, size_t size,
                          uint32_t hash)
{
    if (!strings->slots)
        return UINT32_MAX;
    return strings->slots[find_slot(strings, bytes, size, hash)] - 1;
}

static int grow_slots(struct bpe_strings *strings)
{
    size_t slots = strings->slots ? ((size_t)strings->slot_mask + 1) * 2 : 64;
    if (slots > (size_t)1 << 31)
        return err_set(ERR_MEMORY, "tokenizer: more than %u distinct words", strings->count);
    uint32_t *fresh;
    int rc = mem_calloc(&fresh, slots, sizeof *fresh);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < strings->count; i++) {
        size_t at = strings->items[i].hash & (slots - 1);
        while (fresh[at])
            at = (at + 1) & (slots - 1);
        fresh[at] = i + 1;
    }
    mem_free(strings->slots);
    strings->slots = fresh;
    strings->slot_mask = (uint32_t)(slots - 1);
    return 0;
}

int bpe_strings_add(struct bpe_strings *strings, const char *bytes, size_t size, uint32_t *number,
                    bool *fresh)
{
    int rc = 0;
    if (size > UINT32_MAX)
        return err_set(ERR_FORMAT, "tokenizer: a word of %zu bytes is too long", size);
    if (!strings->slots || strings->count >= strings->slot_mask / 2)
        if ((rc = grow_slots(strings)))
            return rc;
    uint32_t hash = bpe_hash(bytes, size), slot = find_slot(strings, bytes, size, hash);
    if (fresh)
        *fresh = !strings->slots[slot];
    if (!strings->slots[slot]) {
        size_t capacity = strings->capacity;
        if ((rc = bpe_grow(&strings->items, &capacity, strings->count + 1, sizeof *strings->items)))
            return rc;
        strings->capacity = (uint32_t)capacity;
        if ((rc = bpe_grow(&strings->pool, &strings->pool_capacity, strings->pool_size + size, 1)))
            return rc;
        if (size)
            memcpy(strings->pool + strings->pool_size, bytes, size);
        strings->items[strings->count] = (struct bpe_string){strings->pool_size, (uint32_t)size,
                                                             hash};
        strings->pool_size += size;
        strings->slots[slot] = ++strings->count;
    }
    *number = strings->slots[slot] - 1;
    return 0;
}

void bpe_strings_clear(struct bpe_strings *strings)
{
    strings->count = 0;
    strings->pool_size = 0;
    if (strings->slots)
        memset(strings->slots, 0, ((size_t)strings->slot_mask + 1) * sizeof *strings->slots);
}

void bpe_strings_release(struct bpe_strings *strings)
{
    mem_free(strings->pool);
    mem_free(strings->items);
    mem_free(strings->slots);
    memset(strings, 0, sizeof *strings);
}

static uint32_t hash_key(uint64_t key)
{
    key ^= key >> 32;
    return (uint32_t)(key * 0x9e3779b97f4a7c15u >> 32);
}

static struct bpe_pair_slot *pair_slot(const struct bpe_pairs *pairs, uint64_t key)
{
    uint32_t at = hash_key(key) & pairs->mask;
    while (pairs->slots[at].key && pairs->slots[at].key != key)
        at = (at + 1) & pairs->mask;
    return &pairs->slots[at];
}

struct bpe_pair_slot *bpe_pairs_find(const struct bpe_pairs *pairs, uint32_t left, uint32_t right)
{
    if (!pairs->slots)
        return NULL;
    struct bpe_pair_slot *slot = pair_slot(pairs, ((uint64_t)left << 32 | right) + 1);
    return slot->key ? slot : NULL;
}

static int grow_pairs(struct bpe_pairs *pairs)
{
    struct bpe_pairs larger = {NULL, pairs->count, pairs->slots ? pairs->mask * 2 + 1 : 63};
    if (larger.mask >= 1u << 31)
        return err_set(ERR_MEMORY, "tokenizer: more than %u pairs of tokens", pairs->count);
    int rc = mem_calloc(&larger.slots, (size_t)larger.mask + 1, sizeof *larger.slots);
    if (rc)
        return rc;
    for (size_t i = 0; pairs->slots && i <= pairs->mask; i++)
        if (pairs->slots[i].key)
            *pair_slot(&larger, pairs->slots[i].key) = pairs->slots[i];
    mem_free(pairs->slots);
    *pairs = larger;
    return 0;
}

int bpe_pairs_add(struct bpe_pairs *pairs, uint32_t left, uint32_t right,
                  struct bpe_pair_slot **slot, bool *fresh)
{
    if (!pairs->slots || pairs->count >= pairs->mask / 2) {
        int rc = grow_pairs(pairs);
        if (rc)
            return rc;
    }
    uint64_t key = ((uint64_t)left << 32 | right) + 1;
    *slot = pair_slot(pairs, key);
    *fresh = !(*slot)->key;
    if (*fresh) {
        (*slot)->key = key;
        pairs->count++;
    }
    return 0;
}

void bpe_pairs_release(struct bpe_pairs *pairs)
{
    mem_free(pairs->slots);
    memset(pairs, 0, sizeof *pairs);
}
