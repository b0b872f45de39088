/* What the head says of hidden states. A task takes a part of the vocabulary, packs its weights and
 * makes the logits of one tile of rows after another; a row's parts are put together in their
 * order, so the result does not depend on the number of threads. */
#include "core/err.h"
#include "core/pool.h"
#include "linalg/matmul.h"
#include "linalg/panel.h"
#include "linalg/simd.h"
#include "model/model.h"
#include "model/workspace.h"

#include <math.h>
#include <string.h>

enum { TILE_ROWS = 128, PART = 256 };

/* What one part of the vocabulary says of one row. */
struct share {
    float top, sum; /* the largest logit, and sum exp(logit - top) */
    int32_t at;     /* of the largest, as a token id */
};

struct scoring {
    const struct model *model;
    const float *normed; /* the rows that are scored, one after another */
    const int32_t *targets;
    int rows, parts;
    float *scratch;       /* for each thread: a part's packed weights, a tile's logits */
    struct share *shares; /* rows x parts */
    float *target_logits; /* rows */
};

static size_t scratch_floats(const struct model *model)
{
    return panel_floats(PART, model->config.width) + (size_t)TILE_ROWS * PART;
}

static void score_row(const struct scoring *s, const float *logits, int row, int part, int tokens)
{
    struct share *share = &s->shares[(size_t)row * (size_t)s->parts + (size_t)part];
    int best = simd.argmax(logits, tokens), target = s->targets[row] - part * PART;
    share->at = part * PART + best;
    share->top = logits[best];
    share->sum = simd.sum_exp(logits, logits[best], tokens);
    if (target >= 0 && target < tokens)
        s->target_logits[row] = logits[target];
}

static int score_part(void *context, int part, int worker)
{
    const struct scoring *s = context;
    int width = s->model->config.width, token = part * PART;
    int tokens = s->model->config.vocabulary - token < PART ? s->model->config.vocabulary - token
                                                            : PART;
    float *panels = s->scratch + scratch_floats(s->model) * (size_t)worker,
          *logits = panels + panel_floats(PART, width);
    panel_pack_transposed(s->model->head + (size_t)token * (size_t)width, width, tokens, width,
                          panels);
    for (int first = 0; first < s->rows; first += TILE_ROWS) {
        int rows = s->rows - first < TILE_ROWS ? s->rows - first : TILE_ROWS;
        panel_product(s->normed + (size_t)first * (size_t)width, width, rows, panels, tokens, width,
                      false, logits, tokens);
        for (int r = 0; r < rows; r++)
            score_row(s, logits + (size_t)r * (size_t)tokens, first + r, part, tokens);
    }
    return 0;
}

static struct token_score add_up(const struct scoring *s, int row)
{
    const struct share *shares = s->shares + (size_t)row * (size_t)s->parts, *best = shares;
    double sum = 0;
    for (int i = 1; i < s->parts; i++) {
        if (shares[i].top > best->top)
            best = &shares[i];
    }
    for (int i = 0; i < s->parts; i++)
        sum += shares[i].sum * exp((double)shares[i].top - best->top);
    return (struct token_score){(float)(s->target_logits[row] - best->top - log(sum)), best->at};
}

/* The floats that so many bytes take, rounded. */
static size_t floats_for(size_t count, size_t size)
{
    return workspace_round((count * size + sizeof(float) - 1) / sizeof(float));
}

/* Brings the rows that have a target together at the start of gathered, with their targets. */
static int gather(const struct model *model, const float *x, const int32_t *targets, int rows,
                  float *gathered, int32_t *gathered_targets, int *count)
{
    size_t width = (size_t)model->config.width;
    *count = 0;
    for (int r = 0; r < rows; r++) {
        if (targets[r] < 0)
            continue;
        if (targets[r] >= model->config.vocabulary)
            return err_set(ERR_FORMAT,
                           "%s: target %d of row %d is not in the model's vocabulary of %d",
                           model->folder, (int)targets[r], r, model->config.vocabulary);
        memcpy(gathered + (size_t)*count * width, x + (size_t)r * width, width * sizeof *x);
        gathered_targets[(*count)++] = targets[r];
    }
    return 0;
}

int model_score(const struct model *model, const float *x, const int32_t *targets, int rows,
                struct token_score *scores)
{
    int parts = (model->config.vocabulary + PART - 1) / PART, rc, used = 0;
    size_t n = (size_t)rows, normed_size = workspace_round(n * (size_t)model->config.width);
    size_t share_size = floats_for(n * (size_t)parts, sizeof(struct share)),
           row_size = workspace_round(n);
    float *memory;
    TRY(workspace_floats(model->workspace,
                         normed_size + (size_t)pool_threads() * scratch_floats(model) + share_size +
                             2 * row_size,
                         &memory));
    int32_t *gathered_targets = (int32_t *)(memory + normed_size);
    struct scoring s = {
        .model = model, .normed = memory, .targets = gathered_targets, .parts = parts};
    s.target_logits = memory + normed_size + row_size;
    s.shares = (struct share *)(memory + normed_size + 2 * row_size);
    s.scratch = memory + normed_size + 2 * row_size + share_size;
    TRY(gather(model, x, targets, rows, memory, gathered_targets, &s.rows));
    TRY(model->architecture->final_norm(model, memory, s.rows, memory));
    TRY(pool_run(score_part, &s, parts));
    for (int r = 0; r < s.rows; r++) {
        if (!isfinite(add_up(&s, r).log_probability)) {
            rc = err_set(ERR_NUMERIC, "%s: the model's logits overflow or are not numbers",
                         model->folder);
            goto out;
        }
    }
    for (int r = 0; r < rows; r++)
        scores[r] = targets[r] < 0 ? (struct token_score){0} : add_up(&s, used++);
out:
    return rc;
}

int model_logits(const struct model *model, const float *x, int rows, float *logits)
{
    int rc;
    float *normed;
    TRY(workspace_floats(model->workspace, (size_t)rows * (size_t)model->config.width, &normed));
    TRY(model->architecture->final_norm(model, x, rows, normed));
    TRY(matmul_nt(normed, model->head, rows, model->config.vocabulary, model->config.width, 0.0f,
                  logits));
out:
    return rc;
}
