/* Tokenizers: merges checked by hand, added tokens, ends of text, files that lie, the command. */
#include "harness/command.h"
#include "model/tokenizer.h"
#include "tests/fixture.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- a small vocabulary ---- */

#define BYTES "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}"

/* 0: a special token, then single characters, then merges in this order: "a a", "b c", "a b", "Ġ
 * a", "Ġa aa", "a bc". */
#define SMALL_ADDED "{\"id\": 0, \"content\": \"<|e|>\", \"special\": true, \"normalized\": false}"
#define SMALL_VOCAB                                                                                \
    "{\"<|e|>\": 0, \"a\": 1, \"b\": 2, \"c\": 3, \"\xc4\xa0\": 4, \"aa\": 5, \"bc\": 6, \"ab\": " \
    "7, \"\xc4\xa0"                                                                                \
    "a\": 8, \"\xc4\xa0"                                                                           \
    "aaa\": 9, \"abc\": 10}"
#define SMALL_MERGES                                                                               \
    "[\"a a\", [\"b\", \"c\"], \"a b\", \"\xc4\xa0 a\", \"\xc4\xa0"                                \
    "a aa\", \"a bc\"]"
#define SMALL(added, model, more)                                                                  \
    "{\"added_tokens\": [" added "], \"pre_tokenizer\": " BYTES ", \"model\": {\"type\": "         \
    "\"BPE\", " model "}" more "}"
#define SMALL_MODEL "\"vocab\": " SMALL_VOCAB ", \"merges\": " SMALL_MERGES

static int open_text(struct tokenizer **out, const char *json)
{
    char *folder = fixture_folder("tokenizer");
    fixture_write(folder, "tokenizer.json", json);
    int rc = tokenizer_open(out, folder);
    mem_free(folder);
    return rc;
}

/* expected: ids, ended by -1 */
static void assert_ids(const struct tokenizer *tokenizer, const char *text, size_t size,
                       const int *expected)
{
    int32_t *ids;
    size_t count, i = 0;
    FIXTURE_OK(tokenizer_encode(tokenizer, text, size, &ids, &count));
    for (; i < count && expected[i] >= 0; i++)
        assert_int_equal(ids[i], expected[i]);
    assert_int_equal(i, count);
    assert_int_equal(expected[i], -1);
    mem_free(ids);
}

#define ASSERT_IDS(tokenizer, text, ...)                                                           \
    assert_ids(tokenizer, text, sizeof text - 1, (const int[]){__VA_ARGS__, -1})

static void small_vocabulary_by_hand(void **state)
{
    struct tokenizer *t;
    FIXTURE_OK(open_text(&t, SMALL(SMALL_ADDED, SMALL_MODEL, "")));
    assert_int_equal(tokenizer_vocabulary(t), 11);
    assert_int_equal(strlen(tokenizer_hash(t)), 64);
    ASSERT_IDS(t, "", -1);
    ASSERT_IDS(t, "a", 1);
    ASSERT_IDS(t, "aaa", 5, 1); /* the leftmost pair first */
    ASSERT_IDS(t, "aaaa", 5, 5);
    ASSERT_IDS(t, "abc", 10); /* b c before a b, then a bc */
    ASSERT_IDS(t, "ab", 7);
    ASSERT_IDS(t, "abab", 7, 7);
    ASSERT_IDS(t, "aabc", 5, 6);    /* a a takes the a from a bc */
    ASSERT_IDS(t, " aaa", 4, 5, 1); /* a a before Ġ a */
    ASSERT_IDS(t, " a", 8);
    ASSERT_IDS(t, "a a", 1, 8);
    ASSERT_IDS(t, "<|e|>a<|e|><|e|>b", 0, 1, 0, 0, 2);
    ASSERT_IDS(t, "<|e", -1); /* no tokens for these bytes */
    assert_int_equal(tokenizer_lacks(t, "<|e", 3), 3);
    ASSERT_IDS(t, "axa", 5); /* x has no token; it is gone before merging */
    assert_int_equal(tokenizer_lacks(t, "axa", 3), 1);
    tokenizer_free(t);
}

