#include "model/rope.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/config.h"
#include "model/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {"default", "linear", "dynamic", "llama3", "yarn"};

const char *rope_kind_name(enum rope_kind kind)
{
    return kind_names[kind];
}

/* ---- config.json ---- */

/* The kind that an object asks for, under either spelling of the key. */
static int read_kind(const json_t *object, enum rope_kind *kind, const char *where)
{
    const char *type = json_string_value(json_object_get(object, "rope_type"));
    if (!type)
        type = json_string_value(json_object_get(object, "type"));
    *kind = ROPE_PLAIN;
    if (!type)
        return 0;
    for (size_t i = 0; i < sizeof kind_names / sizeof *kind_names; i++)
        if (strcmp(kind_names[i], type) == 0) {
            *kind = (enum rope_kind)i;
            return 0;
        }
    return err_set(ERR_FORMAT,
                   "%s: rope of type '%.40s' is not supported; there are: default, linear, dynamic "
                   "(up to max_position_embeddings), llama3, yarn",
                   where, type);
}

static double yarn_attention(double factor, double weight)
{
    return factor <= 1 ? 1 : 0.1 * weight * log(factor) + 1;
}

static int read_yarn(const json_t *object, struct rope_scaling *rope, const char *where)
{
    int rc;
    bool rounded;
    double weight, all;
    TRY(config_real(object, where, "beta_slow", 0, 1e6, 1, &rope->low));
    TRY(config_real(object, where, "beta_fast", 0, 1e6, 32, &rope->high));
    TRY(config_real(object, where, "mscale", 0, 1e6, 0, &weight));
    TRY(config_real(object, where, "mscale_all_dim", 0, 1e6, 0, &all));
    TRY(config_bool(object, where, "truncate", true, &rounded));
    if (rope->low <= 0 || rope->high <= rope->low) {
        rc = err_set(ERR_FORMAT, "%s: beta_fast %g must be above beta_slow %g, and that above 0",
                     where, rope->high, rope->low);
        goto out;
    }
    double attention = weight > 0 && all > 0 ? yarn_attention(rope->factor, weight) /
                                                   yarn_attention(rope->factor, all)
                                             : yarn_attention(rope->factor, 1);
    TRY(config_real(object, where, "attention_factor", 1e-3, 1e3, attention, &rope->attention));
    rope->keep_fractions = !rounded;
out:
    return rc;
}

static int read_llama3(const json_t *object, struct rope_scaling *rope, const char *where)
{
    int rc;
    TRY(config_real(object, where, "low_freq_factor", 1e-6, 1e6, -1, &rope->low));
    TRY(config_real(object, where, "high_freq_factor", 1e-6, 1e6, -1, &rope->high));
    if (rope->high <= rope->low)
        rc = err_set(ERR_FORMAT, "%s: high_freq_factor %g must be above low_freq_factor %g", where,
                     rope->high, rope->low);
out:
    return rc;
}

/* The key may stand in the object or beside it. */
static int check_whole_heads(const json_t *json, const char *where)
{
    double part;
    int rc = config_real(json, where, "partial_rotary_factor", 0, 1, 1, &part);
    if (rc == 0 && part != 1)
        rc = err_set(ERR_FORMAT,
                     "%s: key 'partial_rotary_factor' is %g: only rotation of whole heads is "
                     "supported",
                     where, part);
    return rc;
}

static int read_object(const json_t *json, const json_t *object, struct model_config *config,
                       const char *where)
{
    int rc, trained;
    struct rope_scaling rope = {.factor = 1};
    TRY(read_kind(object, &rope.kind, where));
    TRY(config_real(object, where, "rope_theta", 1, 1e12, config->rope_theta, &config->rope_theta));
    TRY(check_whole_heads(object, where));
    if (rope.kind == ROPE_PLAIN) {
        config->rope = (struct rope_scaling){0};
        goto out;
    }
    /* Some checkpoints keep the training length beside the object, and that one counts. */
    TRY(config_int(object, where, "original_max_position_embeddings", 1, 1 << 30,
                   config->max_positions, &trained));
    TRY(config_int(json, where, "original_max_position_embeddings", 1, 1 << 30, trained,
                   &rope.original));
    double stretched = (double)config->max_positions / rope.original;
    TRY(config_real(object, where, "factor", 1e-3, 1e6, rope.kind == ROPE_YARN ? stretched : -1,
                    &rope.factor));
    if (rope.kind == ROPE_LLAMA3)
        TRY(read_llama3(object, &rope, where));
    if (rope.kind == ROPE_YARN)
        TRY(read_yarn(object, &rope, where));
    if (rope.kind == ROPE_YARN && config->rope_theta <= 1) {
        rc = err_set(ERR_FORMAT, "%s: yarn needs a rope_theta above 1", where);
        goto out;
    }
    config->rope = rope;
out:
    return rc;
}

