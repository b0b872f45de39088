/* Training of the LLaMA architecture (RMSNorm, rotary positions in the half-rotation layout,
 * grouped-query attention, SwiGLU, tied or untied head) in float32: forward with saved activations,
 * backward, AdamW.
 *
 * Parameters, gradients and both moments are four flat arrays with one table of tensors over them.
 * A batch is `sequences` windows of `context` tokens; all activations are rows x width with rows =
 * sequences * context, allocated once. Everything is cut into tiles that do not depend on the
 * number of threads: one thread and N give the same bytes. */
#ifndef MODEL_TRAIN_H
#define MODEL_TRAIN_H

#include "core/rng.h"
#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRAIN_NAME_SIZE = 64, TRAIN_LINEARS = 7 };

struct train_tensor {
    char name[TRAIN_NAME_SIZE]; /* Hugging Face's: "model.layers.0.self_attn.q_proj.weight" */
    size_t offset;              /* within the flat arrays, in elements */
    int rows, columns;          /* a vector has rows = 0 */
    bool decays;                /* weight decay: matrices only */
    bool extra; /* an operator's own parameters: kept in checkpoints, not exported */
};

/* The seven linear layers of a block, in this order. */
enum train_which { TRAIN_Q, TRAIN_K, TRAIN_V, TRAIN_O, TRAIN_GATE, TRAIN_UP, TRAIN_DOWN };

/* One linear layer as its operator sees it. */
struct train_linear {
    int layer, index; /* block; index = layer * TRAIN_LINEARS + enum train_which */
    int out, in;
    const float *weight; /* out x in */
    float *gradient;     /* out x in: the operator adds to it */
    const float *extra;  /* extra_count further parameters of the operator, or NULL */
    float *extra_gradient;
};

/* The linear operator: what y = x W^T is replaced by. The default is the plain product;
 * quantization-aware methods train through their own (straight-through rounding: forward with Q(W),
 * backward with Q(W) for dx and as if Q were the identity for dW). All calls are made outside pool
 * tasks, in a fixed order, so an operator may use the pool itself, and may keep what it computed in
 * forward until the backward call of the same linear->index (each forward is followed by its
 * backward, layers in reverse, unless only the loss is wanted). */
struct train_operator {
    void *state;
    /* y (rows x out) from x (rows x in). */
    int (*forward)(void *state, const struct train_linear *linear, const float *x, int rows,
                   float *y);
    /* dx (rows x in) = d loss / d x + beta * dx, with beta 0 or 1; adds to linear->gradient (and
     * extra_gradient). */
    int (*backward)(void *state, const struct train_linear *linear, const float *x, const float *dy,
                    int rows, float beta, float *dx);
    /* How many further parameters this layer trains, and their first values; both NULL when there
     * are none. They are not decayed. */
    size_t (*extra_count)(void *state, const struct train_linear *linear);
    void (*extra_init)(void *state, const struct train_linear *linear, float *extra);
};
extern const struct train_operator train_operator_plain;

struct train_layer; /* saved activations of one block */

struct train_model {
    struct model_config config;
    struct train_operator operator;
    int sequences, context, rows;
    struct train_tensor *tensors;
    int tensor_count;
    size_t parameters; /* elements of the flat arrays */
    float *weights, *gradients;
    bool borrowed; /* the weights are another model's */
    /* where the tensors are: elements from the start of the flat arrays */
    size_t embedding_at, head_at, final_norm_at;
    struct train_layer *layers;
    float *x;                      /* rows x width: the last hidden state */
    float *normed;                 /* rows x width: after the final norm */
    float *logits;                 /* a chunk of rows x vocabulary */
    float *row_loss;               /* rows */
    float *dx, *dnormed, *dbranch; /* rows x width */
    float *dwide[3];               /* rows x max(hidden, ...): gradients inside a block */
    float *scratch;                /* attention: one piece a worker */
    float *norm_parts; /* tiles of rows x width: parts of a norm's gradient, added in order */
    float *cosine, *sine, *negative_sine; /* context x head_size / 2: rotary angles */
    /* dropout on the embedding and on both branches of each block; 0: none. The mask is a hash of
     * (key, place), so it is recomputed in the backward pass and never stored. */
    double dropout;
    uint64_t dropout_key;
};

/* Allocates for batches of sequences x context and sets initial weights from the seed: normal with
 * deviation 0.02 for the embedding, 1 / sqrt(3 in) for matrices (the two that write to the residual
 * stream divided by sqrt(2 layers)), norms 1. operator NULL: the plain one. ERR_USAGE names a shape
 * that does not work. */
int train_model_init(struct train_model *model, const struct model_config *config,
                     const struct train_operator *operator, int sequences, int context,
                     uint64_t seed);
void train_model_release(struct train_model *model);

/* Mean negative log-likelihood (nats a token) of targets given tokens, both sequences x context. A
 * target of -1 is left out. With backward, adds d loss / d parameter to model->gradients. Dropout
 * takes part only with backward. */
int train_model_loss(struct train_model *model, const int32_t *tokens, const int32_t *targets,
                     bool backward, double *loss);