static void special_tokens_as_plain_text(void **state)
{
    struct tokenizer *t;
    int32_t *ids;
    size_t count;
    FIXTURE_OK(open_text(
        &t, SMALL("{\"id\": 0, \"content\": \"<|e|>\", \"special\": true, \"normalized\": false}, "
                  "{\"id\": 11, \"content\": \"ab\xc3\xa9\", \"special\": false}",
                  SMALL_MODEL, "")));
    assert_int_equal(tokenizer_vocabulary(t), 12);
    FIXTURE_OK(tokenizer_encode_plain(t,
                                      "a<|e|>b"
                                      "ab\xc3\xa9"
                                      "a",
                                      12, &ids, &count));
    const int32_t expected[] = {1, 2, 11, 1};
    assert_int_equal(count, 4);
    assert_memory_equal(ids, expected, sizeof expected);
    mem_free(ids);
    char *text;
    size_t size;
    FIXTURE_OK(tokenizer_decode(t, expected, 4, &text, &size));
    assert_string_equal(text, "abab\xc3\xa9"
                              "a");
    assert_int_equal(size, 7);
    mem_free(text);
    tokenizer_free(t);
}

static void added_tokens_match_like_hugging_faces(void **state)
{
    struct tokenizer *t;
    FIXTURE_OK(open_text(
        &t, SMALL("{\"id\": 0, \"content\": \"<|e|>\", \"special\": true, \"normalized\": false, "
                  "\"lstrip\": true}, "
                  "{\"id\": 11, \"content\": \"<|e|>b\", \"special\": true, \"normalized\": false, "
                  "\"rstrip\": true}, "
                  "{\"id\": 12, \"content\": \"|>\", \"special\": false, \"normalized\": true}",
                  SMALL_MODEL, "")));
    ASSERT_IDS(t, "a \xc2\x85 <|e|>a", 1, 0, 1); /* white space on the left goes with it */
    ASSERT_IDS(t, "a<|e|>b \n c", 1, 11, 3);     /* the longest of two; on the right */
    ASSERT_IDS(t, "<|e|>b <|e|>", 11, 0);        /* the space is taken once */
    ASSERT_IDS(t, "a|>b", 1, 12, 2);             /* by the second pass */
    ASSERT_IDS(t, "<|e|>|>", 0, 12);
    tokenizer_free(t);
}

static void words_that_are_tokens_need_no_merges(void **state)
{
    struct tokenizer *t;
    static const char vocab[] =
        "\"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2, \"aba\": 3}, \"merges\": [\"a b\"]";
    static const char ignore[] = ", \"ignore_merges\": true";
    struct strbuf text = {0};
    for (int i = 0; i < 2; i++) {
        text.length = 0;
        FIXTURE_OK(strbuf_printf(&text, "{\"pre_tokenizer\": %s, \"model\": {%s%s}}", BYTES, vocab,
                                 i ? ignore : ""));
        FIXTURE_OK(open_text(&t, text.data));
        if (i)
            ASSERT_IDS(t, "aba", 3);
        else
            ASSERT_IDS(t, "aba", 2, 0);
        tokenizer_free(t);
    }
    strbuf_release(&text);
}

static void a_list_of_no_merges_leaves_bytes(void **state)
{
    struct tokenizer *t;
    FIXTURE_OK(open_text(&t, "{\"pre_tokenizer\": " BYTES ", \"model\": {\"vocab\": {\"a\": 0, "
                             "\"b\": 1}, \"merges\": []}}"));
    ASSERT_IDS(t, "abba", 0, 1, 1, 0);
    tokenizer_free(t);
}

static void bytes_without_a_token_become_the_unknown_one(void **state)
{
    struct tokenizer *t;
    FIXTURE_OK(open_text(
        &t, "{\"pre_tokenizer\": " BYTES ", \"model\": {\"unk_token\": \"?\", \"fuse_unk\": false, "
            "\"vocab\": {\"?\": 0, \"a\": 1, \"aa\": 2}, \"merges\": [\"a a\"]}}"));
    ASSERT_IDS(t, "axyaa", 1, 0, 0, 2);
    tokenizer_free(t);
    FIXTURE_OK(open_text(
        &t, "{\"pre_tokenizer\": " BYTES ", \"model\": {\"unk_token\": \"?\", \"fuse_unk\": true, "
            "\"vocab\": {\"?\": 0, \"a\": 1, \"aa\": 2}, \"merges\": [\"a a\"]}}"));
    ASSERT_IDS(t, "axyaa", 1, 0, 2);
    tokenizer_free(t);
}

