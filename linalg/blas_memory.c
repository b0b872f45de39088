#include "linalg/blas_memory.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/matmul.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* A little more than a buffer of OpenBLAS, in any of its kernel sets, and what it is kept in. */
enum { BUFFER_MEGABYTES = 136, SIDE = 128 };
static const double patience = 0.1; /* seconds */

/* All threads are in their product at about the same time, so that each gets a buffer. */
static int take_buffer(void *context, int index, int worker)
{
    static _Thread_local float square[SIDE * SIDE];
    atomic_int *arrived = context;
    int rc;
    float *product = NULL;
    TRY(mem_calloc(&product, SIDE * SIDE, sizeof *product));
    atomic_fetch_add(arrived, 1);
    for (double start = clock_wall(); clock_wall() - start < patience;) {
        gemm(false, true, SIDE, SIDE, SIDE, 1, square, SIDE, square, SIDE, 0, product, SIDE);
        if (atomic_load(arrived) >= pool_threads())
            break;
    }
out:
    mem_free(product);
    return rc;
}

int blas_memory_reserve(void)
{
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur == RLIM_INFINITY)
        return 0;
    size_t size = (size_t)pool_threads() * BUFFER_MEGABYTES << 20;
    void *room = mmap(NULL, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED)
        return err_set(
            ERR_MEMORY,
            "the limit of the address space (ulimit -v), %llu MiB, leaves no room for the "
            "work memory of OpenBLAS, %d MiB a thread: raise it, or use fewer --threads",
            (unsigned long long)(space.rlim_cur >> 20), BUFFER_MEGABYTES);
    munmap(room, size);
    atomic_int arrived = 0;
    return pool_run(take_buffer, &arrived, pool_threads());
}
