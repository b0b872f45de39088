/* Packed models: folders whose quantized layers are stored in their method's packed arrays, as
 * docs/format.md describes. They are opened through harness/model_folder.h like any other. */
#ifndef HARNESS_PACKED_MODEL_H
#define HARNESS_PACKED_MODEL_H

#include "core/hash.h"
#include "harness/operator.h"
#include "methods/packed.h"
#include "model/dtype.h"
#include "model/model.h"
#include "model/safetensors.h"

/* The version of the layout; a reader refuses higher ones. */
enum { PACKED_FORMAT = 2 };

/* A tensor of a layer is called LAYER.packed.ARRAY. */
#define PACKED_INFIX ".packed."

struct packed_layer {
    const char *name; /* "model.layers.0.self_attn.q_proj" */
    int rows, columns;
    const json_t *arrays;     /* their names; none when the shape alone tells W_q */
    const char *digest;       /* SHA-256 of W_q's floats, or NULL: it cannot be checked */
    struct layer_operator op; /* the model's, or its own */
    void *options;            /* = op.options where they are its own, else NULL; owned */
    int method_version;       /* of the method that quantized the layer */
    bool masked;              /* with an array of the weights that pruning left */
    bool claimed, verified;
};

struct packed_model {
    char *path; /* of config.json, for messages */
    json_t *config;
    const json_t *categories;    /* array name -> category, or NULL */
    int method_version;          /* of the method that quantized the model */
    struct layer_operator op;    /* of the layers that do not say otherwise */
    void *options;               /* = op.options, owned */
    struct packed_layer *layers; /* in the order of their names */
    int layer_count;
};

/* *source = where the folder's packed layers come from; zeroed when config.json has no object
 * "bitbench". The caller's (source->release). */
int packed_model_source(struct linear_source *source, const char *folder);

/* After the model was opened with such a source: every layer that config.json calls packed was one
 * of the model's. */
int packed_model_check(const struct model *model);

/* What the model holds packed, borrowed; NULL for a plain model. */
const struct packed_model *packed_model_of(const struct model *model);

/* packed (empty) = the layer's arrays, copied; packed_release. */
int packed_model_arrays(const struct packed_model *model, const struct tensor_table *tensors,
                        const struct packed_layer *layer, struct packed *packed);

/* The tensor type of an array. */
enum dtype packed_dtype(enum array_type type);

/* Whether the tensor is one of the layer's arrays: *array = its name within the layer. */
bool packed_is_array(const char *tensor, const char *layer, const char **array);

#endif
