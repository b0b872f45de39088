/* Tokenizers within GGUF files, and llama2.c's: by hand, cut off, damaged. */
#include "core/err.h"
#include "model/tokenizer_kind.h"
#include "tests/gguf_build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define KEY  "tokenizer.ggml."
#define MARK "\xe2\x96\x81" /* U+2581 */
#define GAP  "\xc4\xa0"     /* the visible character of a space */

/* What a file is to say; NULL, 0: the key is absent. */
struct contents {
    const char *model, *pre;
    const char *tokens[24], *merges[8];
    int types[24];
    float scores[24];
    int add_bos; /* 1: false, 2: true */
    int add_prefix;
    uint32_t bos; /* 0: the key is absent */
    size_t fewer; /* types that are missing */
};

static void build_file(const struct contents *c, struct strbuf *out)
{
    struct gguf_build b = {0};
    size_t count = 0, merges = 0;
    while (c->tokens[count])
        count++;
    while (c->merges[merges])
        merges++;
    if (c->model)
        build_text(&b, KEY "model", c->model);
    if (c->pre)
        build_text(&b, KEY "pre", c->pre);
    build_array(&b, KEY "tokens", 8, count);
    for (size_t i = 0; i < count; i++)
        put_text(&b.pairs, c->tokens[i]);
    build_array(&b, KEY "token_type", 5, count - c->fewer);
    for (size_t i = 0; i < count - c->fewer; i++)
        put_number(&b.pairs, (uint64_t)(c->types[i] ? c->types[i] : PIECE_NORMAL), 4);
    if (c->merges[0])
        build_array(&b, KEY "merges", 8, merges);
    for (size_t i = 0; i < merges; i++)
        put_text(&b.pairs, c->merges[i]);
    if (c->scores[0] != 0)
        build_array(&b, KEY "scores", 6, count);
    for (size_t i = 0; c->scores[0] != 0 && i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &c->scores[i], sizeof bits);
        put_number(&b.pairs, bits, 4);
    }
    if (c->bos)
        build_u32(&b, KEY "bos_token_id", c->bos);
    if (c->add_bos || c->add_prefix) {
        build_key(&b, c->add_bos ? KEY "add_bos_token" : KEY "add_space_prefix", 7);
        put_number(&b.pairs, (uint64_t)((c->add_bos ? c->add_bos : c->add_prefix) - 1), 1);
    }
    build_finish(&b, 3, out);
    build_release(&b);
}

static struct tokenizer *open_contents(const struct contents *c)
{
    struct tokenizer *t;
    struct strbuf file = {0};
    build_file(c, &file);
    FIXTURE_OK(tokenizer_open_memory(&t, TOKENIZER_GGUF, file.data, file.length, "made.gguf"));
    strbuf_release(&file);
    return t;
}

static void assert_ids(const struct tokenizer *t, const char *text, const int *expected)
{
    int32_t *ids;
    size_t count, i = 0;
    FIXTURE_OK(tokenizer_encode_default(t, text, strlen(text), &ids, &count));
    while (i < count && expected[i] >= 0 && ids[i] == expected[i])
        i++;
    if (i < count || expected[i] >= 0)
        fail_msg("'%s': %zu tokens, number %zu is %d, expected %d", text, count, i,
                 i < count ? (int)ids[i] : -1, expected[i]);
    mem_free(ids);
}
#define ASSERT_IDS(t, text, ...) assert_ids(t, text, (const int[]){__VA_ARGS__, -1})

/* 0: special; 1 to 4: characters; 5: two digits; 6: a space and a; 7: user-defined; 8, 9: the bytes
 * of e with acute; 10: that letter; 11, 12: the bytes of the combining acute; 13: e */
static const struct contents bytes = {
    .model = "gpt2",
    .pre = "gpt-2",
    .tokens = {"<|e|>", "a", "1", "2", GAP, "12", GAP "a", "[u]", "\xc3\x83", "\xc2\xa9",
               "\xc3\x83\xc2\xa9", "\xc3\x8c", "\xc4\xa3", "e"},
    .types = {PIECE_CONTROL, 0, 0, 0, 0, 0, 0, PIECE_USER},
    .merges = {"1 2", GAP " a", "\xc3\x83 \xc2\xa9"},
    .bos = 0,
};

