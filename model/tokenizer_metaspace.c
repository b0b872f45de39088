/* A tokenizer.json whose vocabulary is one of characters: what Hugging Face makes of a
 * SentencePiece BPE model (LLaMA 1 and 2, Mistral, TinyLlama, Gemma). */
#include "core/err.h"
#include "core/mem.h"
#include "model/bpe.h"
#include "model/pretokenize.h"
#include "model/tokenizer_characters.h"

#include <string.h>

static int read_prefix(struct characters *state, const json_t *rules, const char *file)
{
    const char *scheme = json_string_value(json_object_get(rules, "prepend_scheme"));
    const json_t *add = json_object_get(rules, "add_prefix_space");
    if (!scheme) /* the older form */
        scheme = json_is_false(add) ? "never" : "always";
    if (strcmp(scheme, "always") == 0)
        state->prefix = PREFIX_ALWAYS;
    else if (strcmp(scheme, "first") == 0)
        state->prefix = PREFIX_FIRST;
    else if (strcmp(scheme, "never") == 0)
        state->prefix = PREFIX_NONE;
    else
        return err_set(ERR_FORMAT,
                       "%s: pre_tokenizer 'Metaspace': prepend_scheme '%s' is none of always, "
                       "first, never",
                       file, scheme);
    return 0;
}

static int read_words(struct characters *state, const json_t *rules, const char *file)
{
    const char *type = json_string_value(json_object_get(rules, "type"));
    const char *mark = json_string_value(json_object_get(rules, "replacement"));
    if (!rules || json_is_null(rules))
        return 0;
    if (!type || strcmp(type, "Metaspace") != 0)
        return pretokenizer_for_characters(&state->bpe->rules, rules, file);
    if (!mark || strcmp(mark, "\xe2\x96\x81") != 0)
        return err_set(ERR_FORMAT, "%s: pre_tokenizer 'Metaspace': the replacement must be U+2581",
                       file);
    state->metaspace = true;
    state->split = !json_is_false(json_object_get(rules, "split"));
    return read_prefix(state, rules, file);
}

/* A Prepend of U+2581 among the normalizer's rules. */
static bool prepends(const json_t *rules)
{
    const char *type = json_string_value(json_object_get(rules, "type"));
    const json_t *list = json_object_get(rules, "normalizers");
    if (type && strcmp(type, "Prepend") == 0)
        return true;
    for (size_t i = 0; i < json_array_size(list); i++) {
        type = json_string_value(json_object_get(json_array_get(list, i), "type"));
        if (type && strcmp(type, "Prepend") == 0)
            return true;
    }
    return false;
}

/* Decoding follows from the vocabulary; the steps are only checked to be those which mean that. */
static int check_decoder(const json_t *decoder, int depth, const char *file)
{
    static const char *const known[] = {"Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"};
    const char *type = json_string_value(json_object_get(decoder, "type"));
    int rc = 0;
    if (!decoder || json_is_null(decoder))
        return 0;
    if (type && strcmp(type, "Sequence") == 0 && depth < 8) {
        const json_t *list = json_object_get(decoder, "decoders");
        for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
            rc = check_decoder(json_array_get(list, i), depth + 1, file);
        return rc;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (type && strcmp(type, known[i]) == 0)
            return 0;
    return err_set(ERR_FORMAT,
                   "%s: decoder type '%s' is not supported; supported: ByteLevel, or Replace, "
                   "ByteFallback, Fuse, Strip, Metaspace, Sequence",
                   file, type ? type : "?");
}

static int read_unknown(struct bpe *bpe, const json_t *model, const char *file)
{
    const json_t *name = json_object_get(model, "unk_token");
    if (!json_is_string(name))
        return 0;
    const json_t *id = json_object_get(json_object_get(model, "vocab"), json_string_value(name));
    if (!id)
        return err_set(ERR_FORMAT, "%s: model: unk_token '%s' is not in the vocabulary", file,
                       json_string_value(name));
    bpe->unknown = (int32_t)json_integer_value(id);
    return 0;
}

int tokenizer_characters_from_json(struct tokenizer *tokenizer, const json_t *root,
                                   const char *file)
{
    int rc;
    struct characters *state;
    const json_t *model = json_object_get(root, "model"),
                 *vocabulary = json_object_get(model, "vocab");
    TRY(check_decoder(json_object_get(root, "decoder"), 0, file));
    TRY(characters_start(tokenizer, &state));
    struct bpe *bpe = state->bpe;
    bpe->byte_fallback = json_is_true(json_object_get(model, "byte_fallback"));
    bpe->fuse_unknown = json_is_true(json_object_get(model, "fuse_unk"));
    bpe->whole_words = json_is_true(json_object_get(model, "ignore_merges"));
    TRY(bpe_read_vocabulary(tokenizer, vocabulary,
                            bpe->byte_fallback ? BPE_PIECES_AND_BYTES : BPE_PIECES, file));
    TRY(bpe_read_merges(bpe, vocabulary, json_object_get(model, "merges"), file));
    TRY(read_unknown(bpe, model, file));
    TRY(read_words(state, json_object_get(root, "pre_tokenizer"), file));
    TRY(bpe_prepare_characters(bpe, vocabulary, tokenizer->vocabulary - 1));
    tokenizer->prefix = prepends(json_object_get(root, "normalizer")) ? PREFIX_ALWAYS
                                                                      : state->prefix;
out:
    return rc;
}
