#include "harness/token_pair.h"

#include "core/err.h"
#include "core/mem.h"
#include "datasets/pythontext.h"

#include <limits.h>
#include <string.h>

void pair_encoder_release(struct pair_encoder *encoder)
{
    mem_free(encoder->context);
    mem_free(encoder->alone);
    *encoder = (struct pair_encoder){0};
}

/* Bytes of the context without the white space at its end, which belongs to the continuation, so
 * that this begins where a token begins. */
static size_t context_length(enum pair_rule rule, const char *context)
{
    size_t length = strlen(context);
    if (rule == PAIRS_PLAIN)
        return python_rstrip(context, length);
    while (length > 0 && strchr(" \t\n\r\f\v", context[length - 1]))
        length--;
    return length;
}

/* encoder->alone = the tokens of the context's first `length` bytes. */
static int encode_context(struct pair_encoder *encoder, const char *context, size_t length)
{
    int rc;
    char *kept = NULL;
    int32_t *ids = NULL;
    size_t count = 0;
    if (encoder->context && strlen(encoder->context) == length &&
        memcmp(encoder->context, context, length) == 0)
        return 0;
    if (length > INT_MAX)
        return err_set(ERR_FORMAT, "a context of %zu bytes is too long", length);
    TRY(mem_printf(&kept, "%.*s", (int)length, context));
    if (length > 0)
        TRY(tokenizer_encode(encoder->tokenizer, kept, length, &ids, &count));
    mem_free(encoder->context);
    mem_free(encoder->alone);
    encoder->context = kept;
    encoder->alone = ids;
    encoder->alone_count = count;
    kept = NULL;
out:
    mem_free(kept);
    return rc;
}

/* The token in front, or -1 for none. An empty context is that token alone; a continuation that
 * begins with it is then not given another. */
static int start_token(const struct pair_encoder *encoder, size_t context_size, int32_t first,
                       int32_t *start)
{
    const struct tokenizer *tokenizer = encoder->tokenizer;
    int bos = tokenizer_bos(tokenizer), eos = tokenizer_eos(tokenizer);
    bool always = encoder->rule == PAIRS_START || tokenizer_adds_bos(tokenizer);
    *start = -1;
    if (!always && context_size > 0)
        return 0;
    *start = bos >= 0 ? bos : eos;
    if (*start < 0)
        return err_set(ERR_FORMAT, "the tokenizer names no beginning-of-text token to start a "
                                   "context with");
    if (encoder->rule == PAIRS_PLAIN && context_size == 0 && first == *start)
        *start = -1;
    return 0;
}

/* Of what is longer than the model's positions the end is kept. */
static int shorten(const struct pair_encoder *encoder, struct token_pair *pair)
{
    int most = encoder->max_positions;
    if (encoder->rule != PAIRS_PLAIN || most <= 0 || pair->count <= most + 1)
        return 0;
    int drop = pair->count - (most + 1);
    if (pair->first - drop < 1)
        return err_set(ERR_FORMAT,
                       "the continuation alone has %d tokens, more than the model's %d positions: "
                       "leave the item out",
                       pair->count - pair->first, most);
    memmove(pair->ids, pair->ids + drop, (size_t)(most + 1) * sizeof *pair->ids);
    pair->count -= drop;
    pair->first -= drop;
    return 0;
}

/* Start, context, and what the whole text has behind as many tokens as the context has. */
static int join(const struct pair_encoder *encoder, size_t context_size, const int32_t *whole,
                size_t count, struct token_pair *out)
{
    int rc;
    int32_t start;
    struct token_pair pair = {0};
    size_t alone = encoder->alone_count;
    TRY(start_token(encoder, context_size, count ? whole[0] : -1, &start));
    size_t front = start >= 0;
    /* Without a start, an empty context takes the continuation's first token for its own. */
    size_t first = front + alone > 0 ? front + alone : 1;
    if (front + count <= first || count > INT_MAX - 2)
        TRY(err_set(ERR_FORMAT, "a continuation gives no token of its own"));
    TRY(mem_alloc(&pair.ids, count + 1, sizeof *pair.ids));
    if (front)
        pair.ids[0] = start;
    memcpy(pair.ids + front, whole, count * sizeof *whole);
    if (encoder->rule == PAIRS_PLAIN && alone)
        memcpy(pair.ids + front, encoder->alone, alone * sizeof *whole);
    pair.count = (int)(front + count);
    pair.first = (int)first;
    TRY(shorten(encoder, &pair));
    *out = pair;
    pair.ids = NULL;
out:
    mem_free(pair.ids);
    return rc;
}

int token_pair_encode(struct pair_encoder *encoder, const char *context, const char *continuation,
                      struct token_pair *out)
{
    int rc;
    struct strbuf text = {0};
    int32_t *whole = NULL;
    size_t count = 0, length = context_length(encoder->rule, context);
    TRY(encode_context(encoder, context, length));
    TRY(strbuf_puts(&text, context)); /* with the spaces, which now belong to the continuation */
    TRY(strbuf_puts(&text, continuation));
    if (text.length)
        TRY(tokenizer_encode(encoder->tokenizer, text.data, text.length, &whole, &count));
    rc = join(encoder, length, whole, count, out);
    if (rc == ERR_FORMAT)
        err_prefix(rc, "'%.40s'", continuation);
out:
    strbuf_release(&text);
    mem_free(whole);
    return rc;
}
