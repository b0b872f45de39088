#include "core/err.h"
#include "core/mem.h"
#include "model/tokenizer_kind.h"

#include <string.h>

static const size_t FILE_LIMIT = (size_t)64 << 20;

int tokenizer_map(struct file_map *map, const char *path)
{
    int rc = file_map_open(map, path);
    if (rc == 0 && map->size > FILE_LIMIT) {
        rc = err_set(ERR_FORMAT, "%s: %zu bytes are too many for a tokenizer; at most %zu are read",
                     path, map->size, FILE_LIMIT);
        file_unmap(map);
        *map = (struct file_map){0};
    }
    return rc;
}

int tokenizer_parse_json(json_t **out, const void *bytes, size_t size, const char *path,
                         size_t flags)
{
    json_error_t error;
    if (size == 0)
        return err_set(ERR_FORMAT, "%s: is empty", path);
    json_t *root = json_loadb(bytes, size, flags, &error);
    if (!root)
        return err_set(ERR_FORMAT, "%s:%d: %s", path, error.line, error.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return err_set(ERR_FORMAT, "%s: is not a JSON object", path);
    }
    *out = root;
    return 0;
}

int tokenizer_read_json(json_t **out, const char *path, size_t flags, struct hash *hash)
{
    struct file_map map = {0};
    int rc = tokenizer_map(&map, path);
    if (rc == 0)
        rc = tokenizer_parse_json(out, map.data, map.size, path, flags);
    if (rc == 0 && hash)
        hash_add(hash, map.data, map.size);
    file_unmap(&map);
    return rc;
}

/* ---- tokenizer.json: the parts that do not depend on the kind of model ---- */

static int add_added_token(struct tokenizer *tokenizer, const json_t *object, size_t total,
                           const char *file)
{
    const json_t *id = json_object_get(object, "id"), *text = json_object_get(object, "content");
    const json_t *normalized = json_object_get(object, "normalized");
    const char *content = json_string_value(text);
    if (!content || !*content || !json_is_integer(id))
        return err_set(
            ERR_FORMAT,
            "%s: added_tokens: each needs an integer 'id' and a 'content' that is not empty", file);
    json_int_t number = json_integer_value(id);
    if (number < 0 || number >= (json_int_t)(tokenizer->vocabulary + 4096) + 4 * (json_int_t)total)
        return err_set(ERR_FORMAT,
                       "%s: added_tokens: id %" JSON_INTEGER_FORMAT " of '%s' is out of range",
                       file, number, content);
    if (json_is_true(json_object_get(object, "single_word")))
        return err_set(ERR_FORMAT,
                       "%s: added_tokens: single_word of '%s' is not supported; it must be false",
                       file, content);
    struct added_token token = {
        .content = content, .size = json_string_length(text), .id = (int32_t)number};
    token.special = json_is_true(json_object_get(object, "special"));
    token.strip_left = json_is_true(json_object_get(object, "lstrip"));
    token.strip_right = json_is_true(json_object_get(object, "rstrip"));
    token.second_pass = normalized ? json_is_true(normalized) : !token.special;
    return added_tokens_add(&tokenizer->added, &token);
}

/* Whether the id is free, or the token's own in the vocabulary. */
static bool may_have(const struct tokenizer *tokenizer, const struct added_token *token,
                     const json_t *vocabulary)
{
    const json_t *known = json_object_get(vocabulary, token->content);
    const struct token_text *text = &tokenizer->tokens[token->id];
    if (known)
        return json_integer_value(known) == token->id;
    return !text->known ||
           (!vocabulary && text->size == token->size &&
            memcmp(tokenizer->texts + text->offset, token->content, token->size) == 0);
}

/* Behind the model's vocabulary: an added token is one of its tokens, or has an id of its own. */
static int place_added_tokens(struct tokenizer *tokenizer, const json_t *vocabulary,
                              const char *file)
{
    int rc = 0, highest = tokenizer->vocabulary - 1;
    const struct added_tokens *added = &tokenizer->added;
    for (size_t i = 0; i < added->count; i++)
        highest = added->tokens[i].id > highest ? added->tokens[i].id : highest;
    TRY(tokenizer_set_vocabulary(tokenizer, highest + 1));
    for (size_t i = 0; i < added->count; i++) {
        const struct added_token *token = &added->tokens[i];
        if (!may_have(tokenizer, token, vocabulary)) {
            rc = err_set(
                ERR_FORMAT,
                "%s: added_tokens: id %d of '%s' is that of another token in the vocabulary", file,
                (int)token->id, token->content);
            goto out;
        }
        TRY(tokenizer_set_text(tokenizer, token->id, token->content, token->size));
    }
out:
    return rc;
}

