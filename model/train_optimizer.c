/* AdamW over the flat arrays, in fixed pieces on the pool, and the learning rate's schedule. */
#include "core/err.h"
#include "core/mem.h"
#include "core/pool.h"
#include "linalg/adam.h"
#include "linalg/simd.h"
#include "model/train.h"

#include <math.h>
#include <string.h>

enum { PIECE = 16384, SUM = 4096 /* squares that are added in float32 */ };

int train_optimizer_init(struct train_optimizer *optimizer, const struct train_model *model)
{
    int rc = 0;
    *optimizer = (struct train_optimizer){
        .beta1 = 0.9, .beta2 = 0.95, .epsilon = 1e-8, .decay = 0.1};
    TRY(mem_calloc(&optimizer->first, model->parameters, sizeof(float)));
    TRY(mem_calloc(&optimizer->second, model->parameters, sizeof(float)));
out:
    if (rc)
        train_optimizer_release(optimizer);
    return rc;
}

void train_optimizer_release(struct train_optimizer *optimizer)
{
    mem_free(optimizer->first);
    mem_free(optimizer->second);
    memset(optimizer, 0, sizeof *optimizer);
}

struct update {
    const struct train_optimizer *optimizer;
    struct train_model *model;
    struct adam_step adam;
    float shrink;
    double *squares;
};

static int square_task(void *context, int index, int worker)
{
    struct update *u = context;
    size_t at = (size_t)index * PIECE,
           count = u->model->parameters - at < PIECE ? u->model->parameters - at : PIECE;
    for (size_t i = 0; i < count; i += SUM) {
        const float *g = u->model->gradients + at + i;
        u->squares[index] += (double)simd.dot(g, g, (int)(count - i < SUM ? count - i : SUM));
    }
    return 0;
}

/* One tensor's share of a piece: only matrices shrink. */
static int update_task(void *context, long begin, long end, int worker)
{
    struct update *u = context;
    struct train_model *m = u->model;
    for (int t = 0; t < m->tensor_count; t++) {
        const struct train_tensor *tensor = &m->tensors[t];
        long first = (long)tensor->offset,
             last = first + (long)(tensor->rows ? tensor->rows : 1) * tensor->columns;
        first = first > begin ? first : begin;
        last = last < end ? last : end;
        if (first >= last)
            continue;
        struct adam_step adam = u->adam;
        adam.shrink = tensor->decays ? u->shrink : 1.0f;
        simd.adam(m->weights + first, m->gradients + first, u->optimizer->first + first,
                  u->optimizer->second + first, &adam, (int)(last - first));
    }
    return 0;
}

int train_optimizer_step(struct train_optimizer *optimizer, struct train_model *model, double rate,
                         double clip, double *norm)
{
    int pieces = (int)((model->parameters + PIECE - 1) / PIECE), rc = 0;
    struct update u = {
        .optimizer = optimizer, .model = model, .shrink = (float)(1.0 - rate * optimizer->decay)};
    double total = 0.0, step = (double)optimizer->step + 1.0;
    TRY(mem_calloc(&u.squares, (size_t)pieces, sizeof(double)));
    TRY(pool_run(square_task, &u, pieces));
    for (int i = 0; i < pieces; i++)
        total += u.squares[i];
    total = sqrt(total);
    if (!isfinite(total)) {
        rc = err_set(
            ERR_NUMERIC,
            "training diverged: the gradient of update %.0f is not finite; lower learning_rate",
            step);
        goto out;
    }
    u.adam = (struct adam_step){.rate = (float)rate,
                                .beta1 = (float)optimizer->beta1,
                                .beta2 = (float)optimizer->beta2,
                                .correct1 = (float)(1.0 / (1.0 - pow(optimizer->beta1, step))),
                                .correct2 = (float)(1.0 / (1.0 - pow(optimizer->beta2, step))),
                                .epsilon = (float)optimizer->epsilon,
                                .scale = clip > 0.0 && total > clip ? (float)(clip / total) : 1.0f};
    TRY(pool_run_rows(update_task, &u, (long)model->parameters, PIECE));
    optimizer->step++;
    *norm = total;
out:
    mem_free(u.squares);
    return rc;
}

double train_rate(const struct train_schedule *s, int64_t tokens)
{
    double span = (double)(s->total - s->warmup), done, part;
    if (tokens < s->warmup)
        return s->peak * (double)tokens / (double)s->warmup;
    if (tokens >= s->total)
        return s->peak * s->floor;
    done = (double)(tokens - s->warmup) / span;
    if (s->shape == TRAIN_COSINE) {
        part = 0.5 * (1.0 + cos(3.14159265358979323846 * done));
    } else {
        double end = s->decay * (double)s->total, left = (double)(s->total - tokens);
        part = left < end ? left / end : 1.0;
    }
    return s->peak * (s->floor + (1.0 - s->floor) * part);
}
