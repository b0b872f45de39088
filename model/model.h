/* Transformer models as the pipelines see them: a configuration, named linear layers, and a forward
 * pass that is taken block by block so that memory holds one block. A model family is one file with
 * one `struct architecture`, listed in architectures.def. All matrices are row-major float32; a
 * linear layer is y = x W^T + b with W (out x in). */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "core/hash.h"
#include "model/rope.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct tensor_table;
struct workspace;

struct model_config {
    char architecture[32]; /* config.json's model_type */
    int layers, width, hidden, heads, kv_heads, head_size, vocabulary, max_positions;
    double norm_epsilon, rope_theta;
    bool tied_head;
    int bos_id, eos_id; /* -1: none */
    /* What only some families or checkpoints have; all zero is the plain LLaMA. */
    struct rope_scaling rope;
    bool learned_positions; /* rows of an embedding are added, in place of the rotation */
    bool layer_norm;        /* LayerNorm with gain and bias, in place of RMSNorm */
    bool norm_after;        /* norms behind attention and MLP, in place of before them */
    bool no_final_norm;
    bool relu;           /* the MLP is relu(x W1) W2, in place of silu(x W_gate) (x W_up) W_down */
    unsigned biases;     /* bit i: linear layer i of a block has a bias */
    int window;          /* attention reaches back that many positions; 0: to the beginning */
    int window_from;     /* first block with that window */
    int embedding_width; /* of the stored embedding, with a projection to width and one back; 0:
                            width itself */
};

/* Why a sequence cannot be longer than max_positions, or NULL where it can (with positions that the
 * model did not see in training). */
const char *model_position_limit(const struct model_config *config);

/* One linear layer. `apply`, when not NULL, replaces the plain product: y (rows x out) = f(x (rows
 * x in)). It is how a packed weight, an 8-bit activation or a trained quantizer takes part in the
 * forward pass without the model knowing. */
struct linear {
    const char *name;  /* "self_attn.q_proj": within the block, as in the checkpoint without
                          ".weight" */
    float *weight;     /* out x in, or NULL when apply holds its own form */
    const float *bias; /* out, or NULL; added behind apply's result too */
    int out, in;
    int input; /* index of the distinct input that feeds it: q, k and v share 0, o has 1, gate and
                  up 2, down 3 */
    int (*apply)(const struct linear *linear, const float *x, int rows, float *y);
    const void *apply_state; /* of apply alone; borrowed */
};

enum { MODEL_MAX_LINEARS = 8, MODEL_MAX_INPUTS = 4 };

/* One transformer block in float32. Filled by architecture.load_block; block_release frees it. */
struct block {
    struct linear linears[MODEL_MAX_LINEARS];
    int linear_count, input_count;
    const float *vectors[4]; /* norms and other vectors, in the architecture's own order */
    int window;              /* config.window in the blocks that have it; 0 */
    float *storage;          /* everything above points into this one allocation */
};
void block_release(struct block *block);

/* Sequences of tokens laid end to end: sequence s is rows offsets[s] .. offsets[s + 1] - 1,
 * positions from 0. Attention never crosses a boundary.
 *
 * With branch, a sequence is a trunk with several branches that continue it: branch[r] is the row,
 * counted within the sequence, at which row r's branch begins, 0 for the trunk's rows, which come
 * first (one at least). A branch's row sees the trunk and its own branch, and its positions go on
 * from the trunk's end: one question's choices share the work for its context. */
struct batch {
    const int32_t *tokens; /* offsets[count] of them */
    const int *offsets;    /* count + 1 */
    int count;
    const int *branch; /* offsets[count], or NULL: trunks only */
    /* offsets[count], or NULL: only rows where it is 0 or more come out of a block_forward; what it
     * leaves in the others has no meaning. For the last block, of which only they are read. */
    const int32_t *targets;
};

/* Rows of the sequence's trunk: all of them without branches. */
static inline int batch_trunk(const struct batch *batch, int sequence)
{
    int start = batch->offsets[sequence], length = batch->offsets[sequence + 1] - start, trunk = 0;
    if (!batch->branch)
        return length;
    while (trunk < length && batch->branch[start + trunk] == 0)
        trunk++;
    return trunk;
}

/* The position of a row of that sequence, whose trunk has `trunk` rows. */
static inline int batch_position(const struct batch *batch, int sequence, int trunk, int row)
{
    int place = row - batch->offsets[sequence], branch = batch->branch ? batch->branch[row] : 0;
    return branch > 0 ? trunk + place - branch : place;
}

/* Sees each distinct linear input of a block once: x is rows x width, valid during the call. */
typedef int block_tap(void *context, int input, const float *x, int rows, int width);

struct model;

/* One tensor that a checkpoint of some configuration holds: rows x columns, or a vector of rows
 * when columns is 0. */
struct model_tensor {
    char name[96];
    int rows, columns;
    enum { TENSOR_OUTER, TENSOR_LINEAR, TENSOR_BIAS, TENSOR_VECTOR } place;
    int index; /* of block.linears or block.vectors */
    int input; /* of a linear layer: see struct linear */
};

