#include "model/tokenizer_added.h"

#include "core/err.h"
#include "core/mem.h"
#include "model/bpe_bytes.h"
#include "model/bpe_table.h"

#include <stdlib.h>
#include <string.h>

int added_tokens_add(struct added_tokens *added, const struct added_token *token)
{
    int rc = bpe_grow(&added->tokens, &added->capacity, added->count + 1, sizeof *added->tokens);
    char *copy = NULL;
    if (rc == 0)
        rc = mem_alloc(&copy, token->size + 1, 1);
    if (rc)
        return rc;
    memcpy(copy, token->content, token->size);
    copy[token->size] = '\0';
    struct added_token *fresh = &added->tokens[added->count++];
    *fresh = *token;
    fresh->content = copy;
    return 0;
}

static int by_size(const void *left, const void *right)
{
    const struct added_token *a = left, *b = right;
    if (a->size != b->size)
        return a->size > b->size ? -1 : 1;
    return a->id < b->id ? -1 : a->id > b->id;
}

void added_tokens_prepare(struct added_tokens *added)
{
    if (added->count)
        qsort(added->tokens, added->count, sizeof *added->tokens, by_size);
    memset(added->begins, 0, sizeof added->begins);
    for (size_t i = 0; i < added->count; i++)
        added->begins[added->tokens[i].second_pass][(uint8_t)added->tokens[i].content[0]] = true;
}

void added_tokens_release(struct added_tokens *added)
{
    for (size_t i = 0; i < added->count; i++)
        mem_free((char *)(uintptr_t)added->tokens[i].content);
    mem_free(added->tokens);
    memset(added, 0, sizeof *added);
}

const struct added_token *added_tokens_next(const struct added_tokens *added, int pass, bool plain,
                                            const char *text, size_t size, size_t from,
                                            size_t *start, size_t *end)
{
    if (!added->count)
        return NULL;
    for (size_t at = from; at < size; at++) {
        if (!added->begins[pass][(uint8_t)text[at]])
            continue;
        const struct added_token *token = NULL;
        for (size_t i = 0; i < added->count && !token; i++) {
            const struct added_token *t = &added->tokens[i];
            if (t->second_pass == pass && t->size <= size - at &&
                memcmp(t->content, text + at, t->size) == 0)
                token = t;
        }
        if (!token)
            continue;
        if (plain && token->special) {
            at += token->size - 1;
            continue;
        }
        *start = token->strip_left ? utf8_space_before(text, from, at) : at;
        *end = token->strip_right ? utf8_space_behind(text, size, at + token->size)
                                  : at + token->size;
        return token;
    }
    return NULL;
}
