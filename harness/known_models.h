/* The models of the papers by their names: what they are called on Hugging Face, and their shapes,
 * so that a run can be planned before anything is downloaded. */
#ifndef HARNESS_KNOWN_MODELS_H
#define HARNESS_KNOWN_MODELS_H

#include <stdbool.h>

enum known_family { FAMILY_OPT, FAMILY_OPT_PROJECTED, FAMILY_LLAMA };

struct known_model {
    const char *name;       /* as the papers print it: "OPT-1.3B" */
    const char *repository; /* on Hugging Face: "facebook/opt-1.3b" */
    enum known_family family;
    int layers, width, hidden, heads, kv_heads, vocabulary, positions;
    const char *files; /* pattern of the weights' files in the repository */
};

/* The model of a published name, a repository, or a path whose last part is one of these or the
 * repository's own last part; letter case does not count. NULL when there is none. A path is
 * recognized by its name only: known_model_parameters tells whether it can be that model. */
const struct known_model *known_model_find(const char *text);
/* The i-th of the table, NULL behind the last. */
const struct known_model *known_model_at(int i);

/* All parameters (a tied head is counted once); the weights of the linear layers in the blocks. */
double known_model_parameters(const struct known_model *model);
double known_model_linear_weights(const struct known_model *model);

/* Bytes of the weights in float16, as they are downloaded. */
double known_model_bytes(const struct known_model *model);

#endif
