#include "harness/host.h"

#include "core/err.h"
#include "core/pool.h"
#include "core/size.h"
#include "core/version.h"
#include "harness/memory_limit.h"
#include "linalg/cpu.h"

#include <cblas.h>
#include <sqlite3.h>
#include <sys/statvfs.h>
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
    struct statvfs disk;
    double memory = (double)memory_limit(), room = memory, ids = 24 * tokens; /* while they grow */
    double states = tokens * sizeof(float) * (double)width;
    if (statvfs(memory_spill_folder(), &disk) == 0)
        room += (double)disk.f_bavail * (double)disk.f_frsize;
    if (ids <= memory && states <= room)
        return 0;
    char text[4][SIZE_TEXT];
    size_text(ids, text[0]);
    size_text(memory, text[1]);
    size_text(states, text[2]);
    size_text(room, text[3]);
    return err_set(
        ERR_MEMORY,
        "%s: %.0f tokens take %s of memory, where %s are allowed, and, at a width of %d, "
        "%s of memory or disk, where there are %s: take fewer",
        what, tokens, text[0], text[1], width, text[2], text[3]);
}
