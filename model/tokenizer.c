#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_table.h"
#include "model/tokenizer_kind.h"

#include <string.h>

int token_list_add(struct token_list *list, const int32_t *ids, size_t count)
{
    int rc = bpe_grow(&list->ids, &list->capacity, list->count + count, sizeof *ids);
    if (rc)
        return rc;
    if (count)
        memcpy(list->ids + list->count, ids, count * sizeof *ids);
    list->count += count;
    return 0;
}

int tokenizer_set_vocabulary(struct tokenizer *tokenizer, int vocabulary)
{
    int rc = mem_resize(&tokenizer->tokens, (size_t)tokenizer->vocabulary, (size_t)vocabulary,
                        sizeof *tokenizer->tokens);
    if (rc)
        return rc;
    for (int i = tokenizer->vocabulary; i < vocabulary; i++)
        tokenizer->tokens[i] = (struct token_text){0};
    tokenizer->vocabulary = vocabulary;
    return 0;
}

int tokenizer_set_text(struct tokenizer *tokenizer, int id, const char *bytes, size_t size)
{
    int rc = bpe_grow(&tokenizer->texts, &tokenizer->texts_capacity, tokenizer->texts_size + size,
                      1);
    if (rc)
        return rc;
    if (size)
        memcpy(tokenizer->texts + tokenizer->texts_size, bytes, size);
    tokenizer->tokens[id] = (struct token_text){
        .offset = tokenizer->texts_size, .size = (uint32_t)size, .known = true};
    tokenizer->texts_size += size;
    return 0;
}

int tokenizer_find(const struct tokenizer *tokenizer, const char *text)
{
    size_t size = strlen(text);
    for (int i = 0; i < tokenizer->vocabulary; i++) {
        const struct token_text *token = &tokenizer->tokens[i];
        if (token->known && token->size == size &&
            memcmp(tokenizer->texts + token->offset, text, size) == 0)
            return i;
    }
    return -1;
}

/* Tokens of the second pass are looked for in the normalized text, so they are normalized too. */
static int normalize_added(const struct tokenizer *tokenizer, struct added_token *token)
{
    struct strbuf content = {0};
    int rc = normalizer_apply(tokenizer->normalizer, token->content, token->size, true, &content);
    if (rc == 0 && content.length) {
        mem_free((char *)(uintptr_t)token->content);
        token->content = content.data;
        token->size = content.length;
        return 0;
    }
    strbuf_release(&content);
    return rc;
}

int tokenizer_prepare_added(struct tokenizer *tokenizer)
{
    int rc = 0;
    struct added_tokens *added = &tokenizer->added;
    for (size_t i = 0; i < added->count; i++) {
        tokenizer->tokens[added->tokens[i].id].added = true;
        if (added->tokens[i].second_pass && tokenizer->normalizer)
            TRY(normalize_added(tokenizer, &added->tokens[i]));
    }
    added_tokens_prepare(added);
out:
    return rc;
}

void tokenizer_free(struct tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    if (tokenizer->kind)
        tokenizer->kind->free(tokenizer->state);
    normalizer_free(tokenizer->normalizer);
    added_tokens_release(&tokenizer->added);
    mem_free(tokenizer->tokens);
    mem_free(tokenizer->texts);
    mem_free(tokenizer);
}

int tokenizer_vocabulary(const struct tokenizer *tokenizer)
{
    return tokenizer->vocabulary;
}

const char *tokenizer_kind_name(const struct tokenizer *tokenizer)
{
    return tokenizer->kind->name;
}

const char *tokenizer_hash(const struct tokenizer *tokenizer)
{
    return tokenizer->hash;
}

int tokenizer_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->bos;
}

int tokenizer_eos(const struct tokenizer *tokenizer)
{
    return tokenizer->eos;
}

bool tokenizer_adds_bos(const struct tokenizer *tokenizer)
{
    return tokenizer->adds_bos;
}

/* One call of tokenizer_encode. */
struct encoding {
    const struct tokenizer *tokenizer;
    void *encoder;
    bool plain;
    struct strbuf normalized;
    struct token_list list;
};

static int encode_pass(struct encoding *e, int pass, const char *text, size_t size, bool at_start);

/* What no added token of this pass takes. Tokens of pass 0 are looked for in the text as it is,
 * those of pass 1 in the normalized text; behind that comes the kind itself. */