int tokenizer_read_added(struct tokenizer *tokenizer, const json_t *list, const json_t *vocabulary,
                         const char *file)
{
    int rc = 0;
    if (list && !json_is_null(list) && !json_is_array(list))
        return err_set(ERR_FORMAT, "%s: added_tokens is not a list", file);
    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
        rc = add_added_token(tokenizer, json_array_get(list, i), json_array_size(list), file);
    return rc ? rc : place_added_tokens(tokenizer, vocabulary, file);
}

/* A template that begins with a special token names BOS and puts it before every text. */
static int read_template(struct tokenizer *tokenizer, const json_t *processor, const char *file)
{
    const json_t *first = json_array_get(json_object_get(processor, "single"), 0);
    const char *name = json_string_value(
        json_object_get(json_object_get(first, "SpecialToken"), "id"));
    if (!name)
        return 0;
    const json_t *special = json_object_get(json_object_get(processor, "special_tokens"), name);
    const json_t *id = json_array_get(json_object_get(special, "ids"), 0);
    json_int_t number = json_is_integer(id) ? json_integer_value(id) : -1;
    if (number < 0 || number >= tokenizer->vocabulary || !tokenizer->tokens[number].known)
        return err_set(ERR_FORMAT, "%s: post_processor: '%s' has no id within the vocabulary", file,
                       name);
    tokenizer->bos = (int)number;
    tokenizer->adds_bos = true;
    return 0;
}

static int read_post_processor(struct tokenizer *tokenizer, const json_t *processor, int depth,
                               const char *file)
{
    const char *type = json_string_value(json_object_get(processor, "type"));
    if (!processor || json_is_null(processor) || (type && strcmp(type, "ByteLevel") == 0))
        return 0;
    if (type && strcmp(type, "TemplateProcessing") == 0)
        return read_template(tokenizer, processor, file);
    if (type && strcmp(type, "Sequence") == 0 && depth < 8) {
        const json_t *list = json_object_get(processor, "processors");
        int rc = 0;
        for (size_t i = 0; rc == 0 && i < json_array_size(list); i++)
            rc = read_post_processor(tokenizer, json_array_get(list, i), depth + 1, file);
        return rc;
    }
    return err_set(ERR_FORMAT,
                   "%s: post_processor type '%s' is not supported; supported: ByteLevel, "
                   "TemplateProcessing, Sequence",
                   file, type ? type : "?");
}

/* Whether the vocabulary is one of bytes: pre-tokenizer or decoder say so. */
static bool is_byte_level(const json_t *rules, int depth)
{
    const char *type = json_string_value(json_object_get(rules, "type"));
    const json_t *list = json_object_get(rules, "pretokenizers");
    bool found = type && strcmp(type, "ByteLevel") == 0;
    if (!list)
        list = json_object_get(rules, "decoders");
    for (size_t i = 0; i < json_array_size(list) && !found && depth < 8; i++)
        found = is_byte_level(json_array_get(list, i), depth + 1);
    return found;
}

int tokenizer_from_json(struct tokenizer *tokenizer, const json_t *root, const char *file)
{
    int rc;
    const json_t *model = json_object_get(root, "model");
    TRY(tokenizer_bpe_check(model, file));
    TRY(normalizer_from_json(&tokenizer->normalizer, json_object_get(root, "normalizer"), file));
    TRY(is_byte_level(json_object_get(root, "pre_tokenizer"), 0) ||
                is_byte_level(json_object_get(root, "decoder"), 0)
            ? tokenizer_bpe_from_json(tokenizer, root, file)
            : tokenizer_characters_from_json(tokenizer, root, file));
    TRY(tokenizer_read_added(tokenizer, json_object_get(root, "added_tokens"),
                             json_object_get(model, "vocab"), file));
    TRY(read_post_processor(tokenizer, json_object_get(root, "post_processor"), 0, file));
out:
    return rc;
}
