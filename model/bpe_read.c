#include "core/err.h"
#include "core/mem.h"
#include "model/bpe.h"
#include "model/bpe_bytes.h"
#include "model/piece_model.h"

#include <string.h>

/* An id may be at most this for so many tokens: gaps are legal, a gap of millions is a broken file.
 */
static json_int_t id_limit(size_t tokens)
{
    return (json_int_t)tokens * 4 + 4096;
}

/* *highest = the highest id; every value is checked. */
static int check_ids(const json_t *vocabulary, const char *file, json_int_t *highest)
{
    const char *key;
    json_t *value;
    json_int_t limit = id_limit(json_object_size(vocabulary));
    *highest = -1;
    json_object_foreach((json_t *)vocabulary, key, value)
    {
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value))
            return err_set(ERR_FORMAT, "%s: vocab: the id of token '%s' is not an integer", file,
                           key);
        if (id < 0 || id >= limit)
            return err_set(ERR_FORMAT,
                           "%s: vocab: id %" JSON_INTEGER_FORMAT
                           " of token '%s' is out of range for %zu tokens",
                           file, id, key, json_object_size(vocabulary));
        if (id > *highest)
            *highest = id;
    }
    return 0;
}

int bpe_set_piece(struct tokenizer *tokenizer, int id, const char *text, size_t size, bool byte)
{
    static const char mark[] = "\xe2\x96\x81";
    int rc, value = byte ? piece_byte(text, size) : -1;
    char one = (char)value, *bytes = NULL;
    size_t used = 0;
    if (value >= 0)
        return tokenizer_set_text(tokenizer, id, &one, 1);
    TRY(mem_alloc(&bytes, size, 1));
    for (size_t at = 0; at < size;) {
        bool space = size - at >= 3 && memcmp(text + at, mark, 3) == 0;
        bytes[used++] = space ? ' ' : text[at];
        at += space ? 3 : 1;
    }
    TRY(tokenizer_set_text(tokenizer, id, bytes, used));
out:
    mem_free(bytes);
    return rc;
}

static int set_token(struct tokenizer *tokenizer, int id, const char *token,
                     enum bpe_spelling spelling)
{
    int rc;
    char *bytes = NULL;
    if (spelling != BPE_BYTES)
        return bpe_set_piece(tokenizer, id, token, strlen(token), spelling == BPE_PIECES_AND_BYTES);
    TRY(mem_alloc(&bytes, strlen(token) + 1, 1));
    TRY(tokenizer_set_text(tokenizer, id, bytes, bpe_token_bytes(token, bytes)));
out:
    mem_free(bytes);
    return rc;
}

int bpe_read_vocabulary(struct tokenizer *tokenizer, const json_t *vocabulary,
                        enum bpe_spelling spelling, const char *file)
{
    int rc;
    json_int_t highest;
    const char *key;
    json_t *value;
    if (!json_is_object(vocabulary) || json_object_size(vocabulary) == 0)
        return err_set(
            ERR_FORMAT,
            "%s: the vocabulary is missing or empty; expected an object of tokens and ids", file);
    if (json_object_size(vocabulary) > 1 << 24)
        return err_set(ERR_FORMAT, "%s: vocab: more than %d tokens", file, 1 << 24);
    TRY(check_ids(vocabulary, file, &highest));
    TRY(tokenizer_set_vocabulary(tokenizer, (int)highest + 1));
    json_object_foreach((json_t *)vocabulary, key, value)
    {
        int id = (int)json_integer_value(value);
        if (tokenizer->tokens[id].known) {
            rc = err_set(ERR_FORMAT, "%s: vocab: id %d is given to two tokens, one of them '%s'",
                         file, id, key);
            goto out;
        }
        TRY(set_token(tokenizer, id, key, spelling));
    }
out:
    return rc;
}

/* *id = that of a token of `size` bytes that merge number `number` names. */
static int merge_token(const json_t *vocabulary, const char *token, size_t size, size_t number,
                       const char *file, uint32_t *id)
{
    const json_t *value = json_object_getn(vocabulary, token, size);
    if (!value)
        return err_set(ERR_FORMAT,
                       "%s: merge %zu makes or uses '%.*s', which is not in the vocabulary", file,
                       number, size > 200 ? 200 : (int)size, token);
    *id = (uint32_t)json_integer_value(value);
    return 0;
}

/* Merge number `number`, counted from 0: its rank. Where a pair comes twice the later rank holds,
 * as in Hugging Face. */
