/* Random draws. Every function that draws takes its generator as a parameter. */
#ifndef CORE_RNG_H
#define CORE_RNG_H

#include <stdint.h>

/* xoshiro256** by Blackman and Vigna; the four words are seeded by splitmix64. */
struct rng {
    uint64_t state[4];
};
void rng_seed(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);
/* Uniform in [0, bound), without bias; bound > 0. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* Uniform in [0, 1) with 53 bits. */
double rng_uniform(struct rng *rng);
/* Standard normal (Box-Muller; one value a call, the second is dropped so that the state is only
 * the four words). */
double rng_normal(struct rng *rng);

#endif
