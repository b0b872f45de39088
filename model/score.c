/* What the head says of hidden states. A task takes a part of the vocabulary, packs its weights and
 * makes the logits of one tile of rows after another; a row's parts are put together in their
 * order, so the result does not depend on the number of threads. Against a reference the task makes
 * both models' logits of the tile: with p_i = exp(a_i - log A) of the reference and
 * q_i = exp(b_i - log B), KL(p || q) = sum p_i (a_i - b_i) - log A + log B. */
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
    float gap;      /* of a reference: sum exp(logit - top) (logit - the model's logit) */
};

struct outcome {
    struct token_score score;
    struct token_divergence divergence; /* zeros without a reference */
};

/* One model's side of it. */
struct side {
    const struct model *model; /* NULL: there is no reference */
    float *normed;             /* the rows that are scored, one after another */
    struct share *shares;      /* rows x parts */
};

struct scoring {
    struct side ours, reference;
    int32_t *targets;
    int rows, parts;
    float *scratch;        /* for each thread: a part's packed weights, a tile's logits, of both */
    size_t scratch_floats; /* of a thread */
    float *target_logits;  /* rows */
    struct outcome *outcomes; /* rows */
};

static size_t side_floats(const struct model *model)
{
    return model ? panel_floats(PART, model->config.width) + (size_t)TILE_ROWS * PART : 0;
}

/* The weights of a part of the head, laid out for the products. */
static void pack_part(const struct model *model, int part, int tokens, float *panels)
{
    int width = model->config.width;
    panel_pack_transposed(model->head + (size_t)part * PART * (size_t)width, width, tokens, width,
                          panels);
}

static void tile_logits(const struct side *side, const float *panels, int first, int rows,
                        int tokens, float *logits)
{
    int width = side->model->config.width;
    panel_product(side->normed + (size_t)first * (size_t)width, width, rows, panels, tokens, width,
                  false, logits, tokens);
}

static struct share *share_of(const struct scoring *s, const struct side *side, int row, int part)
{
    return &side->shares[(size_t)row * (size_t)s->parts + (size_t)part];
}

static void score_row(const struct scoring *s, const float *logits, int row, int part, int tokens)
{
    struct share *share = share_of(s, &s->ours, row, part);
    int best = simd.argmax(logits, tokens), target = s->targets[row] - part * PART;
    share->at = part * PART + best;
    share->top = logits[best];
    share->sum = simd.sum_exp(logits, logits[best], tokens);
    share->gap = 0;
    if (target >= 0 && target < tokens)
        s->target_logits[row] = logits[target];
}

static void compare_row(const struct scoring *s, const float *logits, const float *ours, int row,
                        int part, int tokens)
{
    struct share *share = share_of(s, &s->reference, row, part);
    int best = simd.argmax(logits, tokens);
    share->at = part * PART + best;
    share->top = logits[best];
    share->sum = simd.sum_exp_gap(logits, ours, logits[best], tokens, &share->gap);
}

static int score_part(void *context, int part, int worker)
{
    const struct scoring *s = context;
    const struct model *model = s->ours.model, *reference = s->reference.model;
    int left = model->config.vocabulary - part * PART, tokens = left < PART ? left : PART;
    float *panels = s->scratch + s->scratch_floats * (size_t)worker,
          *logits = panels + panel_floats(PART, model->config.width),
          *other_logits = logits + (size_t)TILE_ROWS * PART,
          *other_panels = other_logits + (size_t)TILE_ROWS * PART;
    pack_part(model, part, tokens, panels);
    if (reference && reference->head == model->head)
        other_panels = panels;
    else if (reference)
        pack_part(reference, part, tokens, other_panels);
    for (int first = 0; first < s->rows; first += TILE_ROWS) {
        int rows = s->rows - first < TILE_ROWS ? s->rows - first : TILE_ROWS;
        tile_logits(&s->ours, panels, first, rows, tokens, logits);
        for (int r = 0; r < rows; r++)
            score_row(s, logits + (size_t)r * (size_t)tokens, first + r, part, tokens);
        if (!reference)
            continue;
        tile_logits(&s->reference, other_panels, first, rows, tokens, other_logits);
        for (int r = 0; r < rows; r++)
            compare_row(s, other_logits + (size_t)r * (size_t)tokens,
                        logits + (size_t)r * (size_t)tokens, first + r, part, tokens);
    }
    return 0;
}

/* The parts of a row together. */
struct total {
    float top;
    int32_t at;
    double sum, gap; /* with exp(logit - top) */
};

static struct total add_up(const struct scoring *s, const struct side *side, int row)
{
    const struct share *shares = share_of(s, side, row, 0), *best = shares;
    struct total total = {0};
    for (int i = 1; i < s->parts; i++) {
        if (shares[i].top > best->top)
            best = &shares[i];
    }
    for (int i = 0; i < s->parts; i++) {
        double factor = exp((double)shares[i].top - best->top);
        total.sum += shares[i].sum * factor;
        total.gap += shares[i].gap * factor;
    }
    total.top = best->top;
    total.at = best->at;
    return total;
}

/* What is said of a row. Rounding can leave the divergence of a distribution that hardly moved a
 * little below 0. */
