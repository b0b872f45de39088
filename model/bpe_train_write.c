#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "model/bpe_bytes.h"
#include "model/bpe_train_internal.h"
#include "model/pretokenize.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Appends the visible characters of token `id`. */
static int add_token(struct strbuf *out, const struct bpe_learned *learned, uint32_t id)
{
    if (id < learned->special_count)
        return strbuf_puts(out, learned->special_tokens[id]);
    const struct bpe_string *token = &learned->tokens.items[id - learned->special_count];
    int rc = 0;
    for (uint32_t i = 0; rc == 0 && i < token->size; i++) {
        char character[4];
        int length = utf8_encode(bpe_byte_to_char((uint8_t)learned->tokens.pool[token->offset + i]),
                                 character);
        rc = strbuf_add(out, character, (size_t)length);
    }
    return rc;
}

static int no_memory(void)
{
    return err_set(ERR_MEMORY, "out of memory for the text of tokenizer.json");
}

static int add_vocabulary(const struct bpe_learned *learned, json_t *vocabulary)
{
    int rc = 0;
    struct strbuf text = {0};
    for (uint32_t id = 0; id < learned->special_count + learned->tokens.count; id++) {
        text.length = 0;
        TRY(add_token(&text, learned, id));
        if (json_object_set_new(vocabulary, text.data, json_integer(id))) {
            rc = no_memory();
            goto out;
        }
    }
out:
    strbuf_release(&text);
    return rc;
}

static int add_merges(const struct bpe_learned *learned, json_t *merges)
{
    int rc = 0;
    struct strbuf text = {0};
    for (size_t i = 0; i < learned->merge_count; i++) {
        text.length = 0;
        TRY(add_token(&text, learned, learned->merges[i].left));
        TRY(strbuf_add(&text, " ", 1));
        TRY(add_token(&text, learned, learned->merges[i].right));
        if (json_array_append_new(merges, json_string(text.data))) {
            rc = no_memory();
            goto out;
        }
    }
out:
    strbuf_release(&text);
    return rc;
}

static int add_specials(const struct bpe_learned *learned, json_t *list)
{
    for (uint32_t id = 0; id < learned->special_count; id++) {
        json_t *token = json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", (int)id, "content",
                                  learned->special_tokens[id], "single_word", 0, "lstrip", 0,
                                  "rstrip", 0, "normalized", 0, "special", 1);
        if (!token || json_array_append_new(list, token))
            return no_memory();
    }
    return 0;
}

int bpe_train_json(const struct bpe_learned *learned, const struct bpe_training *options,
                   char **json)
{
    int rc = 0;
    char *text = NULL;
    json_t *specials = json_array(), *vocabulary = json_object(), *merges = json_array(), *rules,
           *root = NULL;
    if (!specials || !vocabulary || !merges) {
        rc = no_memory();
        goto out;
    }
    TRY(add_specials(learned, specials));
    TRY(add_vocabulary(learned, vocabulary));
    TRY(add_merges(learned, merges));
    rules = pretokenizer_gpt2_json(options->individual_digits);
    root = json_pack("{s:s, s:n, s:n, s:O, s:n, s:o, s:n, s:{s:s, s:b, s:b, s:b},"
                     " s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:b, s:O, s:O}}",
                     "version", "1.0", "truncation", "padding", "added_tokens", specials,
                     "normalizer", "pre_tokenizer", rules, "post_processor", "decoder", "type",
                     "ByteLevel", "add_prefix_space", 1, "trim_offsets", 1, "use_regex", 1, "model",
                     "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix",
                     "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0, "ignore_merges", 0,
                     "vocab", vocabulary, "merges", merges);
    text = root ? json_dumps(root, JSON_INDENT(1)) : NULL;
    rc = text ? mem_strdup(json, text) : no_memory();
out:
    free(text); /* jansson's own */
    json_decref(root);
    json_decref(specials);
    json_decref(vocabulary);
    json_decref(merges);
    return rc;
}

static int write_text(const char *folder, const char *name, const char *text)
{
    int rc;
    char *path = NULL;
    struct file_writer writer = {0};
    TRY(file_join(&path, folder, name));
    TRY(file_write_begin(&writer, path));
    TRY(file_write(&writer, text, strlen(text)));
    TRY(file_write(&writer, "\n", 1));
    TRY(file_write_commit(&writer));
out:
    file_write_abort(&writer);
    mem_free(path);
    return rc;
}

int bpe_train_folder(const struct bpe_text *texts, size_t text_count,
                     const struct bpe_training *options, const char *folder, int *tokens)
{
    int rc, learned, specials = options->special_tokens ? 0 : 1;
    char *json = NULL, *config_text = NULL;
    json_t *config = NULL;
    const char *edge = options->special_tokens ? options->special_tokens[0] : "<|endoftext|>";
    while (options->special_tokens && options->special_tokens[specials])
        specials++;
    TRY(bpe_train(texts, text_count, options, &json, &learned));
    if (learned <= specials + 256) {
        rc = err_set(ERR_USAGE,
                     "%s: no tokenizer was made: the texts are so short that no two neighbouring "
                     "characters occur twice",
                     folder);
        goto out;
    }
    if (tokens)
        *tokens = learned;
    TRY(file_make_directories(folder));
    TRY(write_text(folder, "tokenizer.json", json));
    config = edge ? json_pack("{s:s, s:s, s:s, s:b, s:b}", "tokenizer_class",
                              "PreTrainedTokenizerFast", "bos_token", edge, "eos_token", edge,
                              "clean_up_tokenization_spaces", 0, "add_prefix_space", 0)
                  : json_pack("{s:s}", "tokenizer_class", "PreTrainedTokenizerFast");
    config_text = config ? json_dumps(config, JSON_INDENT(1)) : NULL;
    if (!config_text) {
        rc = no_memory();
        goto out;
    }
    TRY(write_text(folder, "tokenizer_config.json", config_text));
out:
    free(config_text);
    json_decref(config);
    mem_free(json);
    return rc;
}
