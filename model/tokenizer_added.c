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

/* Unicode's White_Space. */
static bool is_space(uint32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

/* Where the white space that ends at text[at] begins, not before `from`. */
static size_t space_before(const char *text, size_t from, size_t at)
{
    while (at > from) {
        size_t start = at - 1;
        while (start > from && at - start < 4 && ((uint8_t)text[start] & 0xc0) == 0x80)
            start--;
        uint32_t c;
        if ((size_t)utf8_decode(text + start, at - start, &c) != at - start || !is_space(c))
            break;
        at = start;
    }
    return at;
}

static size_t space_behind(const char *text, size_t size, size_t at)
{
    uint32_t c;
    int length;
    while (at < size && (length = utf8_decode(text + at, size - at, &c)) != 0 && is_space(c))
        at += (size_t)length;
    return at;
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
        *start = token->strip_left ? space_before(text, from, at) : at;
        *end = token->strip_right ? space_behind(text, size, at + token->size) : at + token->size;
        return token;
    }
    return NULL;
}
