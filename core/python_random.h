/* The draws of Python's module random, so that the segments of a published calibration can be drawn
 * again: the Mersenne Twister MT19937 of Matsumoto and Nishimura (1998), seeded and read as CPython
 * 3 does it (Modules/_randommodule.c, Lib/random.py). */
#ifndef CORE_PYTHON_RANDOM_H
#define CORE_PYTHON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

enum { PYTHON_RANDOM_WORDS = 624 };

struct python_random {
    uint32_t state[PYTHON_RANDOM_WORDS];
    int next; /* word of the state that is read next */
};

/* random.seed(seed) */
void python_random_seed(struct python_random *random, uint64_t seed);
/* The seeding below it: init_by_array of the twister's reference implementation; count > 0. */
void python_random_seed_words(struct python_random *random, const uint32_t *words, size_t count);

/* The next 32 bits: random.getrandbits(32). */
uint32_t python_random_word(struct python_random *random);

/* The position in 0 .. bound - 1 that one word stands for, or `bound`: the word is passed over.
 * random.randrange takes the word's first bits, as many as bound has, and draws anew while the
 * number is too large. 0 < bound. */
uint32_t python_random_place(uint32_t word, uint32_t bound);

/* random.randrange(bound), which is random.randint(0, bound - 1). 0 < bound. */
uint32_t python_random_below(struct python_random *random, uint32_t bound);

#endif