static void ends_of_text(void **state)
{
#define WITH_TEMPLATE(id)                                                                          \
    SMALL(SMALL_ADDED, SMALL_MODEL,                                                                \
          ", \"post_processor\": {\"type\": \"Sequence\", \"processors\": [{\"type\": "            \
          "\"ByteLevel\"}, {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": "    \
          "{\"id\": \"<|e|>\"}}, {\"Sequence\": {\"id\": \"A\"}}], \"special_tokens\": "           \
          "{\"<|e|>\": {\"ids\": [" id "]}}}]}")
    struct tokenizer *t;
    char *folder = fixture_folder("tokenizer");
    fixture_write(folder, "tokenizer.json", SMALL(SMALL_ADDED, SMALL_MODEL, ""));
    FIXTURE_OK(tokenizer_open(&t, folder));
    assert_int_equal(tokenizer_bos(t), -1); /* nothing says so, and <|e|> is no usual name */
    tokenizer_free(t);
    fixture_write(folder, "config.json", "{\"bos_token_id\": 3, \"eos_token_id\": [2, 1]}");
    FIXTURE_OK(tokenizer_open(&t, folder));
    assert_int_equal(tokenizer_bos(t), 3);
    assert_int_equal(tokenizer_eos(t), 2);
    assert_false(tokenizer_adds_bos(t));
    tokenizer_free(t);
    fixture_write(
        folder, "tokenizer_config.json",
        "{\"bos_token\": {\"content\": \"<|e|>\"}, \"eos_token\": \"ab\", \"add_bos_token\": true, "
        "\"model_max_length\": 1000000000000000019884624838656}");
    FIXTURE_OK(tokenizer_open(&t, folder));
    assert_int_equal(tokenizer_bos(t), 0);
    assert_int_equal(tokenizer_eos(t), 7);
    assert_true(tokenizer_adds_bos(t));
    tokenizer_free(t);
    fixture_write(folder, "tokenizer_config.json", "{\"bos_token\": \"nowhere\"}");
    assert_int_equal(tokenizer_open(&t, folder), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "bos_token 'nowhere' is not in the vocabulary"));
    mem_free(folder);
    FIXTURE_OK(open_text(&t, WITH_TEMPLATE("0")));
    assert_int_equal(tokenizer_bos(t), 0);
    assert_true(tokenizer_adds_bos(t));
    tokenizer_free(t);
    assert_int_equal(open_text(&t, WITH_TEMPLATE("99")), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "post_processor"));
}

static void vocabulary_and_merges_in_two_files(void **state)
{
    struct tokenizer *t;
    char *folder = fixture_folder("tokenizer"), *path;
    static const char opt[] =
        "{\"<s>\": 0, \"<pad>\": 1, \"</s>\": 2, \"a\": 3, \"b\": 4, \"ab\": 5, \"<\": 6}";
    static const char gpt2[] = "{\"a\": 0, \"b\": 1, \"ab\": 2, \"<|endoftext|>\": 3}";
    static const char merges[] = "#version: 0.2\na b\n\n";
    fixture_write(folder, "vocab.json", gpt2);
    assert_int_equal(tokenizer_open(&t, folder), ERR_MISSING);
    fixture_write(folder, "merges.txt", merges);
    FIXTURE_OK(tokenizer_open(&t, folder));
    assert_int_equal(tokenizer_bos(t), 3);
    assert_false(tokenizer_adds_bos(t));
    ASSERT_IDS(t, "aba<|endoftext|>b", 2, 0, 3, 1);
    tokenizer_free(t);
    fixture_write(folder, "opt-vocab.json", opt);
    fixture_write(folder, "opt-merges.txt", "#version: 0.2\r\na b\r\n");
    FIXTURE_OK(file_join(&path, folder, "opt-vocab.json"));
    FIXTURE_OK(tokenizer_open(&t, path));
    assert_int_equal(tokenizer_bos(t), 2);
    assert_int_equal(tokenizer_eos(t), 2);
    assert_true(tokenizer_adds_bos(t));
    ASSERT_IDS(t, "ab</s><pad><s>", 5, 2, 1, 6); /* <s> is not looked for */
    tokenizer_free(t);
    fixture_write(folder, "opt-merges.txt", "a b c\n");
    assert_int_equal(tokenizer_open(&t, path), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "opt-merges.txt: merge 0 is 'a b c'"));
    fixture_write(folder, "opt-merges.txt", "#version: 0.2\n");
    assert_int_equal(tokenizer_open(&t, path), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "has no merges"));
    mem_free(path);
    mem_free(folder);
}

