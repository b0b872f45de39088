#include "core/err.h"
#include "core/file.h"
#include "core/mem.h"
#include "model/bpe_table.h"
#include "model/gguf.h"
#include "model/tokenizer_place.h"

#include <stdlib.h>
#include <string.h>

/* ---- the files beside it ---- */

/* What tokenizer_config.json, special_tokens_map.json, added_tokens.json and config.json of the
 * folder say; each may be NULL. */
struct companions {
    json_t *tokenizer_config, *special_tokens, *added, *config;
};

static int read_companion(json_t **out, const char *folder, const char *name)
{
    char *path = NULL;
    int rc = file_join(&path, folder, name);
    if (rc == 0 && file_exists(path))
        rc = tokenizer_read_json(out, path, JSON_DECODE_INT_AS_REAL, NULL); /* model_max_length is
                                                                               often 10^30 */
    mem_free(path);
    return rc;
}

static int read_companions(struct companions *files, const char *folder)
{
    int rc = read_companion(&files->tokenizer_config, folder, "tokenizer_config.json");
    if (rc == 0)
        rc = read_companion(&files->special_tokens, folder, "special_tokens_map.json");
    if (rc == 0)
        rc = read_companion(&files->added, folder, "added_tokens.json");
    return rc ? rc : read_companion(&files->config, folder, "config.json");
}

static void release_companions(struct companions *files)
{
    json_decref(files->tokenizer_config);
    json_decref(files->special_tokens);
    json_decref(files->added);
    json_decref(files->config);
}

/* The text of a token that is given as a string or as an object with "content", or NULL. */
static const char *token_content(const json_t *value)
{
    return json_string_value(json_is_object(value) ? json_object_get(value, "content") : value);
}

static const char *named_token(const struct companions *files, const char *key)
{
    const char *text = token_content(json_object_get(files->tokenizer_config, key));
    return text ? text : token_content(json_object_get(files->special_tokens, key));
}

/* *id = that of the token called `key` ("bos_token"); untouched where the files do not say. */
static int companion_token(const struct tokenizer *tokenizer, const struct companions *files,
                           const char *key, const char *folder, int *id)
{
    const char *text = named_token(files, key);
    if (text) {
        *id = tokenizer_find(tokenizer, text);
        if (*id < 0)
            return err_set(
                ERR_FORMAT,
                "%s: tokenizer_config.json or special_tokens_map.json: %s '%s' is not in the "
                "vocabulary",
                folder, key, text);
    }
    return 0;
}

/* config.json's bos_token_id, eos_token_id (an integer, or a list of them), or -1. */
static int config_id(const struct tokenizer *tokenizer, const struct companions *files,
                     const char *key)
{
    const json_t *value = json_object_get(files->config, key);
    if (json_is_array(value))
        value = json_array_get(value, 0);
    double id = json_is_number(value) ? json_number_value(value) : -1;
    return id >= 0 && id < tokenizer->vocabulary && tokenizer->tokens[(int)id].known ? (int)id : -1;
}

static int added_id(const struct tokenizer *tokenizer, const char *content)
{
    for (size_t i = 0; i < tokenizer->added.count; i++)
        if (tokenizer->added.tokens[i].special &&
            strcmp(tokenizer->added.tokens[i].content, content) == 0)
            return tokenizer->added.tokens[i].id;
    return -1;
}

/* add_bos_token overrules the file for the classes that look at it; for others, true alone says
 * something. */
static void choose_bos_rule(struct tokenizer *tokenizer, const struct companions *files)
{
    const json_t *add = json_object_get(files->tokenizer_config, "add_bos_token");
    const char *class = json_string_value(
        json_object_get(files->tokenizer_config, "tokenizer_class"));
    if (json_is_true(add) && tokenizer->bos >= 0)
        tokenizer->adds_bos = true;
    if (json_is_false(add) && class &&
        (strncmp(class, "Llama", 5) == 0 || strncmp(class, "CodeLlama", 9) == 0))
        tokenizer->adds_bos = false;
}