static int add_merge(struct bpe *bpe, const json_t *vocabulary, const char *left, size_t left_size,
                     const char *right, size_t right_size, size_t number, const char *file)
{
    int rc;
    bool fresh;
    uint32_t left_id = 0, right_id = 0, joined = 0;
    struct bpe_pair_slot *slot;
    struct strbuf whole = {0};
    TRY(merge_token(vocabulary, left, left_size, number, file, &left_id));
    TRY(merge_token(vocabulary, right, right_size, number, file, &right_id));
    TRY(strbuf_add(&whole, left, left_size));
    TRY(strbuf_add(&whole, right, right_size));
    TRY(merge_token(vocabulary, whole.data, whole.length, number, file, &joined));
    TRY(bpe_pairs_add(&bpe->merges, left_id, right_id, &slot, &fresh));
    slot->value = (uint32_t)number;
    slot->extra = joined;
out:
    strbuf_release(&whole);
    return rc;
}

/* "left right": exactly one space, neither at the start nor at the end. */
static int add_merge_line(struct bpe *bpe, const json_t *vocabulary, const char *line, size_t size,
                          size_t number, const char *file)
{
    const char *space = memchr(line, ' ', size);
    size_t left = space ? (size_t)(space - line) : 0;
    if (!left || left + 1 == size || memchr(space + 1, ' ', size - left - 1))
        return err_set(ERR_FORMAT,
                       "%s: merge %zu is '%.*s'; expected two tokens with one space between", file,
                       number, size > 200 ? 200 : (int)size, line);
    return add_merge(bpe, vocabulary, line, left, space + 1, size - left - 1, number, file);
}

int bpe_read_merges(struct bpe *bpe, const json_t *vocabulary, const json_t *merges,
                    const char *file)
{
    int rc = 0;
    if (!json_is_array(merges)) /* an empty one is a vocabulary of single bytes */
        return err_set(ERR_FORMAT,
                       "%s: the model has no merges; a byte-level BPE tokenizer needs them", file);
    for (size_t i = 0; rc == 0 && i < json_array_size(merges); i++) {
        const json_t *merge = json_array_get(merges, i), *left = json_array_get(merge, 0),
                     *right = json_array_get(merge, 1);
        if (json_is_string(merge))
            rc = add_merge_line(bpe, vocabulary, json_string_value(merge),
                                json_string_length(merge), i, file);
        else if (json_array_size(merge) == 2 && json_is_string(left) && json_is_string(right))
            rc = add_merge(bpe, vocabulary, json_string_value(left), json_string_length(left),
                           json_string_value(right), json_string_length(right), i, file);
        else
            rc = err_set(ERR_FORMAT, "%s: merge %zu is neither \"left right\" nor [left, right]",
                         file, i);
    }
    return rc;
}

int bpe_read_merge_lines(struct bpe *bpe, const json_t *vocabulary, const struct file_map *lines,
                         const char *file)
{
    int rc = 0;
    static const char version[] = "#version";
    size_t number = 0;
    for (size_t at = 0; rc == 0 && at < lines->size;) {
        const char *line = (const char *)lines->data + at,
                   *newline = memchr(line, '\n', lines->size - at);
        size_t size = newline ? (size_t)(newline - line) : lines->size - at;
        at += size + 1;
        if (size && line[size - 1] == '\r')
            size--;
        if (!size || (size >= sizeof version - 1 && memcmp(line, version, sizeof version - 1) == 0))
            continue;
        rc = add_merge_line(bpe, vocabulary, line, size, number++, file);
    }
    if (rc == 0 && !number)
        rc = err_set(ERR_FORMAT, "%s: has no merges; a byte-level BPE tokenizer needs them", file);
    return rc;
}

int bpe_prepare(struct bpe *bpe, const json_t *vocabulary)
{
    int rc = 0;
    char *bytes = NULL;
    size_t capacity = 0;
    const char *key;
    json_t *value;
    for (int byte = 0; byte < 256; byte++) {
        char character[4];
        size_t length = (size_t)utf8_encode(bpe_byte_to_char((uint8_t)byte), character);
        const json_t *id = json_object_getn(vocabulary, character, length);
        bpe->byte_ids[byte] = id ? (int32_t)json_integer_value(id) : -1;
    }
    if (!bpe->whole_words)
        return 0;
    TRY(mem_alloc(&bpe->word_ids, json_object_size(vocabulary), sizeof *bpe->word_ids));
    json_object_foreach((json_t *)vocabulary, key, value)
    {
        uint32_t number;
        bool fresh;
        TRY(bpe_grow(&bytes, &capacity, strlen(key) + 1, 1));
        TRY(bpe_strings_add(&bpe->words, bytes, bpe_token_bytes(key, bytes), &number, &fresh));
        if (fresh)
            bpe->word_ids[number] = (int32_t)json_integer_value(value);
    }
out:
    mem_free(bytes);
    return rc;
}