/* ---- bad files ---- */

static void files_that_lie(void **state)
{
#define MODEL(vocab, merges) SMALL("", "\"vocab\": " vocab ", \"merges\": " merges, "")
#define AB                   "{\"a\": 0, \"b\": 1, \"ab\": 2}"
    static const struct {
        const char *json, *expected;
    } cases[] = {
        {"", "tokenizer.json: is empty"},
        {"{\"model\": ", "tokenizer.json:1: "},
        {"[]", "is not a JSON object"},
        {"{}", "has no 'model'"},
        {"{\"model\": {\"type\": \"Unigram\"}}",
         "model type 'Unigram' is not supported; supported: BPE"},
        {MODEL("{}", "[]"), "the vocabulary is missing or empty"},
        {SMALL("", "\"vocab\": " AB, ""), "has no merges"},
        {MODEL(AB, "[\"a b\", \"ab a\"]"),
         "merge 1 makes or uses 'aba', which is not in the vocabulary"},
        {MODEL(AB, "[\"a x\"]"), "merge 0 makes or uses 'x'"},
        {MODEL(AB, "[\"ab\"]"), "expected two tokens with one space between"},
        {MODEL(AB, "[[\"a\"]]"), "merge 0 is neither"},
        {MODEL(AB, "[7]"), "merge 0 is neither"},
        {MODEL("{\"a\": 0, \"b\": 0, \"ab\": 2}", "[\"a b\"]"), "id 0 is given to two tokens"},
        {MODEL("{\"a\": 0, \"a\": 1}", "[\"a a\"]"), "duplicate object key"},
        {MODEL("{\"a\": -1}", "[\"a a\"]"), "id -1 of token 'a' is out of range"},
        {MODEL("{\"a\": 4000000000}", "[\"a a\"]"), "id 4000000000 of token 'a' is out of range"},
        {MODEL("{\"a\": 99999999999999999999}", "[\"a a\"]"), "too big integer"},
        {MODEL("{\"a\": \"0\"}", "[\"a a\"]"), "the id of token 'a' is not an integer"},
        {SMALL("", "\"dropout\": 0.1, \"vocab\": " AB ", \"merges\": [\"a b\"]", ""),
         "'dropout' is not supported"},
        {SMALL("", "\"end_of_word_suffix\": \"</w>\", \"vocab\": " AB ", \"merges\": [\"a b\"]",
               ""),
         "'end_of_word_suffix' is not supported"},
        {SMALL("", "\"byte_fallback\": true, \"vocab\": " AB ", \"merges\": [\"a b\"]", ""),
         "byte_fallback"},
        {SMALL("", "\"unk_token\": \"<unk>\", \"vocab\": " AB ", \"merges\": [\"a b\"]", ""),
         "unk_token '<unk>' is not in the vocabulary"},
        {SMALL("", SMALL_MODEL, ", \"normalizer\": {\"type\": \"BertNormalizer\"}"),
         "normalizer type 'BertNormalizer' is not supported"},
        {SMALL("", SMALL_MODEL, ", \"decoder\": {\"type\": \"WordPiece\"}"),
         "decoder type 'WordPiece'"},
        {SMALL("", SMALL_MODEL, ", \"post_processor\": {\"type\": \"BertProcessing\"}"),
         "post_processor type 'BertProcessing' is not supported"},
        {SMALL("{\"id\": 1, \"content\": \"<x>\"}", SMALL_MODEL, ""),
         "id 1 of '<x>' is that of another token"},
        {SMALL("{\"id\": 7, \"content\": \"<|e|>\"}", SMALL_MODEL, ""),
         "id 7 of '<|e|>' is that of another token"},
        {SMALL("{\"id\": 2000000, \"content\": \"<x>\"}", SMALL_MODEL, ""), "is out of range"},
        {SMALL("{\"content\": \"<x>\"}", SMALL_MODEL, ""), "needs an integer 'id'"},
        {SMALL("{\"id\": 11, \"content\": \"\"}", SMALL_MODEL, ""), "not empty"},
        {SMALL("{\"id\": 11, \"content\": \"w\", \"single_word\": true}", SMALL_MODEL, ""),
         "single_word"},
        {"{\"model\": {" SMALL_MODEL "}, \"decoder\": {\"type\": \"ByteLevel\"}}",
         "pre_tokenizer is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tokenizer *t = NULL;
        assert_int_equal(open_text(&t, cases[i].json), ERR_FORMAT);
        if (!strstr(err_text(), cases[i].expected) || !strstr(err_text(), "tokenizer.json"))
            fail_msg("'%s' should have '%s'", err_text(), cases[i].expected);
        assert_null(t);
    }
    struct tokenizer *t = NULL;
    assert_int_equal(tokenizer_open(&t, "/nowhere/at/all"), ERR_MISSING);
    assert_int_equal(tokenizer_open(&t, "/nowhere/vocab.json"), ERR_MISSING);
    char *folder = fixture_folder("tokenizer"), *path;
    assert_int_equal(tokenizer_open(&t, folder), ERR_MISSING);
    assert_non_null(strstr(err_text(), "has neither tokenizer.json, nor vocab.json"));
    FIXTURE_OK(file_join(&path, folder, "tokenizer.json"));
    fixture_write(folder, "tokenizer.json", "{}");
    assert_int_equal(truncate(path, (off_t)300 << 20), 0); /* sparse */
    assert_int_equal(tokenizer_open(&t, folder), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "too many for a tokenizer"));
    assert_int_equal(truncate(path, 2), 0);
    mem_free(path);
    mem_free(folder);
}