/* bos and eos where the tokenizer's own file has not said them, from the most to the least
 * particular source. */
static int choose_edges(struct tokenizer *tokenizer, const struct companions *files,
                        const char *folder)
{
    static const char *const bos_names[] = {"<|endoftext|>", "<|begin_of_text|>", "<s>", NULL};
    static const char *const eos_names[] = {"<|endoftext|>", "<|end_of_text|>", "</s>", NULL};
    int rc = companion_token(tokenizer, files, "bos_token", folder, &tokenizer->bos);
    if (rc == 0)
        rc = companion_token(tokenizer, files, "eos_token", folder, &tokenizer->eos);
    if (rc)
        return rc;
    if (tokenizer->bos < 0)
        tokenizer->bos = config_id(tokenizer, files, "bos_token_id");
    if (tokenizer->eos < 0)
        tokenizer->eos = config_id(tokenizer, files, "eos_token_id");
    for (int i = 0; bos_names[i] && tokenizer->bos < 0; i++)
        tokenizer->bos = added_id(tokenizer, bos_names[i]);
    for (int i = 0; eos_names[i] && tokenizer->eos < 0; i++)
        tokenizer->eos = added_id(tokenizer, eos_names[i]);
    choose_bos_rule(tokenizer, files);
    return 0;
}

/* ---- vocab.json with merges.txt ---- */

/* A token that is looked for in the text; names that the vocabulary does not have are passed over.
 */
static int add_special(struct tokenizer *tokenizer, const char *content)
{
    int id = content ? tokenizer_find(tokenizer, content) : -1;
    if (id < 0 || added_id(tokenizer, content) >= 0)
        return 0;
    struct added_token token = {
        .content = content, .size = strlen(content), .id = id, .special = true};
    return added_tokens_add(&tokenizer->added, &token);
}

/* These files do not name the special tokens. Where nothing beside them does, GPT-2's is
 * "<|endoftext|>"; a vocabulary that begins with <s>, <pad>, </s> is OPT's, which puts </s> before
 * every text and otherwise knows only <pad>. */
static int add_usual_specials(struct tokenizer *tokenizer, const struct companions *files)
{
    static const char *const keys[] = {"bos_token", "eos_token", "unk_token", "pad_token"};
    int rc = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        TRY(add_special(tokenizer, named_token(files, keys[i])));
    if (tokenizer->added.count)
        goto out;
    if (tokenizer_find(tokenizer, "<s>") == 0 && tokenizer_find(tokenizer, "<pad>") == 1 &&
        tokenizer_find(tokenizer, "</s>") == 2) {
        TRY(add_special(tokenizer, "</s>"));
        TRY(add_special(tokenizer, "<pad>"));
        tokenizer->bos = tokenizer->eos = 2;
        tokenizer->adds_bos = true;
    } else {
        TRY(add_special(tokenizer, "<|endoftext|>"));
    }
out:
    return rc;
}

static int open_merges(struct tokenizer *tokenizer, const char *vocabulary_path,
                       const char *merges_path, const struct companions *files, struct hash *hash)
{
    int rc;
    json_t *vocabulary = NULL;
    struct file_map merges = {0};
    bool prefix = json_is_true(json_object_get(files->tokenizer_config, "add_prefix_space"));
    TRY(tokenizer_read_json(&vocabulary, vocabulary_path, JSON_REJECT_DUPLICATES, hash));
    TRY(tokenizer_map(&merges, merges_path));
    hash_add(hash, merges.data, merges.size);
    TRY(tokenizer_bpe_from_merges(tokenizer, vocabulary, vocabulary_path, &merges, merges_path,
                                  prefix));
    TRY(add_usual_specials(tokenizer, files));
out:
    file_unmap(&merges);
    json_decref(vocabulary);
    return rc;
}

/* ---- a file that holds all of it ---- */

/* Appends a token in a tokenizer.json's words, unless the model's own file has made it known
 * already (unk, bos, eos). ERR_FORMAT where it is none. */