static int encode_between(struct encoding *e, int pass, const char *text, size_t size,
                          bool at_start)
{
    const struct tokenizer *tokenizer = e->tokenizer;
    if (!size)
        return 0;
    if (pass == 1)
        return tokenizer->kind->encode(e->encoder, text, size, at_start, &e->list);
    if (tokenizer->normalizer) {
        int rc = normalizer_apply(tokenizer->normalizer, text, size, at_start, &e->normalized);
        if (rc)
            return rc;
        text = e->normalized.data;
        size = e->normalized.length;
    }
    return encode_pass(e, 1, text, size, at_start);
}

static int encode_pass(struct encoding *e, int pass, const char *text, size_t size, bool at_start)
{
    int rc = 0;
    for (size_t done = 0; done < size;) {
        size_t start = size, end = start;
        const struct added_token *token = added_tokens_next(&e->tokenizer->added, pass, e->plain,
                                                            text, size, done, &start, &end);
        TRY(encode_between(e, pass, text + done, start - done, at_start && done == 0));
        if (token)
            TRY(token_list_add(&e->list, &token->id, 1));
        done = end;
    }
out:
    return rc;
}

static int encode(const struct tokenizer *tokenizer, bool plain, bool bos, const char *text,
                  size_t size, int32_t **ids, size_t *count)
{
    int rc;
    struct encoding e = {.tokenizer = tokenizer, .plain = plain};
    TRY(tokenizer->kind->encoder_open(tokenizer, &e.encoder));
    TRY(bpe_grow(&e.list.ids, &e.list.capacity, size / 8 + 16, sizeof *e.list.ids));
    if (bos && tokenizer->adds_bos)
        TRY(token_list_add(&e.list, &(int32_t){tokenizer->bos}, 1));
    TRY(encode_pass(&e, 0, text, size, true));
    *ids = e.list.ids;
    *count = e.list.count;
    e.list.ids = NULL;
out:
    tokenizer->kind->encoder_free(e.encoder);
    strbuf_release(&e.normalized);
    mem_free(e.list.ids);
    return rc;
}

int tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t size,
                     int32_t **ids, size_t *count)
{
    return encode(tokenizer, false, false, text, size, ids, count);
}

int tokenizer_encode_default(const struct tokenizer *tokenizer, const char *text, size_t size,
                             int32_t **ids, size_t *count)
{
    return encode(tokenizer, false, true, text, size, ids, count);
}

int tokenizer_encode_plain(const struct tokenizer *tokenizer, const char *text, size_t size,
                           int32_t **ids, size_t *count)
{
    return encode(tokenizer, true, false, text, size, ids, count);
}

size_t tokenizer_lacks(const struct tokenizer *tokenizer, const char *text, size_t size)
{
    return tokenizer->kind->lacking(tokenizer, text, size);
}

/* Whether the space that token number i may begin with was put there by encoding. */
static bool has_prefix(const struct tokenizer *tokenizer, const int32_t *ids, size_t i)
{
    const struct token_text *token = &tokenizer->tokens[ids[i]];
    if (tokenizer->prefix == PREFIX_NONE || token->added || !token->size ||
        tokenizer->texts[token->offset] != ' ')
        return false;
    if (tokenizer->prefix == PREFIX_ALWAYS)
        return i == 0 || tokenizer->tokens[ids[i - 1]].added;
    return i == 0 || (i == 1 && tokenizer->adds_bos && ids[0] == tokenizer->bos);
}

int tokenizer_count_bytes(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                          size_t *bytes)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= tokenizer->vocabulary || !tokenizer->tokens[ids[i]].known)
            return err_set(ERR_FORMAT,
                           "tokenizer: id %d (number %zu) is not a token; the vocabulary has %d",
                           (int)ids[i], i, tokenizer->vocabulary);
        total += tokenizer->tokens[ids[i]].size;
    }
    *bytes = total;
    return 0;
}

int tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *ids, size_t count,
                     char **text, size_t *size)
{
    char *bytes = NULL;
    size_t total = 0, used = 0;
    int rc = tokenizer_count_bytes(tokenizer, ids, count, &total);
    if (rc == 0)
        rc = mem_alloc(&bytes, total + 1, 1);
    if (rc)
        return rc;
    for (size_t i = 0; i < count; i++) {
        const struct token_text *token = &tokenizer->tokens[ids[i]];
        size_t skipped = has_prefix(tokenizer, ids, i);
        if (token->size > skipped)
            memcpy(bytes + used, tokenizer->texts + token->offset + skipped, token->size - skipped);
        used += token->size - skipped;
    }
    bytes[used] = '\0';
    *text = bytes;
    *size = used;
    return 0;
}
