#include "linalg/rate.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"
#include "linalg/matmul.h"

enum { SIZE = 1024 };

int rate_sgemm(double seconds, int all, double *rate)
{
    int rc;
    const size_t count = (size_t)SIZE * SIZE;
    float *a = NULL, *b = NULL, *c = NULL;
    double best = 0;
    TRY(mem_alloc(&a, count, sizeof *a));
    TRY(mem_alloc(&b, count, sizeof *b));
    TRY(mem_alloc(&c, count, sizeof *c));
    for (size_t i = 0; i < count; i++) {
        a[i] = (float)(i % 7) - 3.0f;
        b[i] = (float)(i % 5) - 2.0f;
        c[i] = 0;
    }
    double begin = clock_wall(), now = begin;
    for (int turn = 0; turn < 2 || now - begin < seconds; turn++) {
        double before = clock_wall();
        if (all)
            TRY(matmul_nt(a, b, SIZE, SIZE, SIZE, 0.0f, c));
        else
            gemm(false, true, SIZE, SIZE, SIZE, 1.0f, a, SIZE, b, SIZE, 0.0f, c, SIZE);
        now = clock_wall();
        double measured = 2.0 * SIZE * SIZE * SIZE / (now - before);
        best = measured > best ? measured : best;
    }
    *rate = best;
out:
    mem_free(a);
    mem_free(b);
    mem_free(c);
    return rc;
}