/* A batch cut into shards, each a model of its own with the same weights and its own activations
 * and gradients: a shard is one task, so threads meet only once a step, which matters where they
 * share their cores with other work. The number of shards is part of the result (it shapes the sums
 * of the gradients); the number of threads is not. An operator that is used with more than one
 * shard is called from several threads at once. */
struct train_group {
    struct train_model *shards; /* shards[0] owns the weights, and receives the whole gradient */
    int count, rows;            /* rows: of the whole batch */
};
int train_group_init(struct train_group *group, const struct model_config *config,
                     const struct train_operator *operator, int shards, int sequences, int context,
                     uint64_t seed);
void train_group_release(struct train_group *group);
/* As train_model_loss, on the whole batch; dropout and key apply when backward is set. */
int train_group_loss(struct train_group *group, const int32_t *tokens, const int32_t *targets,
                     bool backward, double dropout, uint64_t key, double *loss);

/* AdamW (decoupled weight decay) on flat arrays. */
struct train_optimizer {
    float *first, *second; /* moments, as many as parameters */
    int64_t step;          /* updates so far */
    double beta1, beta2, epsilon, decay;
};
int train_optimizer_init(struct train_optimizer *optimizer, const struct train_model *model);
void train_optimizer_release(struct train_optimizer *optimizer);
/* Clips the gradient to a global norm of at most clip (0: never), updates the weights with the
 * given learning rate, and zeroes the gradient. *norm = the norm before clipping. ERR_NUMERIC when
 * it is not finite (weights untouched). */
int train_optimizer_step(struct train_optimizer *optimizer, struct train_model *model, double rate,
                         double clip, double *norm);

/* Shapes of the learning rate over time, each after a linear warm-up from 0: half a cosine from
 * peak to peak * floor, or peak until the last `decay` share of all tokens and then a straight line
 * to peak * floor. The second does not depend on the total before its end begins, so a run can be
 * made longer or shorter while it is under way. */
enum train_shape { TRAIN_COSINE, TRAIN_TRAPEZOID };
struct train_schedule {
    enum train_shape shape;
    double peak, floor, decay;
    int64_t warmup, total; /* tokens */
};
/* The learning rate of the update that reaches `tokens`. */
double train_rate(const struct train_schedule *schedule, int64_t tokens);

/* One corpus as tokens: documents end to end, borrowed. */
struct train_stream {
    const char *name;
    const int32_t *tokens;
    const size_t *offsets; /* count + 1 */
    size_t count;
    const int32_t *joiner; /* what stands between documents when they are joined into one text */
    size_t joiner_count;
    double weight; /* share of the windows, relative to the other corpora's */
};

/* Draws windows: each corpus is gone through in epochs. An epoch lays the documents end to end in a
 * new order, separated by the end-of-text token or by the joiner (a coin for each), cuts the whole
 * at a random phase into windows, and takes these in random order. The sampler's position is three
 * numbers a corpus and the generator's state. */
struct train_sampler_corpus {
    struct train_stream stream;
    int64_t epoch; /* the one that `line` holds; -1: none yet */
    int64_t next;  /* the next window of the epoch */
    int32_t *line; /* the epoch's tokens */
    size_t line_count, line_capacity;
    int32_t *order; /* windows in the order of their use: start = phase + order[i] * context */
    int64_t windows, phase;
};
struct train_sampler {
    struct train_sampler_corpus *corpora;
    int count, context;
    int32_t end_id; /* -1: only joiners */
    uint64_t seed;
    struct rng rng;
};
int train_sampler_init(struct train_sampler *sampler, const struct train_stream *streams, int count,
                       int context, int32_t end_id, uint64_t seed);
void train_sampler_release(struct train_sampler *sampler);
/* tokens and targets receive `sequences` windows of context tokens each. */
int train_sampler_draw(struct train_sampler *sampler, int sequences, int32_t *tokens,
                       int32_t *targets);
/* Puts a freshly initialised sampler where another one was. */
int train_sampler_seek(struct train_sampler *sampler, const struct rng *rng, const int64_t *epochs,
                       const int64_t *nexts);

/* What a checkpoint holds beside the flat arrays and the sampler's position. */
struct train_progress {
    int64_t tokens;                /* trained on so far */
    double best_validation;        /* mean over the corpora, nats a token; HUGE_VAL: none yet */
    double seconds;                /* of training, over all runs */
    char spec_hash[HASH_HEX_SIZE]; /* what must not change between the runs */
};

/* One safetensors file with weights, both moments and the state, written whole or not at all. */
int train_checkpoint_save(const char *path, const struct train_model *model,
                          const struct train_optimizer *optimizer,
                          const struct train_sampler *sampler,
                          const struct train_progress *progress);
/* Into initialised structs of the same shape; progress->spec_hash is compared (ERR_USAGE when it
 * differs). */
int train_checkpoint_load(const char *path, struct train_model *model,
                          struct train_optimizer *optimizer, struct train_sampler *sampler,
                          struct train_progress *progress);

/* config.json and model.safetensors (float16) in Hugging Face's layout. */
int train_export(const char *folder, const struct train_model *model);

#endif
