#include "model/llama2c.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/tensor_part.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Of version 1: "ak42" as a number, its version, the seven numbers, whether the head is tied; the
 * weights begin at a fixed place. */
enum { MAGIC = 0x616b3432, HEADER_V1 = 256, HEADER_V0 = 28 };

struct shape {
    int version;
    int64_t width, hidden, layers, heads, kv_heads, vocabulary, positions;
    bool tied;
    size_t header; /* bytes before the weights */
};

static int32_t number_at(const uint8_t *bytes, int index)
{
    uint32_t bits = 0;
    for (int i = 3; i >= 0; i--)
        bits = bits << 8 | bytes[4 * index + i];
    return (int32_t)bits;
}

static int check_number(const char *path, const char *what, int64_t value, int64_t high)
{
    if (value >= 1 && value <= high)
        return 0;
    return err_set(ERR_FORMAT,
                   "%s: the header says %" PRId64 " %s, where 1 to %" PRId64
                   " are possible: neither a GGUF file nor a checkpoint of llama2.c",
                   path, value, what, high);
}

static int read_header(const struct tensor_part *part, struct shape *s)
{
    int rc;
    const uint8_t *bytes = part->map.data;
    const char *path = part->path;
    bool named = part->map.size >= 4 && number_at(bytes, 0) == MAGIC;
    s->header = named ? HEADER_V1 : HEADER_V0;
    if (part->map.size < s->header)
        return err_set(ERR_FORMAT,
                       "%s: %zu bytes are too few for a model: %zu are the header of llama2.c's "
                       "checkpoints (truncated?)",
                       path, part->map.size, s->header);
    s->version = named ? number_at(bytes, 1) : 0;
    if (named && s->version != 1)
        return err_set(ERR_FORMAT,
                       "%s: a checkpoint of llama2.c of version %d: 0 and 1, both float32, are "
                       "supported",
                       path, s->version);
    const uint8_t *numbers = bytes + (named ? 8 : 0);
    s->width = number_at(numbers, 0);
    s->hidden = number_at(numbers, 1);
    s->layers = number_at(numbers, 2);
    s->heads = number_at(numbers, 3);
    s->kv_heads = number_at(numbers, 4);
    s->vocabulary = number_at(numbers, 5);
    s->positions = number_at(numbers, 6);
    s->tied = named ? bytes[36] != 0 : s->vocabulary > 0;
    if (!named && s->vocabulary < 0)
        s->vocabulary = -s->vocabulary;
    TRY(check_number(path, "dimensions", s->width, 1 << 17));
    TRY(check_number(path, "dimensions of the MLP", s->hidden, 1 << 20));
    TRY(check_number(path, "layers", s->layers, 4096));
    TRY(check_number(path, "heads", s->heads, 4096));
    TRY(check_number(path, "key-value heads", s->kv_heads, s->heads));
    TRY(check_number(path, "tokens in the vocabulary", s->vocabulary, 1 << 24));
    TRY(check_number(path, "positions", s->positions, 1 << 30));
    if (s->width % (2 * s->heads) || s->heads % s->kv_heads)
        rc = err_set(ERR_FORMAT,
                     "%s: %d dimensions do not divide into %d heads, or these among %d key-value "
                     "heads: no checkpoint of llama2.c",
                     path, (int)s->width, (int)s->heads, (int)s->kv_heads);
out:
    return rc;
}

/* ---- the weights ---- */

/* Where the next tensor begins, and whether the file has room for it. */
struct cursor {
    struct tensor_part *part;
    const struct shape *shape;
    size_t at, capacity;
};

static int add_tensor(struct cursor *cursor, int layer, const char *name, int64_t rows,
                      int64_t columns)
{
    struct tensor_part *part = cursor->part;
    char *full;
    const size_t length = strlen(name) + 32;
    const size_t count = (size_t)rows * (size_t)(columns ? columns : 1);
    if (count * 4 > part->map.size - cursor->at)
        return err_set(ERR_FORMAT,
                       "%s: '%s' of layer %d takes %zu bytes from byte %zu, past the file's %zu "
                       "(truncated, or no checkpoint of llama2.c)",
                       part->path, name, layer, count * 4, cursor->at, part->map.size);
    int rc = arena_alloc(&part->memory, &full, length, 1);
    if (rc)
        return rc;
    if (layer < 0)
        snprintf(full, length, "%s", name);
    else
        snprintf(full, length, "model.layers.%d.%s", layer, name);
    part->items[part->count++] = (struct tensor){.name = full,
                                                 .dtype = DTYPE_F32,
                                                 .rank = columns ? 2 : 1,
                                                 .shape = {(size_t)rows, (size_t)columns},
                                                 .count = count,
                                                 .bytes = count * 4,
                                                 .data = part->map.data + cursor->at,
                                                 .file = part->path};
    cursor->at += count * 4;
    return 0;
}