static void bytes_by_their_rules(void **state)
{
    struct contents c = bytes;
    struct tokenizer *t = open_contents(&c);
    ASSERT_IDS(t, "12 a<|e|>[u]1", 5, 6, 0, 7, 2);
    ASSERT_IDS(t, "e\xcc\x81", 13, 11, 12);
    assert_false(tokenizer_adds_bos(t));
    tokenizer_free(t);
    c.pre = "smollm"; /* each digit on its own */
    c.bos = 13;
    t = open_contents(&c);
    ASSERT_IDS(t, "12 a", 2, 3, 6);
    assert_int_equal(tokenizer_bos(t), 13);
    assert_false(tokenizer_adds_bos(t));
    tokenizer_free(t);
    c.pre = "qwen2"; /* the same, and canonical composition */
    t = open_contents(&c);
    ASSERT_IDS(t, "12e\xcc\x81", 2, 3, 10);
    tokenizer_free(t);
    c.pre = "llama-bpe"; /* up to three digits a word; BOS */
    t = open_contents(&c);
    ASSERT_IDS(t, "1212", 13, 5, 2, 3);
    tokenizer_free(t);
    c.add_bos = 1;
    t = open_contents(&c);
    ASSERT_IDS(t, "1212", 5, 2, 3);
    tokenizer_free(t);
}

static const struct contents pieces = {
    .model = "llama",
    .tokens = {"<unk>", "<s>", "</s>", "<0x0A>", MARK, "a", "b", MARK "a", "ab", "<x>", "[u]",
               "[PAD]"},
    .types = {PIECE_UNKNOWN, PIECE_CONTROL, PIECE_CONTROL, PIECE_BYTE, 0, 0, 0, 0, 0, PIECE_CONTROL,
              PIECE_USER, PIECE_UNUSED},
    .scores = {-9, 0, 0, 0, -7, -8, -9, -1, -2},
};

static void pieces_by_their_scores(void **state)
{
    struct contents c = pieces;
    struct tokenizer *t = open_contents(&c);
    ASSERT_IDS(t, "ab", 1, 7, 6);
    ASSERT_IDS(t, "bab\n", 1, 4, 6, 8, 3);
    ASSERT_IDS(t, "<x>b[u][PAD]", 1, 9, 4, 6, 10, 0);
    assert_int_equal(tokenizer_bos(t), 1);
    assert_int_equal(tokenizer_eos(t), 2);
    tokenizer_free(t);
    c.add_prefix = 1;
    t = open_contents(&c);
    ASSERT_IDS(t, "ab", 1, 8);
    tokenizer_free(t);
    c.add_bos = 1;
    t = open_contents(&c);
    assert_false(tokenizer_adds_bos(t));
    tokenizer_free(t);
}

static void assert_refused(const struct contents *c, const char *expected)
{
    struct tokenizer *t = NULL;
    struct strbuf file = {0};
    build_file(c, &file);
    int rc = tokenizer_open_memory(&t, TOKENIZER_GGUF, file.data, file.length, "made.gguf");
    assert_true(rc == ERR_FORMAT || rc == ERR_MISSING);
    assert_null(t);
    if (!strstr(err_text(), expected) || !strstr(err_text(), "made.gguf"))
        fail_msg("'%s' should have '%s'", err_text(), expected);
    strbuf_release(&file);
}

static void files_that_lie(void **state)
{
    struct contents c = bytes;
    c.model = NULL;
    assert_refused(&c, KEY "model");
    c.model = "bert";
    assert_refused(&c, "'bert' is not supported; supported: gpt2");
    c = bytes;
    c.pre = "new";
    assert_refused(&c, KEY "pre is 'new': how such a tokenizer cuts words is not known here");
    c.pre = NULL;
    assert_refused(&c, KEY "pre is ''");
    c = bytes;
    c.tokens[2] = "\xff";
    assert_refused(&c, "number 2 is not UTF-8");
    c.tokens[2] = "a";
    assert_refused(&c, "1 of 14 are there twice");
    c = bytes;
    c.merges[0] = "1 3";
    assert_refused(&c, "merge 0 makes or uses '3'");
    c.merges[0] = "1";
    assert_refused(&c, "merge 0 is '1'");
    c.merges[0] = NULL;
    assert_refused(&c, KEY "merges");
    c = bytes;
    c.fewer = 1;
    assert_refused(&c, KEY "token_type has 13 values for 14 tokens");
    c = bytes;
    c.bos = 14;
    assert_refused(&c, KEY "bos_token_id");
    c = bytes;
    c.tokens[0] = NULL;
    assert_refused(&c, KEY "tokens has 0 tokens");
    c = pieces;
    c.scores[0] = 0;
    assert_refused(&c, KEY "scores");
    c = pieces;
    c.tokens[3] = "<0xxx>";
    assert_refused(&c, "expected <0x00> to <0xFF>");
}

/* ---- llama2.c's tokenizer.bin ---- */

static void put_record(struct strbuf *out, float score, const char *text)
{
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    put_number(out, bits, 4);
    put_number(out, strlen(text), 4);
    FIXTURE_OK(strbuf_add(out, text, strlen(text)));
}

static void put_llama2c(struct strbuf *out)
{
    put_number(out, 7, 4);
    put_record(out, 0, "<unk>");
    put_record(out, 0, "\n<s>\n");
    put_record(out, 0, "\n</s>\n");
    put_record(out, 0, "<0x00>");
    put_record(out, 0, "<0x01>");
    put_record(out, -3, " ");
    put_record(out, -4, "a");
    put_record(out, -1, " a");
    put_record(out, -5, "<0x41>"); /* too late to be a byte, but its letters are no pieces */
}

