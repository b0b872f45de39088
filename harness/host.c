#include "harness/host.h"

#include "core/err.h"
#include "core/pool.h"
#include "core/version.h"
#include "linalg/cpu.h"

#include <cblas.h>
#include <sqlite3.h>
#include <sys/utsname.h>
#include <unistd.h>

int host_describe(json_t **out)
{
    char cpu[128];
    struct utsname system = {0};
    cpu_model(cpu, sizeof cpu);
    uname(&system);
    json_t *host = json_pack(
        "{s:s, s:s, s:s, s:i, s:I, s:s, s:s, s:{s:s, s:s, s:s}, s:{s:s, s:s, "
        "s:b, s:s, s:s}}",
        "cpu", cpu, "kernels", cpu_kernels(), "kernels_chosen_by",
        cpu_choice_name(cpu_info()->choice), "threads", pool_threads(), "memory_bytes",
        (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), "system", system.sysname,
        "release", system.release, "libraries", "openblas", openblas_get_config(), "sqlite",
        sqlite3_libversion(), "jansson", JANSSON_VERSION, "bitbench", "version", BITBENCH_VERSION,
        "commit", version.commit, "dirty", version.dirty, "compiler", version.compiler, "flags",
        version.flags);
    if (!host)
        return err_set(ERR_MEMORY, "out of memory: the description of the host");
    *out = host;
    return 0;
}

int host_check_memory(const char *what, double tokens, int width)
{
    double have = (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE);
    double need = tokens * (2 * sizeof(int32_t) + sizeof(float) * (double)width);
    if (have <= 0 || need <= have)
        return 0;
    return err_set(ERR_MEMORY,
                   "%s: %.0f tokens take %.1f GB of memory at a width of %d, and this machine has "
                   "%.1f: take fewer",
                   what, tokens, need * 1e-9, width, have * 1e-9);
}