/* One kind of tensor for all layers, as the file has them; heads, when not 0, of q and k. */
static int add_layers(struct cursor *cursor, const char *name, int64_t rows, int64_t columns,
                      int64_t heads)
{
    int rc = 0;
    for (int i = 0; rc == 0 && i < cursor->shape->layers; i++) {
        rc = add_tensor(cursor, i, name, rows, columns);
        if (rc == 0 && heads)
            rc = tensor_split_pairs(&cursor->part->items[cursor->part->count - 1], (size_t)heads,
                                    &cursor->part->memory);
    }
    return rc;
}

static int add_norms(struct cursor *cursor, bool attention)
{
    return add_layers(cursor,
                      attention ? "input_layernorm.weight" : "post_attention_layernorm.weight",
                      cursor->shape->width, 0, 0);
}

static int add_attention(struct cursor *cursor)
{
    const struct shape *s = cursor->shape;
    const int64_t kv = s->width / s->heads * s->kv_heads;
    int rc;
    TRY(add_layers(cursor, "self_attn.q_proj.weight", s->width, s->width, s->heads));
    TRY(add_layers(cursor, "self_attn.k_proj.weight", kv, s->width, s->kv_heads));
    TRY(add_layers(cursor, "self_attn.v_proj.weight", kv, s->width, 0));
    TRY(add_layers(cursor, "self_attn.o_proj.weight", s->width, s->width, 0));
out:
    return rc;
}

/* w1, w2, w3 of the original. */
static int add_mlp(struct cursor *cursor)
{
    const struct shape *s = cursor->shape;
    int rc;
    TRY(add_layers(cursor, "mlp.gate_proj.weight", s->hidden, s->width, 0));
    TRY(add_layers(cursor, "mlp.down_proj.weight", s->width, s->hidden, 0));
    TRY(add_layers(cursor, "mlp.up_proj.weight", s->hidden, s->width, 0));
out:
    return rc;
}

/* Version 0 keeps the norms between the others, and tables of cosines and sines, which are computed
 * anew, before the head; version 1 begins with the norms. */
static int add_tensors(struct cursor *cursor)
{
    const struct shape *s = cursor->shape;
    const bool old = s->version == 0;
    int rc = 0;
    if (!old) {
        TRY(add_norms(cursor, true));
        TRY(add_norms(cursor, false));
        TRY(add_tensor(cursor, -1, "model.norm.weight", s->width, 0));
    }
    TRY(add_tensor(cursor, -1, "model.embed_tokens.weight", s->vocabulary, s->width));
    if (old)
        TRY(add_norms(cursor, true));
    TRY(add_attention(cursor));
    if (old)
        TRY(add_norms(cursor, false));
    TRY(add_mlp(cursor));
    if (old) {
        TRY(add_tensor(cursor, -1, "model.norm.weight", s->width, 0));
        TRY(add_tensor(cursor, -1, "freq_cis", s->positions, s->width / s->heads));
        cursor->part->count--;
    }
    if (!s->tied)
        TRY(add_tensor(cursor, -1, "lm_head.weight", s->vocabulary, s->width));
    if (cursor->at != cursor->part->map.size)
        rc = err_set(ERR_FORMAT,
                     "%s: %zu bytes behind the last tensor belong to none: no checkpoint of "
                     "llama2.c",
                     cursor->part->path, cursor->part->map.size - cursor->at);
out:
    return rc;
}

static json_t *make_config(const struct shape *s)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:b, s:i, s:i}",
                     "model_type", "llama", "hidden_act", "silu", "hidden_size", s->width,
                     "intermediate_size", s->hidden, "num_hidden_layers", s->layers,
                     "num_attention_heads", s->heads, "num_key_value_heads", s->kv_heads,
                     "vocab_size", s->vocabulary, "max_position_embeddings", s->positions,
                     "rms_norm_eps", 1e-5, "rope_theta", 10000.0, "tie_word_embeddings", s->tied,
                     "bos_token_id", 1, "eos_token_id", 2);
}

int llama2c_open(const char *path, json_t **config, struct tensor_table **tensors)
{
    int rc;
    struct shape shape = {0};
    struct tensor_part part = {0};
    json_t *json = NULL;
    TRY(mem_strdup(&part.path, path));
    TRY(file_map_open(&part.map, path));
    TRY(read_header(&part, &shape));
    struct cursor cursor = {.part = &part, .shape = &shape, .at = shape.header};
    TRY(mem_calloc(&part.items, (size_t)shape.layers * 9 + 4, sizeof *part.items));
    TRY(add_tensors(&cursor));
    json = make_config(&shape);
    if (!json) {
        rc = err_set(ERR_MEMORY, "%s: out of memory for the configuration", path);
        goto out;
    }
    TRY(tensor_table_from_part(tensors, &part));
    *config = json;
    json = NULL;
out:
    json_decref(json);
    tensor_part_release(&part);
    return rc;
}
