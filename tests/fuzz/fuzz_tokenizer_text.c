/* Any text through small tokenizers of both kinds, which have a token for each byte: it comes back.
 */
#include "tests/fuzz/fuzz_tokenizer.h"
#include "tests/piece_build.h"

static struct tokenizer *fuzz_text_pieces(void)
{
    static struct tokenizer *t;
    struct strbuf file = {0};
    if (t)
        return t;
    put_first_pieces(&file, 1);
    put_small_pieces(&file);
    put_piece(&file, MARK MARK, -5, PIECE_NORMAL);
    put_piece(&file, "\xc3\xa9", -6, PIECE_NORMAL);
    put_settings(&file, &(struct piece_settings){.kind = 2, .bytes = 1, .prefix = 1, .escape = 1});
    FIXTURE_OK(tokenizer_open_memory(&t, TOKENIZER_SENTENCEPIECE, file.data, file.length, "fuzz"));
    strbuf_release(&file);
    return t;
}

static struct tokenizer *fuzz_text_bytes(void)
{
    static struct tokenizer *t;
    char *json;
    const struct bpe_text text = {"the cat and the dog, 123 and the the cat", 40, 1};
    const struct bpe_training training = {.vocabulary = 280};
    if (t)
        return t;
    FIXTURE_OK(bpe_train(&text, 1, &training, &json, NULL));
    FIXTURE_OK(tokenizer_open_memory(&t, TOKENIZER_JSON, json, strlen(json), "fuzz"));
    mem_free(json);
    return t;
}

/* U+2581 comes back as a space, from the text and from SentencePiece's pieces alike. */
static void fuzz_comes_back(const struct tokenizer *t, const char *text, size_t size)
{
    int32_t *ids;
    size_t count, length;
    char *back;
    FIXTURE_OK(tokenizer_encode(t, text, size, &ids, &count));
    FIXTURE_OK(tokenizer_decode(t, ids, count, &back, &length));
    bool marks = memmem(text, size, MARK, 3) != NULL;
    if (!marks && (length != size || memcmp(back, text, size) != 0))
        abort();
    mem_free(ids);
    mem_free(back);
}

FUZZ_TARGET(tokenizer_text, bytes, size)
{
    const char *text = size ? (const char *)bytes : "";
    fuzz_comes_back(fuzz_text_bytes(), text, size);
    fuzz_comes_back(fuzz_text_pieces(), text, size);
}

FUZZ_SEEDS(tokenizer_text)
{
    static const char *const texts[] = {"the cat  and <|endoftext|> 12",
                                        "abc a\xff\xc3\xa9 <s> a</s>b \xe2\x96",
                                        "aaabbcabcaabcc\n\n  \xf0\x9f\x98\x80"};
    for (int i = 0; i < 3; i++)
        fuzz_seed(i == 0 ? "words" : i == 1 ? "invalid" : "runs", texts[i], strlen(texts[i]));
}
