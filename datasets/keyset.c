#include "datasets/documents.h"

uint64_t key_mix(uint64_t key)
{
    key += 0x9e3779b97f4a7c15u;
    key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9u;
    key = (key ^ (key >> 27)) * 0x94d049bb133111ebu;
    return key ^ (key >> 31);
}

/* FNV-1a, spread once more at the end. */
uint64_t key_of(const char *bytes, size_t count)
{
    uint64_t key = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++)
        key = (key ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return key_mix(key);
}

/* Open addressing in a table of a power of two; 0 marks a free slot, so the key 0 is kept as 1. */
static size_t find_slot(const uint64_t *slots, size_t capacity, uint64_t key)
{
    size_t slot = (size_t)key & (capacity - 1);
    while (slots[slot] && slots[slot] != key)
        slot = (slot + 1) & (capacity - 1);
    return slot;
}

static int grow(struct keyset *set)
{
    size_t capacity = set->capacity ? set->capacity * 2 : 1024;
    uint64_t *slots;
    int rc = mem_calloc(&slots, capacity, sizeof *slots);
    if (rc)
        return rc;
    for (size_t i = 0; i < set->capacity; i++)
        if (set->slots[i])
            slots[find_slot(slots, capacity, set->slots[i])] = set->slots[i];
    mem_free(set->slots);
    set->slots = slots;
    set->capacity = capacity;
    return 0;
}

int keyset_add(struct keyset *set, uint64_t key, int *fresh)
{
    key = key ? key : 1;
    if (set->count * 2 >= set->capacity) {
        int rc = grow(set);
        if (rc)
            return rc;
    }
    size_t slot = find_slot(set->slots, set->capacity, key);
    if (fresh)
        *fresh = !set->slots[slot];
    set->count += !set->slots[slot];
    set->slots[slot] = key;
    return 0;
}

int keyset_has(const struct keyset *set, uint64_t key)
{
    key = key ? key : 1;
    return set->capacity && set->slots[find_slot(set->slots, set->capacity, key)] == key;
}

void keyset_release(struct keyset *set)
{
    mem_free(set->slots);
    *set = (struct keyset){0};
}