static struct outcome outcome_of(const struct scoring *s, int row)
{
    struct total q = add_up(s, &s->ours, row), p;
    struct outcome outcome = {.score = {(float)(s->target_logits[row] - q.top - log(q.sum)), q.at}};
    if (s->reference.model) {
        p = add_up(s, &s->reference, row);
        double kl = p.gap / p.sum - ((double)p.top - q.top) - log(p.sum) + log(q.sum);
        outcome.divergence = (struct token_divergence){kl < 0 ? 0 : (float)kl, p.at == q.at};
    }
    return outcome;
}

static int finish_tile(void *context, int tile, int worker)
{
    const struct scoring *s = context;
    int first = tile * TILE_ROWS, end = s->rows < first + TILE_ROWS ? s->rows : first + TILE_ROWS;
    for (int r = first; r < end; r++) {
        const struct model *bad = NULL;
        s->outcomes[r] = outcome_of(s, r);
        if (!isfinite(s->outcomes[r].score.log_probability))
            bad = s->ours.model;
        else if (!isfinite(s->outcomes[r].divergence.kl))
            bad = s->reference.model;
        if (bad)
            return err_set(ERR_NUMERIC, "%s: the model's logits overflow or are not numbers",
                           bad->folder);
    }
    return 0;
}

/* Brings the rows that have a target together, with their targets; reference_x may be NULL. */
static int gather(struct scoring *s, const float *x, const float *reference_x,
                  const int32_t *targets, int rows)
{
    const struct model *model = s->ours.model;
    size_t width = (size_t)model->config.width;
    s->rows = 0;
    for (int r = 0; r < rows; r++) {
        if (targets[r] < 0)
            continue;
        if (targets[r] >= model->config.vocabulary)
            return err_set(ERR_FORMAT,
                           "%s: target %d of row %d is not in the model's vocabulary of %d",
                           model->folder, (int)targets[r], r, model->config.vocabulary);
        memcpy(s->ours.normed + (size_t)s->rows * width, x + (size_t)r * width, width * sizeof *x);
        if (reference_x) {
            size_t other = (size_t)s->reference.model->config.width;
            memcpy(s->reference.normed + (size_t)s->rows * other, reference_x + (size_t)r * other,
                   other * sizeof *x);
        }
        s->targets[s->rows++] = targets[r];
    }
    return 0;
}

/* The floats that so many bytes take, rounded. */
static size_t floats_for(size_t count, size_t size)
{
    return workspace_round((count * size + sizeof(float) - 1) / sizeof(float));
}

static void *take(float **memory, size_t floats)
{
    void *taken = *memory;
    *memory += floats;
    return taken;
}

/* Lays everything for up to `rows` rows out in the model's working memory. */
static int make_room(struct scoring *s, int rows)
{
    const struct model *model = s->ours.model, *reference = s->reference.model;
    size_t n = (size_t)rows, row_size = workspace_round(n),
           normed = workspace_round(n * (size_t)model->config.width),
           other = reference ? workspace_round(n * (size_t)reference->config.width) : 0,
           shares = floats_for(n * (size_t)s->parts, sizeof(struct share)),
           outcomes = floats_for(n, sizeof(struct outcome));
    float *memory;
    s->scratch_floats = side_floats(model) + side_floats(reference);
    int rc = workspace_floats(model->workspace,
                              normed + other + 2 * row_size + outcomes +
                                  (reference ? 2 : 1) * shares +
                                  (size_t)pool_threads() * s->scratch_floats,
                              &memory);
    if (rc)
        return rc;
    s->ours.normed = take(&memory, normed);
    s->reference.normed = take(&memory, other);
    s->targets = take(&memory, row_size);
    s->target_logits = take(&memory, row_size);
    s->outcomes = take(&memory, outcomes);
    s->ours.shares = take(&memory, shares);
    s->reference.shares = take(&memory, reference ? shares : 0);
    s->scratch = memory;
    return 0;
}

int model_score_against(const struct model *model, const float *x, const struct model *reference,
                        const float *reference_x, const int32_t *targets, int rows,
                        struct token_score *scores, struct token_divergence *divergences)
{
    int rc, used = 0;
    struct scoring s = {.ours.model = model,
                        .reference.model = reference,
                        .parts = (model->config.vocabulary + PART - 1) / PART};
    if (reference && reference->config.vocabulary != model->config.vocabulary)
        return err_set(ERR_USAGE, "%s: a vocabulary of %d tokens cannot be compared with %d of %s",
                       model->folder, model->config.vocabulary, reference->config.vocabulary,
                       reference->folder);
    TRY(make_room(&s, rows));
    TRY(gather(&s, x, reference_x, targets, rows));
    TRY(model->architecture->final_norm(model, s.ours.normed, s.rows, s.ours.normed));
    if (reference)
        TRY(reference->architecture->final_norm(reference, s.reference.normed, s.rows,
                                                s.reference.normed));
    TRY(pool_run(score_part, &s, s.parts));
    TRY(pool_run(finish_tile, &s, (s.rows + TILE_ROWS - 1) / TILE_ROWS));
    for (int r = 0; r < rows; r++) {
        struct outcome outcome = {0};
        if (targets[r] >= 0)
            outcome = s.outcomes[used++];
        scores[r] = outcome.score;
        if (reference)
            divergences[r] = outcome.divergence;
    }
out:
    return rc;
}

int model_score(const struct model *model, const float *x, const int32_t *targets, int rows,
                struct token_score *scores)
{
    return model_score_against(model, x, NULL, NULL, targets, rows, scores, NULL);
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