static void llama2c_by_hand(void **state)
{
    struct strbuf file = {0};
    struct tokenizer *t;
    char *text;
    size_t size;
    put_llama2c(&file);
    file.length -= 8 + 6;
    FIXTURE_OK(tokenizer_open_memory(&t, TOKENIZER_LLAMA2C, file.data, file.length, "made.bin"));
    ASSERT_IDS(t, "a a\x01", 1, 7, 7, 4);
    const int32_t ids[] = {1, 7, 7, 3};
    FIXTURE_OK(tokenizer_decode(t, ids + 1, 3, &text, &size));
    assert_int_equal(size, 4);
    assert_memory_equal(text, "a a", 4);
    mem_free(text);
    tokenizer_free(t);
    file.length += 8 + 6;
    assert_int_equal(
        tokenizer_open_memory(&t, TOKENIZER_LLAMA2C, file.data, file.length, "made.bin"),
        ERR_FORMAT);
    assert_non_null(strstr(err_text(), "piece 8 has a character, '<', that is not a piece"));
    assert_int_equal(
        tokenizer_open_memory(&t, TOKENIZER_LLAMA2C, file.data, file.length - 1, "made.bin"),
        ERR_FORMAT);
    assert_non_null(strstr(err_text(), "made.bin: is not llama2.c's tokenizer"));
    strbuf_release(&file);
}

/* ---- damage ---- */

static void try_to_use(enum tokenizer_format format, const void *data, size_t size)
{
    struct tokenizer *t = NULL;
    int32_t *ids;
    size_t count;
    if (tokenizer_open_memory(&t, format, data, size, "made") != 0) {
        assert_null(t);
        return;
    }
    FIXTURE_OK(tokenizer_encode(t, "12 ab[u]\xff e<s>", 13, &ids, &count));
    for (size_t i = 0; i < count; i++)
        assert_in_range(ids[i], 0, tokenizer_vocabulary(t) - 1);
    mem_free(ids);
    tokenizer_free(t);
}

static void cut_and_damage(enum tokenizer_format format, const struct strbuf *file)
{
    struct rng rng;
    uint8_t *copy;
    rng_seed(&rng, 4);
    for (size_t turn = 0; turn < file->length + 1500; turn++) {
        size_t size = turn < file->length ? turn : file->length;
        FIXTURE_OK(mem_alloc(&copy, size, 1)); /* its own, for the sanitizer */
        memcpy(copy, file->data, size);
        for (uint64_t i = 0; turn > size && i < 1 + rng_below(&rng, 3); i++)
            copy[rng_below(&rng, size)] = (uint8_t)rng_next(&rng);
        try_to_use(format, copy, size);
        mem_free(copy);
    }
}

static void cut_and_damaged_files(void **state)
{
    struct strbuf file = {0};
    struct contents c = bytes;
    build_file(&c, &file);
    cut_and_damage(TOKENIZER_GGUF, &file);
    file.length = 0;
    c = pieces;
    build_file(&c, &file);
    cut_and_damage(TOKENIZER_GGUF, &file);
    file.length = 0;
    put_llama2c(&file);
    file.length -= 8 + 6;
    cut_and_damage(TOKENIZER_LLAMA2C, &file);
    strbuf_release(&file);
}

static void every_failed_allocation_is_survived(void **state)
{
    struct strbuf files[3] = {{0}};
    struct contents c = bytes;
    c.pre = "qwen2";
    build_file(&c, &files[0]);
    c = pieces;
    build_file(&c, &files[1]);
    put_llama2c(&files[2]);
    files[2].length -= 8 + 6;
    for (int i = 0; i < 3; i++) {
        bool pending = false;
        for (long nth = 1; !pending; nth++) {
            struct tokenizer *t = NULL;
            int32_t *ids = NULL;
            size_t count;
            mem_fail_at(nth);
            int rc = tokenizer_open_memory(&t, i == 2 ? TOKENIZER_LLAMA2C : TOKENIZER_GGUF,
                                           files[i].data, files[i].length, "made");
            if (rc == 0)
                rc = tokenizer_encode(t, "12 ab[u]\xff e\xcc\x81<s>", 15, &ids, &count);
            pending = mem_fail_pending();
            mem_fail_at(0);
            if (rc != 0 && rc != ERR_MEMORY)
                fail_msg("allocation %ld: %s", nth, err_text());
            mem_free(ids);
            tokenizer_free(t);
        }
        strbuf_release(&files[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_by_their_rules),
        cmocka_unit_test(pieces_by_their_scores),
        cmocka_unit_test(files_that_lie),
        cmocka_unit_test(llama2c_by_hand),
        cmocka_unit_test(cut_and_damaged_files),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
