#include "harness/drift.h"

#include "core/err.h"
#include "core/interrupt.h"
#include "core/pool.h"

#include <math.h>

enum { CHUNK_ROWS = 4096, TASK_ROWS = 64 }; /* no more than streams ask for at once */

struct sums {
    double difference, full, cosine;
};

struct comparison {
    const float *quantized, *full;
    int rows, width;
    struct sums sums[CHUNK_ROWS / TASK_ROWS];
};

static int compare_rows(void *context, int index, int worker)
{
    struct comparison *c = context;
    struct sums sums = {0};
    int end = (index + 1) * TASK_ROWS < c->rows ? (index + 1) * TASK_ROWS : c->rows;
    for (int r = index * TASK_ROWS; r < end; r++) {
        const float *a = c->quantized + (size_t)r * (size_t)c->width,
                    *b = c->full + (size_t)r * (size_t)c->width;
        double aa = 0, ab = 0, bb = 0, difference = 0;
        for (int i = 0; i < c->width; i++) {
            double x = (double)a[i], y = (double)b[i];
            aa += x * x;
            ab += x * y;
            bb += y * y;
            difference += (x - y) * (x - y);
        }
        sums.difference += difference;
        sums.full += bb;
        sums.cosine += aa == 0 && bb == 0 ? 1 : aa == 0 || bb == 0 ? 0 : ab / sqrt(aa * bb);
    }
    c->sums[index] = sums;
    (void)worker;
    return 0;
}

int drift_between(struct states *quantized, struct states *full, double *drift, double *cosine)
{
    int rc = 0;
    struct sums all = {0};
    for (int first = 0; first < full->rows; first += CHUNK_ROWS) {
        struct comparison c = {.width = full->width};
        float *a, *b;
        c.rows = full->rows - first < CHUNK_ROWS ? full->rows - first : CHUNK_ROWS;
        TRY(states_take(quantized, first, c.rows, true, &a));
        TRY(states_take(full, first, c.rows, true, &b));
        states_expect(quantized, first + c.rows, c.rows);
        states_expect(full, first + c.rows, c.rows);
        c.quantized = a;
        c.full = b;
        int tasks = (c.rows + TASK_ROWS - 1) / TASK_ROWS;
        TRY(pool_run(compare_rows, &c, tasks));
        for (int i = 0; i < tasks; i++) {
            all.difference += c.sums[i].difference;
            all.full += c.sums[i].full;
            all.cosine += c.sums[i].cosine;
        }
        TRY(interrupt_check());
    }
    *drift = sqrt(all.difference / all.full);
    *cosine = all.cosine / full->rows;
out:
    return rc;
}
