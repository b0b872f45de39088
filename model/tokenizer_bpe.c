/* Byte-level BPE as a kind of tokenizer (GPT-2, OPT, SmolLM2, LLaMA 3, our own). */
#include "core/err.h"
#include "core/mem.h"
#include "model/bpe.h"
#include "model/pretokenize.h"

#include <string.h>

/* ---- encoding ---- */

static int encoder_open(const struct tokenizer *tokenizer, void **out)
{
    struct bpe_encoder *encoder;
    int rc = mem_calloc(&encoder, 1, sizeof *encoder);
    if (rc == 0)
        encoder->bpe = tokenizer->state;
    *out = encoder;
    return rc;
}

static void encoder_free(void *encoder)
{
    if (encoder)
        bpe_encoder_release(encoder);
    mem_free(encoder);
}

static int encode_word(void *encoder, const char *word, size_t size)
{
    return bpe_encode_word(encoder, word, size);
}

static int encode(void *context, const char *text, size_t size, bool at_start,
                  struct token_list *out)
{
    struct bpe_encoder *encoder = context;
    encoder->out = out;
    return pretokenizer_words(encoder->bpe->rules, text, size, encode_word, encoder);
}

static size_t lacking(const struct tokenizer *tokenizer, const char *text, size_t size)
{
    const struct bpe *bpe = tokenizer->state;
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += bpe->byte_ids[(uint8_t)text[i]] < 0;
    return count;
}

static void free_state(void *state)
{
    bpe_free(state);
}

static const struct tokenizer_kind kind_bpe = {
    .name = "byte-level BPE",
    .encoder_open = encoder_open,
    .encoder_free = encoder_free,
    .encode = encode,
    .lacking = lacking,
    .free = free_state,
};

/* ---- opening ---- */

/* Fields of the model that change its meaning and that we do not know are refused. */
int tokenizer_bpe_check(const json_t *model, const char *file)
{
    static const char *const absent[] = {"dropout", "continuing_subword_prefix",
                                         "end_of_word_suffix"};
    const char *type = json_string_value(json_object_get(model, "type"));
    if (!json_is_object(model))
        return err_set(ERR_FORMAT, "%s: has no 'model'", file);
    if (type && strcmp(type, "BPE") != 0)
        return err_set(ERR_FORMAT, "%s: model type '%s' is not supported; supported: BPE", file,
                       type);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        const json_t *value = json_object_get(model, absent[i]);
        bool empty = json_is_string(value) && json_string_length(value) == 0;
        bool zero = json_is_number(value) && json_number_value(value) == 0;
        if (value && !json_is_null(value) && !empty && !zero)
            return err_set(ERR_FORMAT,
                           "%s: model: '%s' is not supported; it must be absent, null or empty",
                           file, absent[i]);
    }
    return 0;
}

static int check_decoder(const json_t *decoder, const char *file)
{
    const char *type = json_string_value(json_object_get(decoder, "type"));
    if (decoder && !json_is_null(decoder) && (!type || strcmp(type, "ByteLevel") != 0))
        return err_set(ERR_FORMAT, "%s: decoder type '%s' is not supported; supported: ByteLevel",
                       file, type ? type : "?");
    return 0;
}

/* Takes over the state, which tokenizer_free then frees. */
static int start(struct tokenizer *tokenizer, struct bpe **bpe)
{
    int rc = mem_calloc(bpe, 1, sizeof **bpe);
    if (rc == 0) {
        tokenizer->kind = &kind_bpe;
        tokenizer->state = *bpe;
        (*bpe)->unknown = -1;
    }
    return rc;
}

int tokenizer_bpe_from_json(struct tokenizer *tokenizer, const json_t *root, const char *file)
{
    int rc;
    struct bpe *bpe;
    const json_t *model = json_object_get(root, "model"),
                 *vocabulary = json_object_get(model, "vocab");
    const json_t *unknown = json_object_get(model, "unk_token");
    if (json_is_true(json_object_get(model, "byte_fallback")))
        return err_set(ERR_FORMAT,
                       "%s: model: byte_fallback together with a pre_tokenizer or decoder "
                       "ByteLevel is not supported",
                       file);
    TRY(check_decoder(json_object_get(root, "decoder"), file));
    TRY(start(tokenizer, &bpe));
    TRY(bpe_read_vocabulary(tokenizer, vocabulary, BPE_BYTES, file));
    TRY(bpe_read_merges(bpe, vocabulary, json_object_get(model, "merges"), file));
    TRY(pretokenizer_from_json(&bpe->rules, json_object_get(root, "pre_tokenizer"), file));
    if (json_is_string(unknown)) {
        const json_t *id = json_object_get(vocabulary, json_string_value(unknown));
        if (!id) {
            rc = err_set(ERR_FORMAT, "%s: model: unk_token '%s' is not in the vocabulary", file,
                         json_string_value(unknown));
            goto out;
        }
        bpe->unknown = (int32_t)json_integer_value(id);
    }
    bpe->fuse_unknown = json_is_true(json_object_get(model, "fuse_unk"));
    bpe->whole_words = json_is_true(json_object_get(model, "ignore_merges"));
    TRY(bpe_prepare(bpe, vocabulary));
out:
    return rc;
}

int tokenizer_bpe_from_merges(struct tokenizer *tokenizer, const json_t *vocabulary,
                              const char *vocabulary_file, const struct file_map *merges,
                              const char *merges_file, bool add_prefix_space)
{
    int rc;
    struct bpe *bpe;
    json_t *rules = NULL;
    TRY(start(tokenizer, &bpe));
    TRY(bpe_read_vocabulary(tokenizer, vocabulary, BPE_BYTES, vocabulary_file));
    TRY(bpe_read_merge_lines(bpe, vocabulary, merges, merges_file));
    rules = pretokenizer_gpt2_json(false);
    if (!rules || json_object_set_new(rules, "add_prefix_space", json_boolean(add_prefix_space))) {
        rc = err_set(ERR_MEMORY, "%s: out of memory", vocabulary_file);
        goto out;
    }
    TRY(pretokenizer_from_json(&bpe->rules, rules, vocabulary_file));
    TRY(bpe_prepare(bpe, vocabulary));
out:
    json_decref(rules);
    return rc;
}
