#include "linalg/simd.h"

#include <stdlib.h>
#include <string.h>

#define KERNEL(result, kernel, arguments) result kernel##_base arguments;
#include "linalg/simd/kernels.def"
#undef KERNEL
static const struct simd set_base = {
    "base",
#define KERNEL(result, kernel, arguments) kernel##_base,
#include "linalg/simd/kernels.def"
#undef KERNEL
};

static const struct simd set_ref = {
    "ref",
#define KERNEL(result, kernel, arguments) kernel##_ref,
#include "linalg/simd/kernels.def"
#undef KERNEL
};

#if defined(__x86_64__)
#define KERNEL(result, kernel, arguments) result kernel##_avx2 arguments;
#include "linalg/simd/kernels.def"
#undef KERNEL
static const struct simd set_avx2 = {
    "avx2",
#define KERNEL(result, kernel, arguments) kernel##_avx2,
#include "linalg/simd/kernels.def"
#undef KERNEL
};

#define KERNEL(result, kernel, arguments) result kernel##_avx512 arguments;
#include "linalg/simd/kernels.def"
#undef KERNEL
static const struct simd set_avx512 = {
    "avx512",
#define KERNEL(result, kernel, arguments) kernel##_avx512,
#include "linalg/simd/kernels.def"
#undef KERNEL
};
#endif

struct simd simd = {
    "base",
#define KERNEL(result, kernel, arguments) kernel##_base,
#include "linalg/simd/kernels.def"
#undef KERNEL
};

const struct simd *simd_set(int i)
{
    const struct simd *sets[5] = {0};
    int count = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        sets[count++] = &set_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        sets[count++] = &set_avx2;
#endif
    sets[count++] = &set_base;
    sets[count++] = &set_ref;
    return i >= 0 && i < count ? sets[i] : NULL;
}

int simd_choose(const char *name)
{
    const struct simd *set;
    for (int i = 0; (set = simd_set(i)) != NULL; i++) {
        if (strcmp(set->name, name) == 0) {
            simd = *set;
            return 1;
        }
    }
    return 0;
}

/* Before main, so that no caller can run on another set than the next. */
__attribute__((constructor)) static void choose_at_start(void)
{
    const char *wanted = getenv("BITBENCH_SIMD");
    if (!wanted || !simd_choose(wanted))
        simd = *simd_set(0);
}
