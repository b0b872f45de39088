/* What lies before the first block and behind the last one. */
#include "core/err.h"
#include "core/pool.h"
#include "linalg/simd.h"
#include "model/transformer.h"

#include <string.h>

enum { TILE_ROWS = 128 };

void transformer_norm(const struct model_config *c, const float *weight, const float *bias,
                      const float *x, int rows, float *y)
{
    size_t width = (size_t)c->width;
    float epsilon = (float)c->norm_epsilon;
    for (int r = 0; r < rows; r++) {
        const float *from = x + (size_t)r * width;
        float *to = y + (size_t)r * width;
        if (c->layer_norm)
            simd.layernorm(to, from, weight, bias, epsilon, c->width);
        else
            simd.rmsnorm(to, from, weight, epsilon, c->width);
    }
}

struct norm_job {
    const struct model *model;
    const float *x;
    float *y;
};

static int norm_rows(void *context, long first, long end, int worker)
{
    const struct norm_job *job = context;
    size_t at = (size_t)first * (size_t)job->model->config.width;
    const struct model_config *c = &job->model->config;
    const float *norm = job->model->final_norm;
    transformer_norm(c, norm, norm + c->width, job->x + at, (int)(end - first), job->y + at);
    return 0;
}

int transformer_final_norm(const struct model *model, const float *x, int rows, float *y)
{
    struct norm_job job = {model, x, y};
    if (model->config.no_final_norm) {
        if (y != x)
            memcpy(y, x, (size_t)rows * (size_t)model->config.width * sizeof *y);
        return 0;
    }
    return pool_run_rows(norm_rows, &job, rows, TILE_ROWS);
}

static int bad_token(const struct model *model, int32_t token, int row)
{
    return err_set(
        ERR_FORMAT,
        "%s: token %d at place %d is not in the model's vocabulary of %d (is the tokenizer "
        "another model's?)",
        model->folder, (int)token, row, model->config.vocabulary);
}

int transformer_embed(const struct model *model, const struct batch *batch, float *x)
{
    const struct model_config *c = &model->config;
    const size_t width = (size_t)c->width;
    for (int s = 0; s < batch->count; s++) {
        int trunk = c->learned_positions ? batch_trunk(batch, s) : 0;
        for (int row = batch->offsets[s]; row < batch->offsets[s + 1]; row++) {
            int32_t token = batch->tokens[row];
            float *to = x + (size_t)row * width;
            if (token < 0 || token >= c->vocabulary)
                return bad_token(model, token, row);
            memcpy(to, model->embedding + (size_t)token * width, width * sizeof *x);
            if (!c->learned_positions)
                continue;
            int position = batch_position(batch, s, trunk, row);
            if (position >= c->max_positions)
                return err_set(ERR_USAGE,
                               "%s: a sequence reaches position %d, but the model has embeddings "
                               "for %d positions: shorten the windows or segments",
                               model->folder, position, c->max_positions);
            simd.axpy(to, 1.0f, model->extra + (size_t)position * width, c->width);
        }
    }
    return 0;
}
