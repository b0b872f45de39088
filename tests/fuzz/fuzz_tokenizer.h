/* Opens a tokenizer from any bytes, and uses it. */
#ifndef TESTS_FUZZ_FUZZ_TOKENIZER_H
#define TESTS_FUZZ_FUZZ_TOKENIZER_H

#include "model/tokenizer_kind.h"
#include "tests/fuzz/fuzz.h"

/* Ids that are tokens, which decode. */
static inline void fuzz_encode(const struct tokenizer *t, const char *text, size_t size)
{
    int32_t *ids;
    size_t count, length;
    char *back;
    if (tokenizer_encode_default(t, text, size, &ids, &count) != 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= tokenizer_vocabulary(t))
            abort();
    FIXTURE_OK(tokenizer_decode(t, ids, count, &back, &length));
    mem_free(ids);
    mem_free(back);
    (void)tokenizer_lacks(t, text, size);
}

static inline void fuzz_use_tokenizer(enum tokenizer_format format, const void *bytes, size_t size)
{
    static const char text[] = "12 ab  abc[u]\xff e\xcc\x81 \xef\xac\x81<s>aaaaaaaaaaaaaaaaaaaaaaaa"
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaabc<|e|> \xe2\x96\x81x\n\n";
    struct tokenizer *t = NULL;
    if (tokenizer_open_memory(&t, format, bytes, size, "fuzz") != 0)
        return;
    fuzz_encode(t, text, sizeof text - 1);
    fuzz_encode(t, (const char *)bytes, size < 200 ? size : 200);
    tokenizer_free(t);
}

#endif
