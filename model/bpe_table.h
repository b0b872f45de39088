/* Hash tables of byte-level BPE: byte strings to a running number, and pairs of tokens to a number.
 */
#ifndef MODEL_BPE_TABLE_H
#define MODEL_BPE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Distinct byte strings, numbered 0, 1, ... in the order of their first appearance.
 * Zero-initialise. */
struct bpe_strings {
    char *pool; /* all of them, one behind the other */
    size_t pool_size, pool_capacity;
    struct bpe_string {
        size_t offset; /* within pool */
        uint32_t size, hash;
    } * items;
    uint32_t count, capacity;
    uint32_t *slots; /* number + 1, or 0: free; slot_mask + 1 of them */
    uint32_t slot_mask;
};

uint32_t bpe_hash(const char *bytes, size_t size);
/* The number of a string, or UINT32_MAX. hash is bpe_hash of it. */
uint32_t bpe_strings_find(const struct bpe_strings *strings, const char *bytes, size_t size,
                          uint32_t hash);
/* *number = that of the string, which is added when it is new (*fresh, which may be NULL). */
int bpe_strings_add(struct bpe_strings *strings, const char *bytes, size_t size, uint32_t *number,
                    bool *fresh);
void bpe_strings_clear(struct bpe_strings *strings);
void bpe_strings_release(struct bpe_strings *strings);

/* From a pair of tokens to a number. Zero-initialise. */
struct bpe_pairs {
    struct bpe_pair_slot {
        uint64_t key; /* (left << 32 | right) + 1; 0: free */
        uint32_t value, extra;
    } * slots;
    uint32_t count, mask;
};

/* The slot of a pair, or NULL. */
struct bpe_pair_slot *bpe_pairs_find(const struct bpe_pairs *pairs, uint32_t left, uint32_t right);
/* *slot = that of the pair, new ones with value and extra 0 and *fresh set. Valid until the next
 * addition. */
int bpe_pairs_add(struct bpe_pairs *pairs, uint32_t left, uint32_t right,
                  struct bpe_pair_slot **slot, bool *fresh);
void bpe_pairs_release(struct bpe_pairs *pairs);

/* Makes *array, of *capacity elements of `size` bytes, hold at least `needed`: doubles it, contents
 * kept. */
int bpe_grow(void *array, size_t *capacity, size_t needed, size_t size);

#endif