/* A byte changed, removed or doubled at random: an error or a tokenizer that works, never a crash.
 */
static void damaged_files(void **state)
{
    static const char good[] = SMALL(SMALL_ADDED, SMALL_MODEL, "");
    char text[sizeof good + 2];
    struct rng rng;
    char *folder = fixture_folder("tokenizer"), *path;
    FIXTURE_OK(file_join(&path, folder, "tokenizer.json"));
    rng_seed(&rng, 5);
    for (int turn = 0; turn < 600; turn++) {
        size_t size = sizeof good - 1, at = rng_below(&rng, size);
        memcpy(text, good, sizeof good);
        switch (rng_below(&rng, 4)) {
        case 0: text[at] = (char)rng_next(&rng); break;
        case 1: memmove(text + at, text + at + 1, size - at); break;
        case 2: memmove(text + at + 1, text + at, size - at + 1); break;
        case 3: text[at] = "{}[]\",: 09-a"[rng_below(&rng, 12)]; break;
        }
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        fwrite(text, 1, strlen(text), file);
        fclose(file);
        struct tokenizer *t;
        int32_t *ids;
        size_t count;
        if (tokenizer_open(&t, path) == 0) {
            FIXTURE_OK(tokenizer_encode(t, "abc aaa<|e|> b", 14, &ids, &count));
            for (size_t i = 0; i < count; i++)
                assert_in_range(ids[i], 0, tokenizer_vocabulary(t) - 1);
            mem_free(ids);
            tokenizer_free(t);
        }
    }
    mem_free(path);
    mem_free(folder);
}

