/* Rotary positions (Su et al. 2021) and their scalings: what a config.json says of them, and the
 * tables of cosines and sines. */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include <jansson.h>

struct model_config;

enum rope_kind {
    ROPE_PLAIN,   /* frequency i = theta^(-2 i / head_size) */
    ROPE_LINEAR,  /* divided by factor (Chen et al. 2023) */
    ROPE_DYNAMIC, /* plain up to max_positions; beyond, theta depends on the length: refused */
    ROPE_LLAMA3,  /* low frequencies divided by factor, high ones kept, a ramp between */
    ROPE_YARN     /* the same with another ramp, and a factor on q k (Peng et al. 2023) */
};

struct rope_scaling {
    enum rope_kind kind;
    double factor;
    double low, high;   /* llama3: low_freq_factor, high_freq_factor; yarn: beta_slow, beta_fast */
    int original;       /* positions in training */
    double attention;   /* yarn: factor on cosines and sines */
    int keep_fractions; /* yarn: the ramp's ends are not rounded to whole dimensions */
};

/* As config.json spells it: "linear"; "default" for ROPE_PLAIN. */
const char *rope_kind_name(enum rope_kind kind);

/* config->rope_theta and config->rope from the keys rope_theta, rope_scaling and rope_parameters;
 * config->max_positions and head_size are there. */
int rope_read_config(const json_t *json, struct model_config *config, const char *where);

/* *out = the value of rope_scaling; the reverse of rope_read_config (the caller's, json_decref). */
int rope_to_json(const struct model_config *config, json_t **out);

/* cosine and sine (positions x head_size / 2) of position * frequency, the frequency and the angle
 * in float32 as in the reference, the functions exact. */
void rope_table(const struct model_config *config, int positions, float *cosine, float *sine);

#endif