struct architecture {
    const char *name;   /* config.json's model_type */
    const char *blocks; /* "model.layers": tensors of block 3 begin with "model.layers.3." */
    const char *const *linear_names; /* of a block's linear layers, as struct linear's name; ends
                                        with NULL */
    int version;                     /* part of every point's id: raise it when results change */
    int (*read_config)(const json_t *json, struct model_config *config, const char *where);
    /* The index-th tensor of a block (layer -1: of what lies outside the blocks); false behind the
     * last. */
    bool (*tensor_at)(const struct model_config *config, int layer, int index,
                      struct model_tensor *out);
    /* Checks that every tensor is there with the shape the config implies, and that there is no
     * surplus. */
    int (*check_tensors)(const struct model *model);
    /* Fills embedding, head, final_norm and extra; what was allocated when it fails is freed by
     * model_close. */
    int (*load_outer)(struct model *model);
    int (*load_block)(const struct model *model, int layer, struct block *block);
    /* x (rows x width) = embedding of the batch's tokens. */
    int (*embed)(const struct model *model, const struct batch *batch, float *x);
    /* x (rows x width), in place, through one block. tap may be NULL; with one, x holds nothing of
     * use afterwards: the pass ends with what feeds the last layer, whose product nobody needs. */
    int (*block_forward)(const struct model *model, const struct block *block,
                         const struct batch *batch, float *x, block_tap *tap, void *tap_context);
    /* y (rows x width) = the final norm of x, ready for the head; y may be x. */
    int (*final_norm)(const struct model *model, const float *x, int rows, float *y);
};

/* Where weights of linear layers come from that a checkpoint holds in another form than as plain
 * tensors: how a packed model takes part without the families knowing. All NULL: there are none. */
struct linear_source {
    void *context; /* owned by the model, freed by release */
    /* Whether it holds the layer of that full name, "model.layers.0.self_attn.q_proj". */
    bool (*has)(const void *context, const char *name);
    /* Checks that what it holds is there and out x in; sets known[i] for each tensor i of the
     * table that belongs to the layer. */
    int (*claim)(void *context, const struct tensor_table *tensors, const char *name, size_t out,
                 size_t in, unsigned char *known);
    /* Fills linear->weight (out x in, allocated); may set apply and apply_state. */
    int (*read)(void *context, const struct tensor_table *tensors, const char *name,
                struct linear *linear);
    void (*release)(void *context);
};

struct model {
    struct model_config config;
    const struct architecture *architecture;
    struct linear_source source;
    struct tensor_table *tensors; /* mapped read-only */
    char *folder;                 /* what was opened: it can be a file */
    float *embedding;             /* vocabulary x width, float32 */
    float *head;                  /* vocabulary x width; equal to embedding when tied */
    float *final_norm;            /* width (and, for families with a bias, width more) */
    float *extra; /* what else the family keeps outside its blocks (learned positions); or NULL */
    struct workspace *workspace; /* memory that block_forward and model_score keep between calls */
    char hash[HASH_HEX_SIZE];    /* of the files with configuration and weights */
};

/* Opens a folder in Hugging Face's layout, a GGUF file or a checkpoint of llama2.c
 * (model/checkpoint.h) and loads what lies outside the blocks. Errors name the file and the tensor.
 * model_close of a zeroed struct is legal. */
int model_open(struct model *model, const char *path);
/* The same with layers from a source, which the model owns when this succeeds. */
int model_open_source(struct model *model, const char *path, const struct linear_source *source);
void model_close(struct model *model);

/* The full name of a linear layer: "model.layers.0.self_attn.q_proj". */
enum { MODEL_NAME_SIZE = 160 };
void model_linear_name(const struct model *model, int block, const char *linear,
                       char out[MODEL_NAME_SIZE]);

/* For check_tensors: the matrix rows x columns (columns 0: the vector) of that name is there, as a
 * tensor or from the source; sets known[i] for the tensors that hold it. */
int model_check_tensor(const struct model *model, const char *name, size_t rows, size_t columns,
                       unsigned char *known);
/* What says which tensors there have to be, for messages: config.json, or the file's header. */
const char *model_config_source(const struct model *model);
/* For load_block: fills linear->weight (out x in, allocated) from the tensor or from the source. */
int model_read_linear(const struct model *model, const char *tensor, struct linear *linear);

/* What the head says of one row. */
struct token_score {
    float log_probability; /* of the target, natural logarithm, over the whole vocabulary */
    int32_t top;           /* the most probable token, lowest id on ties */
};

/* scores[r] for hidden states x (rows x width, before the final norm) and targets[r] (-1: skipped,
 * score zeroed). The logits exist only for a tile of rows at a time. */
int model_score(const struct model *model, const float *x, const int32_t *targets, int rows,
                struct token_score *scores);

/* How far the distribution of the next token is from a reference model's at the same place. */
struct token_divergence {
    float kl;     /* KL(reference || model) = sum p log(p / q), nats, at least 0 */
    int same_top; /* 1: both have the same most probable token */
};

/* The same scores, and divergences[r] from the reference model, whose last hidden states are
 * reference_x (rows x its width); rows without a target get zeros. Both logits exist only for a
 * tile of rows. ERR_USAGE when the vocabularies differ. */
int model_score_against(const struct model *model, const float *x, const struct model *reference,
                        const float *reference_x, const int32_t *targets, int rows,
                        struct token_score *scores, struct token_divergence *divergences);

/* logits (rows x vocabulary), for tests and small inputs. */
int model_logits(const struct model *model, const float *x, int rows, float *logits);

/* The whole model on one batch, loading block after block: x (rows x width) receives the last
 * hidden states. */
int model_forward(const struct model *model, const struct batch *batch, float *x);

extern const struct architecture *const architectures[]; /* ends with NULL */

#endif