static void every_failed_allocation_is_survived(void **state)
{
    char *folder = fixture_folder("tokenizer");
    fixture_write(folder, "tokenizer.json",
                  SMALL(SMALL_ADDED, SMALL_MODEL, ", \"post_processor\": null"));
    fixture_write(folder, "tokenizer_config.json", "{\"bos_token\": \"<|e|>\"}");
    static const char text[] =
        "abc aaa \xff ab<|e|> aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabc";
    for (long nth = 1;; nth++) {
        struct tokenizer *t = NULL;
        int32_t *ids = NULL;
        size_t count;
        mem_fail_at(nth);
        int rc = tokenizer_open(&t, folder);
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
    mem_free(folder);
}

static void ids_outside_the_vocabulary(void **state)
{
    struct tokenizer *t;
    char *text = NULL;
    size_t size;
    FIXTURE_OK(open_text(&t, SMALL("{\"id\": 13, \"content\": \"<x>\"}", SMALL_MODEL, "")));
    const int32_t bad[] = {11, 12, 14, -1, INT32_MAX, INT32_MIN}; /* 11 and 12: no token has them */
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const int32_t ids[] = {1, bad[i]};
        assert_int_equal(tokenizer_decode(t, ids, 2, &text, &size), ERR_FORMAT);
        assert_non_null(strstr(err_text(), "(number 1) is not a token"));
        assert_null(text);
    }
    FIXTURE_OK(tokenizer_decode(t, bad, 0, &text, &size));
    assert_string_equal(text, "");
    mem_free(text);
    tokenizer_free(t);
}

static void the_command_writes_ids_and_text(void **state)
{
    char *folder = fixture_folder("tokenizer"), *in, *ids, *out, *content;
    size_t size;
    fixture_write(folder, "tokenizer.json", SMALL(SMALL_ADDED, SMALL_MODEL, ""));
    fixture_write(folder, "tokenizer_config.json", "{\"bos_token\": \"<|e|>\"}");
    fixture_write(folder, "in.txt", "abc aaa");
    fixture_write(folder, "ids.txt", "10 4, 5\n1\n");
    FIXTURE_OK(file_join(&in, folder, "in.txt"));
    FIXTURE_OK(file_join(&ids, folder, "ids.txt"));
    FIXTURE_OK(file_join(&out, folder, "out"));
    char *encode[] = {"bitbench", "tokenize", "-t", folder, "--bos", "--out", out, in, NULL};
    FIXTURE_OK(command_line_run(8, encode, NULL));
    FIXTURE_OK(file_read(out, &content, &size));
    static const uint8_t expected[] = {0, 0, 0, 0, 10, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0};
    assert_int_equal(size, sizeof expected);
    assert_memory_equal(content, expected, size);
    mem_free(content);
    char *decode[] = {"bitbench", "tokenize", "-t", folder, "--decode", "--out", out, ids, NULL};
    FIXTURE_OK(command_line_run(8, decode, NULL));
    FIXTURE_OK(file_read(out, &content, &size));
    assert_string_equal(content, "abc aaa");
    mem_free(content);
    fixture_write(folder, "ids.txt", "10 4x");
    assert_int_equal(command_line_run(8, decode, NULL), ERR_FORMAT);
    assert_non_null(strstr(err_text(), "byte 3: '4x' is not a token id"));
    mem_free(in);
    mem_free(ids);
    mem_free(out);
    mem_free(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_vocabulary_by_hand),
        cmocka_unit_test(special_tokens_as_plain_text),
        cmocka_unit_test(added_tokens_match_like_hugging_faces),
        cmocka_unit_test(words_that_are_tokens_need_no_merges),
        cmocka_unit_test(a_list_of_no_merges_leaves_bytes),
        cmocka_unit_test(bytes_without_a_token_become_the_unknown_one),
        cmocka_unit_test(ends_of_text),
        cmocka_unit_test(vocabulary_and_merges_in_two_files),
        cmocka_unit_test(files_that_lie),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(every_failed_allocation_is_survived),
        cmocka_unit_test(ids_outside_the_vocabulary),
        cmocka_unit_test(the_command_writes_ids_and_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