int rope_read_config(const json_t *json, struct model_config *config, const char *where)
{
    static const char *const keys[] = {"rope_scaling", "rope_parameters"};
    int rc;
    char *place = NULL;
    config->rope = (struct rope_scaling){0};
    TRY(config_real(json, where, "rope_theta", 1, 1e12, 10000, &config->rope_theta));
    TRY(check_whole_heads(json, where));
    for (int i = 0; i < 2; i++) {
        const json_t *object = json_object_get(json, keys[i]);
        if (!object || json_is_null(object))
            continue;
        mem_free(place);
        place = NULL;
        TRY(mem_printf(&place, "%s: key '%s'", where, keys[i]));
        if (!json_is_object(object)) {
            rc = err_set(ERR_FORMAT, "%s is no object", place);
            goto out;
        }
        TRY(read_object(json, object, config, place));
    }
out:
    mem_free(place);
    return rc;
}

int rope_to_json(const struct model_config *config, json_t **out)
{
    const struct rope_scaling *rope = &config->rope;
    json_t *json = rope->kind == ROPE_PLAIN
                       ? json_null()
                       : json_pack("{s:s, s:f, s:i}", "rope_type", rope_kind_name(rope->kind),
                                   "factor", rope->factor, "original_max_position_embeddings",
                                   rope->original);
    int bad = !json;
    if (rope->kind == ROPE_LLAMA3 && !bad) {
        bad |= json_object_set_new(json, "low_freq_factor", json_real(rope->low));
        bad |= json_object_set_new(json, "high_freq_factor", json_real(rope->high));
    }
    if (rope->kind == ROPE_YARN && !bad) {
        bad |= json_object_set_new(json, "beta_slow", json_real(rope->low));
        bad |= json_object_set_new(json, "beta_fast", json_real(rope->high));
        bad |= json_object_set_new(json, "attention_factor", json_real(rope->attention));
        bad |= json_object_set_new(json, "truncate", json_boolean(!rope->keep_fractions));
    }
    if (bad) {
        json_decref(json);
        return err_set(ERR_MEMORY, "out of memory for a configuration");
    }
    *out = json;
    return 0;
}

/* ---- tables ---- */

static float llama3_frequency(const struct rope_scaling *rope, float frequency)
{
    static const float turn = 6.28318530717958647692f;
    float wave = turn / frequency, length = (float)rope->original;
    if (wave < length / (float)rope->high)
        return frequency;
    if (wave > length / (float)rope->low)
        return frequency / (float)rope->factor;
    float smooth = (length / wave - (float)rope->low) / (float)(rope->high - rope->low);
    return (1 - smooth) * frequency / (float)rope->factor + smooth * frequency;
}

/* The dimension whose frequency turns `turns` times over the training length. */
static double yarn_dimension(const struct model_config *config, double turns)
{
    static const double turn = 6.28318530717958647692;
    return config->head_size * log(config->rope.original / (turns * turn)) /
           (2 * log(config->rope_theta));
}

static float yarn_frequency(const struct model_config *config, int i, float frequency)
{
    const struct rope_scaling *rope = &config->rope;
    double first = yarn_dimension(config, rope->high), last = yarn_dimension(config, rope->low);
    if (!rope->keep_fractions) {
        first = floor(first);
        last = ceil(last);
    }
    first = fmax(first, 0);
    last = fmin(last, config->head_size - 1);
    double ramp = (i - first) / (last == first ? 0.001 : last - first);
    float kept = (float)(1 - fmin(fmax(ramp, 0), 1));
    return frequency / (float)rope->factor * (1 - kept) + frequency * kept;
}

static float frequency_at(const struct model_config *config, int i)
{
    const struct rope_scaling *rope = &config->rope;
    /* float32 throughout, as transformers computes 1 / theta^(2i/d): the last bit of a frequency is
     * the last bits of every angle. */
    float exponent = (float)(2 * i) / (float)config->head_size;
    float plain = 1.0f / powf((float)config->rope_theta, exponent);
    switch (rope->kind) {
    case ROPE_LINEAR: return plain / (float)rope->factor;
    case ROPE_LLAMA3: return llama3_frequency(rope, plain);
    case ROPE_YARN: return yarn_frequency(config, i, plain);
    case ROPE_PLAIN:
    case ROPE_DYNAMIC: break;
    }
    return plain;
}

void rope_table(const struct model_config *config, int positions, float *cosine, float *sine)
{
    int half = config->head_size / 2;
    double factor = config->rope.kind == ROPE_YARN ? config->rope.attention : 1;
    for (int i = 0; i < half; i++) {
        float frequency = frequency_at(config, i);
        for (int p = 0; p < positions; p++) {
            float angle = (float)p * frequency;
            cosine[(size_t)p * (size_t)half + (size_t)i] = (float)(cos((double)angle) * factor);
            sine[(size_t)p * (size_t)half + (size_t)i] = (float)(sin((double)angle) * factor);
        }
    }
}
