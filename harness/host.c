#include "harness/host.h"

#include "core/err.h"
#include "core/pool.h"
#include "core/size.h"
#include "core/version.h"
#include "harness/memory_limit.h"
#include "linalg/cpu.h"
#include "linalg/simd.h"

#include <cblas.h>
#include <gnu/libc-version.h>
#include <lapacke.h>
#include <nettle/version.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <utf8proc.h>
#include <yaml.h>
#include <zlib.h>

/* The versions in use, which need not be those that the headers are from. */
static json_t *describe_libraries(void)
{
    char lapack[32], pcre[64] = "", nettle[32];
    int major = 0, minor = 0, patch = 0;
    LAPACK_ilaver(&major, &minor, &patch);
    snprintf(lapack, sizeof lapack, "%d.%d.%d", major, minor, patch);
    snprintf(nettle, sizeof nettle, "%d.%d", nettle_version_major(), nettle_version_minor());
    pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "glibc",
                     gnu_get_libc_version(), "openblas", openblas_get_config(), "lapack", lapack,
                     "sqlite", sqlite3_libversion(), "jansson", jansson_version_str(), "libyaml",
                     yaml_get_version_string(), "pcre2", pcre, "nettle", nettle, "zlib",
                     zlibVersion(), "utf8proc", utf8proc_version());
}

int host_describe(json_t **out)
{
    char cpu[128];
    struct utsname system = {0};
    cpu_model(cpu, sizeof cpu);
    uname(&system);
    json_t *host = json_pack(
        "{s:s, s:s, s:s, s:s, s:i, s:i, s:I, s:s, s:s, s:o, s:{s:s, s:s, s:b, s:s, s:s}}", "cpu",
        cpu, "kernels", cpu_kernels(), "kernels_chosen_by", cpu_choice_name(cpu_info()->choice),
        "vector_kernels", simd.name, "threads", pool_threads(), "cores",
        (int)sysconf(_SC_NPROCESSORS_ONLN), "memory_bytes",
        (json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), "system", system.sysname,
        "release", system.release, "libraries", describe_libraries(), "bitbench", "version",
        BITBENCH_VERSION, "commit", version.commit, "dirty", version.dirty, "compiler",
        version.compiler, "flags", version.flags);
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
