/* A tokenizer.json of characters: Metaspace, byte fallback, normalizers, added tokens, by hand. */
#include "core/err.h"
#include "model/tokenizer_kind.h"
#include "tests/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MARK "\xe2\x96\x81" /* U+2581 */

/* 0: unknown, 1 and 2: bytes, 3: mark, 4 to 7: characters, then what they merge to in this order.
 */
#define VOCAB                                                                                      \
    "\"vocab\": {\"<u>\": 0, \"<0xC3>\": 1, \"<0xA9>\": 2, \"" MARK "\": 3, \"a\": 4, \"b\": 5, "  \
    "\"c\": 6, \"x\": 7, \"" MARK "a\": 8, \"ab\": 9, \"" MARK "ab\": 10, \"" MARK MARK            \
    "\": 11}, "                                                                                    \
    "\"merges\": [\"" MARK " a\", \"a b\", \"" MARK "a b\", [\"" MARK "\", \"" MARK "\"]]"
#define JSON_FILE(added, model, more)                                                              \
    "{\"added_tokens\": [" added "], \"model\": {\"type\": \"BPE\", " model VOCAB "}" more "}"
#define METASPACE(rest)                                                                            \
    ", \"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"" MARK "\"" rest "}"
#define SPECIAL "{\"id\": 12, \"content\": \"<s>\", \"special\": true, \"normalized\": false}"
#define NORMAL  "{\"id\": 12, \"content\": \"xx\", \"special\": false, \"normalized\": true}"
#define UNKNOWN "\"unk_token\": \"<u>\", "
#define BYTES   "\"byte_fallback\": true, "

static struct tokenizer *open_json(const char *json)
{
    struct tokenizer *t;
    FIXTURE_OK(tokenizer_open_memory(&t, TOKENIZER_JSON, json, strlen(json), "made.json"));
    return t;
}

/* expected: ids, ended by -1; back: what they decode to. */
static void assert_ids(const char *json, const char *text, const char *back, const int *expected)
{
    struct tokenizer *t = open_json(json);
    int32_t *ids;
    size_t count, length, i = 0;
    char *decoded;
    FIXTURE_OK(tokenizer_encode(t, text, strlen(text), &ids, &count));
    while (i < count && expected[i] >= 0 && ids[i] == expected[i])
        i++;
    if (i < count || expected[i] >= 0)
        fail_msg("'%s': %zu tokens, number %zu is %d, expected %d", text, count, i,
                 i < count ? (int)ids[i] : -1, expected[i]);
    FIXTURE_OK(tokenizer_decode(t, ids, count, &decoded, &length));
    assert_string_equal(decoded, back);
    mem_free(decoded);
    mem_free(ids);
    tokenizer_free(t);
}
#define ASSERT_IDS(json, text, back, ...)                                                          \
    assert_ids(json, text, back, (const int[]){__VA_ARGS__, -1})

static void spaces_in_front(void **state)
{
    static const char always[] = JSON_FILE(SPECIAL, UNKNOWN, METASPACE("")),
                      older[] = JSON_FILE(SPECIAL, UNKNOWN,
                                          METASPACE(", \"add_prefix_space\": false")),
                      first[] = JSON_FILE(
                          SPECIAL, UNKNOWN,
                          METASPACE(", \"prepend_scheme\": \"first\", \"split\": false")),
                      never[] = JSON_FILE(
                          SPECIAL, UNKNOWN,
                          METASPACE(", \"prepend_scheme\": \"never\", \"split\": false"));
    ASSERT_IDS(always, "ab<s>ab", "ab<s>ab", 10, 12, 10);
    ASSERT_IDS(always, " ab", "ab", 10);            /* one that is there already is not doubled */
    ASSERT_IDS(always, "a  b", "a  b", 8, 3, 3, 5); /* each begins a word */
    ASSERT_IDS(first, "ab<s>ab", "ab<s>ab", 10, 12, 9);
    ASSERT_IDS(first, "a  b", "a  b", 8, 11, 5);
    ASSERT_IDS(first, "<s>ab", "<s>ab", 12, 9);
    ASSERT_IDS(never, "ab ab", "ab ab", 9, 10);
    ASSERT_IDS(never, " ab", " ab", 10);
    ASSERT_IDS(older, "ab ab", "ab ab", 9, 10);
}

static void characters_without_a_token(void **state)
{
    static const char none[] = JSON_FILE("", "", ""), one[] = JSON_FILE("", UNKNOWN, ""),
                      fused[] = JSON_FILE("", UNKNOWN "\"fuse_unk\": true, ", ""),
                      back[] = JSON_FILE("", UNKNOWN BYTES, "");
    ASSERT_IDS(none, "a\u00e9b", "ab", 9); /* gone before anything merges */
    ASSERT_IDS(one, "a\u00e9qb", "a<u><u>b", 4, 0, 0, 5);
    ASSERT_IDS(fused, "a\u00e9qb\xff", "a<u>b<u>", 4, 0, 5, 0);
    ASSERT_IDS(back, "a\u00e9b\xc3\xff", "a\u00e9b\xc3<u>", 4, 1, 2, 5, 1, 0);
    struct tokenizer *t = open_json(back);
    assert_int_equal(tokenizer_lacks(t, "a \u00e9\xff\xc3\u00ea", 8), 3);
    tokenizer_free(t);
}

