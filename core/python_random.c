#include "core/python_random.h"

enum { N = PYTHON_RANDOM_WORDS, M = 397 };

static void seed_word(struct python_random *random, uint32_t seed)
{
    random->state[0] = seed;
    for (uint32_t i = 1; i < N; i++) {
        uint32_t last = random->state[i - 1];
        random->state[i] = 1812433253u * (last ^ (last >> 30)) + i;
    }
    random->next = N;
}

/* One step of init_by_array: mixes the word before place i into it. */
static uint32_t mixed(const uint32_t *state, int i, uint32_t factor)
{
    return state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) * factor);
}

static int step(uint32_t *state, int i)
{
    if (++i < N)
        return i;
    state[0] = state[N - 1];
    return 1;
}

void python_random_seed_words(struct python_random *random, const uint32_t *words, size_t count)
{
    uint32_t *state = random->state;
    int i = 1;
    seed_word(random, 19650218u);
    for (size_t k = 0, j = 0; k < (count > N ? count : N); k++, j = j + 1 < count ? j + 1 : 0) {
        state[i] = mixed(state, i, 1664525u) + words[j] + (uint32_t)j;
        i = step(state, i);
    }
    for (int k = 0; k < N - 1; k++) {
        state[i] = mixed(state, i, 1566083941u) - (uint32_t)i;
        i = step(state, i);
    }
    state[0] = 0x80000000u;
}

/* CPython hands over the number's words of 32 bits, the lowest first; 0 is one word. */
void python_random_seed(struct python_random *random, uint64_t seed)
{
    const uint32_t words[] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    python_random_seed_words(random, words, words[1] ? 2 : 1);
}

static void refill(struct python_random *random)
{
    uint32_t *state = random->state;
    for (int i = 0; i < N; i++) {
        uint32_t y = (state[i] & 0x80000000u) | (state[(i + 1) % N] & 0x7fffffffu);
        state[i] = state[(i + M) % N] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    random->next = 0;
}

uint32_t python_random_word(struct python_random *random)
{
    if (random->next >= N)
        refill(random);
    uint32_t y = random->state[random->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

uint32_t python_random_place(uint32_t word, uint32_t bound)
{
    int bits = 32 - __builtin_clz(bound);
    uint32_t place = word >> (32 - bits);
    return place < bound ? place : bound;
}

uint32_t python_random_below(struct python_random *random, uint32_t bound)
{
    uint32_t place;
    do
        place = python_random_place(python_random_word(random), bound);
    while (place == bound);
    return place;
}
