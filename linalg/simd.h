/* Vector kernels, chosen for the CPU at start. Each file of linalg/simd/ is compiled once for each
 * instruction set (base, AVX2 with FMA, AVX-512); a kernel is one line in kernels.def, one function
 * there, and one plain twin in simd_ref.c. Within one set a kernel's result depends on its
 * arguments alone; between sets it may differ in the last places. */
#ifndef LINALG_SIMD_H
#define LINALG_SIMD_H

#include <stdint.h>

struct adam_step;

struct simd {
    const char *name; /* "avx512", "avx2", "base", "ref" */
#define KERNEL(result, kernel, arguments) result(*kernel) arguments;
#include "linalg/simd/kernels.def"
#undef KERNEL
};

/* The chosen set; never changes while work is going on. BITBENCH_SIMD=NAME in the environment
 * overrides the choice. */
extern struct simd simd;

/* The i-th set that this CPU can run, best first, the plain twins ("ref") last; NULL behind the
 * last. */
const struct simd *simd_set(int i);

/* Takes another set by its name: for tests. Returns 0 when the CPU cannot run it or there is none
 * of that name. */
int simd_choose(const char *name);

/* The plain twins: the same results in plain C, in the order a textbook would compute them,
 * accumulating in double. */
#define KERNEL(result, kernel, arguments) result kernel##_ref arguments;
#include "linalg/simd/kernels.def"
#undef KERNEL

#endif