static void normalized_text(void **state)
{
    static const char prepend[] = JSON_FILE(
        SPECIAL, UNKNOWN,
        ", \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"Prepend\", "
        "\"prepend\": \"" MARK "\"}, {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, "
        "\"content\": \"" MARK "\"}]}");
    static const char lower[] = JSON_FILE(NORMAL, UNKNOWN,
                                          ", \"normalizer\": {\"type\": \"Lowercase\"}");
    ASSERT_IDS(prepend, "ab<s>ab", "ab<s>ab", 10, 12, 10);
    ASSERT_IDS(prepend, " a", " a", 3, 8);
    ASSERT_IDS(lower, "ABXxX", "abxxx", 9, 12, 7); /* looked for in the normalized text */
}

static void words_that_are_tokens(void **state)
{
    static const char whole[] = JSON_FILE("", "\"ignore_merges\": true, ", METASPACE(""));
    static const char split[] = JSON_FILE(
        "", "",
        ", \"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \"a\"}, "
        "\"behavior\": \"MergedWithPrevious\"}");
    ASSERT_IDS(whole, "ab", "ab", 10);
    ASSERT_IDS(whole, "abc", "abc", 10, 6);
    ASSERT_IDS(split, "xabab", "xabab", 7, 4, 5, 4, 5); /* nothing merges over a cut */
}

static void files_that_lie(void **state)
{
    static const char *const cases[][2] = {
        {JSON_FILE("", "\"unk_token\": \"?\", ", ""), "unk_token '?' is not in the vocabulary"},
        {JSON_FILE("", "", ", \"pre_tokenizer\": {\"type\": \"Metaspace\"}"), "must be U+2581"},
        {JSON_FILE("", "", METASPACE(", \"prepend_scheme\": \"last\"")), "prepend_scheme 'last'"},
        {JSON_FILE("", "", ", \"pre_tokenizer\": {\"type\": \"Whitespace\"}"),
         "pre_tokenizer type 'Whitespace' is not supported"},
        {JSON_FILE("", "", ", \"decoder\": {\"type\": \"WordPiece\"}"), "decoder type 'WordPiece'"},
        {JSON_FILE("", "",
                   ", \"decoder\": {\"type\": \"Sequence\", \"decoders\": [{\"type\": \"CTC\"}]}"),
         "decoder type 'CTC'"},
        {JSON_FILE("", "", ", \"normalizer\": {\"type\": \"Precompiled\"}"),
         "normalizer type 'Precompiled' is not supported"},
        {JSON_FILE("", BYTES, ", \"decoder\": {\"type\": \"ByteLevel\"}, \"pre_tokenizer\": null"),
         "byte_fallback together with a pre_tokenizer or decoder ByteLevel"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *t = NULL;
        assert_int_equal(tokenizer_open_memory(&t, TOKENIZER_JSON, cases[i][0], strlen(cases[i][0]),
                                               "made.json"),
                         ERR_FORMAT);
        assert_null(t);
        if (!strstr(err_text(), cases[i][1]) || !strstr(err_text(), "made.json"))
            fail_msg("'%s' should have '%s'", err_text(), cases[i][1]);
    }
}

/* Merges that go round in a circle (a b makes ab, ab b makes a...) cannot be written: a merge makes
 * the joint text. One whose parts are longer than what they make can: it ends all the same. */
static void every_merge_shortens(void **state)
{
    static const char json[] =
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"\": 0, \"a\": 1, \"aa\": 2}, \"merges\": "
        "[[\"\", \"a\"], [\"a\", \"\"], [\"a\", \"a\"], [\"\", \"\"]]}}";
    ASSERT_IDS(json, "aaa", "aaa", 2, 1);
}

static void every_failed_allocation_is_survived(void **state)
{
    static const char json[] = JSON_FILE(
        NORMAL ", {\"id\": 13, \"content\": \"<s>\", \"special\": true}", UNKNOWN BYTES,
        ", \"normalizer\": {\"type\": \"NFKC\"}, \"decoder\": {\"type\": \"Metaspace\"}" METASPACE(
            ""));
    static const char text[] =
        "ab XX\xff xx \ufb01<s>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    for (long nth = 1;; nth++) {
        struct tokenizer *t = NULL;
        int32_t *ids = NULL;
        size_t count;
        mem_fail_at(nth);
        int rc = tokenizer_open_memory(&t, TOKENIZER_JSON, json, strlen(json), "made.json");
        if (rc == 0)
            rc = tokenizer_encode(t, text, sizeof text - 1, &ids, &count);
        bool pending = mem_fail_pending();
        mem_fail_at(0);
        assert_true(rc == 0 || rc == ERR_MEMORY);
        mem_free(ids);
        tokenizer_free(t);
        if (pending)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spaces_in_front),
        cmocka_unit_test(characters_without_a_token),
        cmocka_unit_test(normalized_text),
        cmocka_unit_test(words_that_are_tokens),
        cmocka_unit_test(files_that_lie),
        cmocka_unit_test(every_merge_shortens),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