static int list_token(const struct tokenizer *tokenizer, json_t *list, json_int_t id,
                      const char *content, const json_t *flags, const char *file)
{
    if (content && id >= 0 && added_id(tokenizer, content) == id)
        return 0;
    json_t *token = json_is_object(flags) ? json_copy((json_t *)flags) : json_object();
    int failed = !content || json_object_set_new(token, "id", json_integer(id)) ||
                 json_object_set_new(token, "content", json_string(content)) ||
                 json_object_set_new(token, "normalized", json_false()) ||
                 json_array_append(list, token);
    json_decref(token);
    if (!failed)
        return 0;
    return err_set(ERR_FORMAT,
                   "%s: tokenizer_config.json (added_tokens_decoder) or added_tokens.json beside "
                   "it has a token without text",
                   file);
}

/* Beside a tokenizer.model: tokenizer_config.json's "added_tokens_decoder", {"32000": {"content":
 * ...}, ...}, else added_tokens.json, {"<pad>": 32000, ...}: found in the text as it is. */
static int add_configured_tokens(struct tokenizer *tokenizer, const struct companions *files,
                                 const char *file)
{
    int rc = 0;
    const char *key;
    json_t *value, *list = json_array(),
                   *decoder = json_object_get(files->tokenizer_config, "added_tokens_decoder");
    json_object_foreach(decoder, key, value)
    {
        char *end;
        long id = strtol(key, &end, 10);
        TRY(list_token(tokenizer, list, *key && !*end ? id : -1, token_content(value), value,
                       file));
    }
    json_object_foreach(decoder ? NULL : files->added, key, value)
    {
        double id = json_number_value(value);
        TRY(list_token(tokenizer, list, id >= 0 && id < 1 << 24 ? (json_int_t)id : -1, key, NULL,
                       file));
    }
    if (json_array_size(list))
        TRY(tokenizer_read_added(tokenizer, list, NULL, file));
out:
    json_decref(list);
    return rc;
}

static int open_file(struct tokenizer *tokenizer, enum tokenizer_format format, const char *path,
                     const struct companions *files, struct hash *hash)
{
    int rc;
    struct file_map map = {0};
    struct gguf *gguf = NULL;
    bool first_only = json_is_false(json_object_get(files->tokenizer_config, "legacy"));
    if (format == TOKENIZER_GGUF) { /* may be larger than any tokenizer */
        TRY(gguf_open(&gguf, path));
        TRY(tokenizer_from_gguf(tokenizer, gguf, hash));
    } else {
        TRY(tokenizer_map(&map, path));
        TRY(tokenizer_read_format(tokenizer, format, map.data, map.size, first_only, path, hash));
    }
    if (format == TOKENIZER_SENTENCEPIECE)
        TRY(add_configured_tokens(tokenizer, files, path));
out:
    file_unmap(&map);
    gguf_free(gguf);
    return rc;
}

int tokenizer_open(struct tokenizer **out, const char *path)
{
    int rc;
    struct tokenizer *tokenizer = NULL;
    struct tokenizer_place place = {0};
    struct companions files = {0};
    struct hash hash;
    hash_init(&hash);
    TRY(mem_calloc(&tokenizer, 1, sizeof *tokenizer));
    tokenizer->bos = tokenizer->eos = -1;
    TRY(tokenizer_find_place(&place, path));
    if (place.folder)
        TRY(read_companions(&files, place.folder));
    if (place.merges)
        TRY(open_merges(tokenizer, place.file, place.merges, &files, &hash));
    else
        TRY(open_file(tokenizer, place.format, place.file, &files, &hash));
    if (place.folder)
        TRY(choose_edges(tokenizer, &files, place.folder));
    TRY(tokenizer_prepare_added(tokenizer));
    hash_finish(&hash, tokenizer->hash);
    *out = tokenizer;
    tokenizer = NULL;
out:
    tokenizer_free(tokenizer);
    release_companions(&files);
    tokenizer_place_release(&place);
    return rc;
}
