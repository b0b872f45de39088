/* What this CPU can do, and which of OpenBLAS's kernel sets fits it. OpenBLAS 0.3.21 does not know
 * CPUs that are newer than itself and then falls back on kernels that are several times slower; it
 * can be told better only before it is loaded. */
#ifndef LINALG_CPU_H
#define LINALG_CPU_H

#include <stdbool.h>
#include <stddef.h>

struct cpu_features {
    bool avx, avx2, fma, f16c;
    bool avx512; /* F, CD, BW, DQ and VL: what OpenBLAS's SkylakeX kernels are compiled for */
    bool avx512_vnni, avx512_bf16;
};

/* Who chose the kernel set in use. */
enum cpu_choice {
    CPU_CHOICE_LIBRARY, /* OpenBLAS did, and the CPU can do no better */
    CPU_CHOICE_USER,    /* OPENBLAS_CORETYPE was set from outside */
    CPU_CHOICE_PROGRAM, /* cpu_prepare did, since OpenBLAS's own choice was worse */
    CPU_CHOICE_FAILED /* cpu_prepare tried and could not: no /proc, or the library would not follow
                       */
};

struct cpu_info {
    struct cpu_features features;
    enum cpu_choice choice;
    char library_choice[32]; /* the set that OpenBLAS had chosen by itself; "" with CPU_CHOICE_USER
                              */
};

/* Call first in main, before any thread is started or file opened. When OpenBLAS chose a kernel set
 * that is worse than what the CPU can run, sets OPENBLAS_CORETYPE and executes /proc/self/exe anew
 * with the same arguments, once; a guard variable excludes a loop. What the user has set stays.
 * Never fails: 0, with the kernels that there are. */
int cpu_prepare(char **argv);

/* The same with another name in place of the library's own choice: for tests. */
int cpu_prepare_from(char **argv, const char *corename);

/* What cpu_prepare found; before it, only features are filled. */
const struct cpu_info *cpu_info(void);

/* The kernel set to ask for, or NULL to leave things as they are. corename and config are
 * OpenBLAS's words (openblas_get_corename, openblas_get_config), user is OPENBLAS_CORETYPE or NULL.
 */
const char *cpu_decide(const struct cpu_features *features, const char *corename,
                       const char *config, const char *user);

/* The name of the kernel set in use, as OpenBLAS has it: "SkylakeX". Part of a point's provenance.
 */
const char *cpu_kernels(void);

/* "library", "user", "program" or "failed". */
const char *cpu_choice_name(enum cpu_choice choice);

/* The CPU's own name out of /proc/cpuinfo, "unknown" where there is none. */
void cpu_model(char *out, size_t size);

#endif
