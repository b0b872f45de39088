#include "harness/drift.h"

#include "core/clock.h"
#include "core/err.h"
#include "core/interrupt.h"
#include "core/mem.h"
#include "core/pool.h"

#include <math.h>
#include <string.h>

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
    return 0;
}

/* ---- what is kept ---- */

static struct drift_states *find(const struct drift_kept *kept, const struct stream *stream)
{
    for (int i = 0; kept && i < kept->count; i++)
        if (kept->streams[i].tokens == stream->tokens)
            return &kept->streams[i];
    return NULL;
}

bool drift_can_begin(const struct drift_kept *kept, const struct stream *stream, int begin)
{
    const struct drift_states *states = find(kept, stream);
    return begin == 0 || (states && states->blocks >= begin);
}

static int add(struct drift_kept *kept, const struct stream *stream, int most)
{
    int rc;
    struct drift_states fresh = {.tokens = stream->tokens, .most = most};
    TRY(mem_calloc(&fresh.times, (size_t)most, sizeof *fresh.times));
    TRY(mem_calloc(&fresh.behind, (size_t)most, sizeof *fresh.behind));
    TRY(mem_resize(&kept->streams, (size_t)kept->count, (size_t)kept->count + 1,
                   sizeof *kept->streams));
    kept->streams[kept->count++] = fresh;
    fresh = (struct drift_states){0};
out:
    mem_free(fresh.times);
    mem_free(fresh.behind);
    return rc;
}

void drift_kept_release(struct drift_kept *kept)
{
    for (int i = 0; i < kept->count; i++) {
        for (int k = 0; k < kept->streams[i].blocks; k++)
            mem_free(kept->streams[i].behind[k]);
        mem_free(kept->streams[i].behind);
        mem_free(kept->streams[i].times);
    }
    mem_free(kept->streams);
    *kept = (struct drift_kept){0};
}

/* ---- for one point ---- */

/* The states that work goes on from: those before block `begin`. */
static int open_full(struct drift *drift, const struct model *model, const struct stream *stream,
                     int begin, const char *folder)
{
    int rc;
    TRY(states_open(&drift->full, "full model's calibration", stream->rows, model->config.width,
                    stream_largest_chunk(stream), folder));
    if (begin == 0)
        TRY(stream_embed(model, stream, &drift->full));
    for (int first = 0; begin > 0 && first < stream->rows; first += CHUNK_ROWS) {
        int count = stream->rows - first < CHUNK_ROWS ? stream->rows - first : CHUNK_ROWS;
        size_t width = (size_t)model->config.width;
        float *x;
        TRY(states_take(&drift->full, first, count, false, &x));
        memcpy(x, drift->states->behind[begin - 1] + (size_t)first * width,
               (size_t)count * width * sizeof *x);
        TRY(states_put(&drift->full, first, count));
    }
out:
    return rc;
}

double drift_keeps(const struct drift_kept *kept, const struct model *model,
                   const struct stream *stream, int end, double room)
{
    const double bytes = 4.0 * stream->rows * model->config.width * end;
    return kept && !find(kept, stream) && bytes < room / 2 ? bytes : 0;
}

int drift_start(struct drift *drift, struct drift_kept *kept, const struct model *model,
                const struct stream *stream, int begin, int end, bool keep, const char *folder)
{
    int rc = 0;
    struct drift fresh = {.on = true, .states = find(kept, stream)};
    if (keep && !fresh.states && !folder) {
        TRY(add(kept, stream, end));
        fresh.states = &kept->streams[kept->count - 1];
    }
    *drift = fresh;
    if (!fresh.states || fresh.states->blocks < end)
        TRY(open_full(drift, model, stream, begin, folder));
out:
    return rc;
}

void drift_stop(struct drift *drift)
{
    states_close(&drift->full);
    *drift = (struct drift){0};
}

static bool is_kept(const struct drift *drift, int number)
{
    return drift->states && number < drift->states->blocks;
}

/* The states behind a block have just been computed, in this time. */
static int keep_states(const struct drift *drift, int number, struct drift_time took)
{
    struct drift_states *states = drift->states;
    size_t count = (size_t)drift->full.rows * (size_t)drift->full.width;
    float *copy;
    if (!states || states->blocks != number || number >= states->most || drift->full.folder)
        return 0;
    int rc = mem_alloc(&copy, count, sizeof *copy);
    if (rc)
        return rc;
    memcpy(copy, drift->full.memory, count * sizeof *copy);
    states->times[number] = took;
    states->behind[states->blocks++] = copy;
    return 0;
}

int drift_advance(struct drift *drift, const struct model *model, const struct block *block,
                  int number, const struct stream *stream, struct drift_time *saved)
{
    int rc = 0;
    struct drift_time took = {clock_wall(), clock_cpu()};
    *saved = (struct drift_time){0};
    if (!drift->full.memory) {
        *saved = drift->states->times[number];
        return 0;
    }
    TRY(stream_block(model, block, stream, &drift->full, NULL, "drift"));
    took = (struct drift_time){clock_wall() - took.wall, clock_cpu() - took.cpu};
    TRY(keep_states(drift, number, took));
out:
    return rc;
}

int drift_measure(struct drift *drift, struct states *quantized, int number,
                  struct block_record *record)
{
    int rc = 0, width = quantized->width, rows = quantized->rows;
    struct sums all = {0};
    for (int first = 0; first < rows; first += CHUNK_ROWS) {
        struct comparison c = {.width = width};
        float *a, *b;
        c.rows = rows - first < CHUNK_ROWS ? rows - first : CHUNK_ROWS;
        TRY(states_take(quantized, first, c.rows, true, &a));
        if (is_kept(drift, number))
            b = drift->states->behind[number] + (size_t)first * (size_t)width;
        else
            TRY(states_take(&drift->full, first, c.rows, true, &b));
        states_expect(quantized, first + c.rows, c.rows);
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
    *record = (struct block_record){
        .block = number, .drift = sqrt(all.difference / all.full), .cosine = all.cosine / rows};
out:
    return rc;
}
